"""Weighted questions through the gate: who pays, what is stored, what stands beside a row, what is not."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from shapely.geometry import box
from sqlalchemy import update

import worlds
from passersby.deployment import comparing, plans, quality, views
from passersby.errors import UsageError
from passersby.gate.gate import Answer
from passersby.model.census import Census, Weighting
from passersby.model.period import day_of, parse_span
from passersby.model.place import Area
from passersby.model.release import Release
from passersby.model.schema import ROWS
from passersby.model.zones import Zones
from passersby.privacy import answers
from passersby.privacy.label import WEIGHTS_WARNING
from passersby.privacy.label_fields import validate
from passersby.store.lineage_tables import ReleaseLineage
from passersby.store.tables import StoredRelease
from passersby.suppliers import lineage

pytestmark = pytest.mark.slow

WINDOW = "2026-W19..2026-W20"
LICENCE = "wide"
DEVICES, PEOPLE = 200, 20_000


@dataclass(frozen=True)
class Weighted:
    """A deployment with a stored release of residents: 200 devices, exact to 10, in each cell but one."""

    asker: worlds.Asker
    residents: Release
    census: Census

    def wish(self, **changed: Any) -> Weighting:
        return replace(Weighting(self.census, self.residents.id, 500), **changed)

    def ask(self, **changed: Any) -> Answer:
        return self.asker.ask(**{"licence": LICENCE, "weighting": self.wish(), **changed})

    def refused(self, **changed: Any) -> str:
        return self.asker.refused(**{"licence": LICENCE, "weighting": self.wish(), **changed}).code


@pytest.fixture
def given(full: worlds.Asker) -> Weighted:
    days = [day_of(t, full.d.config.offset) for t in (parse_span(WINDOW, 7200).start, 1_779_100_000)]
    full.licence(LICENCE, dates_from=days[0], dates_to=days[1])
    asked: dict[str, Any] = {"measure": "residents", "every": "whole", "resolution": 4, "epsilon": 0.3}
    release = full.ask(**asked, licence=LICENCE, period=WINDOW).release
    cells = Area.from_names(list(release.question["area"])).at(4)
    n = len(cells)
    hidden = np.arange(n) == 0
    columns = [cells, np.full(n, release.question["from"])]
    columns += [np.full(n, float(DEVICES) + shift) for shift in (0, -19.6, 19.6)]
    arrays = [pa.array(column, mask=hidden if i > 1 else None) for i, column in enumerate(columns)]
    arrays += [pa.array(np.full(n, DEVICES), mask=hidden), pa.array(np.where(hidden, "suppressed", ""))]
    rows = pa.table(arrays, schema=ROWS)
    stored = answers.rows_parquet(rows)
    with full.d.database.write() as session:
        known = {"rows": stored, "rows_sha256": hashlib.sha256(stored).hexdigest()}
        session.execute(update(StoredRelease).where(StoredRelease.id == release.id).values(**known))
    lines = "".join(f"{cell:x},{PEOPLE}\n" for cell in cells)
    return Weighted(full, full.d.release(release.id), Census.parse(f"cell,population\n{lines}"))


def test_all_weeks_of_the_homes_pay(given: Weighted) -> None:
    before = given.asker.spent()
    release = given.ask().release
    assert release.question["periods"] == ["2026-W19", "2026-W20"]
    after = given.asker.spent()
    assert {week: after[week] - before[week] for week in after} == dict.fromkeys(
        release.question["periods"], release.micro_rho
    )
    (entry,) = [e for e in given.asker.entries("release.made") if e["release"] == release.id]
    assert entry["periods"] == release.question["periods"]


def test_asked_again_it_is_free(given: Weighted) -> None:
    first, spent = given.ask(), given.asker.spent()
    lines = [f"{cell},{people}" for cell, people in reversed(given.census.people)]
    shuffled = Census.parse("\n".join(["cell,population", *lines]))
    second = given.ask(weighting=given.wish(census=shuffled))
    assert (first.new, second.new) == (True, False)
    assert given.asker.spent() == spent
    assert given.ask(weighting=given.wish(cap=90)).new
    assert given.ask(weighting=None).new


def test_a_row_has_coverage_and_bias_beside_it(given: Weighted, tmp_path: Path) -> None:
    release = given.ask(resolution=4, every="week").release
    rows = release.rows.to_pylist()
    left_out = given.residents.rows["cell"][0].as_py()
    for row in rows:
        out = row["cell"] == left_out
        assert row["coverage"] is None if out else row["coverage"] == pytest.approx(DEVICES / PEOPLE)
        assert row["bias"] == pytest.approx(-1 if out else 0)
    for name in ("r.csv", "r.geojson", "r.parquet", "r.sdmx.csv"):
        views.write(given.asker.d, release, tmp_path / name)
    assert (tmp_path / "r.csv").read_text().splitlines()[0].endswith('"coverage","bias"')
    feature = json.loads((tmp_path / "r.geojson").read_text())["features"][1]
    assert feature["properties"]["coverage"] == pytest.approx(0.01)
    text = (tmp_path / "r.sdmx.csv").read_text()
    assert "PASSERSBY:CELLS_WEIGHTED(1.0.0)" in text
    assert ",COVERAGE,BIAS,UNIT_MEASURE," in text.splitlines()[0]
    assert "weighted to people" in text
    parts = json.loads(views.structure(release))["data"]["dataStructures"][0]["dataStructureComponents"]
    assert {"COVERAGE", "BIAS"} <= {each["id"] for each in parts["attributeList"]["attributes"]}
    assert views.picture(given.asker.d, release).startswith(b"\x89PNG")


def test_the_label_says_how_and_warns(given: Weighted) -> None:
    release = given.ask(every="week", resolution=4).release
    validate(release.label)
    own, cells = release.label["weights"], len(given.census.people)
    assert own["census_sha256"] == given.census.sha256
    assert own["residents"] == given.residents.id
    assert (own["cap"], own["largest"], own["mean"], own["cells_capped"]) == (500, 100, 100, 0)
    assert own["people_left_out"] == pytest.approx(1 / cells, abs=1e-4)
    assert own["bias"] == pytest.approx(-1 / cells, abs=1e-4)
    assert own["error"] == 0.05
    assert WEIGHTS_WARNING in release.label["limits"]
    assert not any("not adjusted to a population" in line for line in release.label["limits"])
    assert "one device is seen for 100 people" in release.label["sample_coverage"]
    assert "nothing is clipped; weights are capped" in release.label["contribution_bound"]
    views.verify_release(given.asker.d, release.id)
    report = quality.report(given.asker.d, release)
    facts = {fact.name: fact for section in report.sections for fact in section.facts}
    assert facts["Bias of weights"].value == own["bias"]
    assert facts["Coverage of the population"].value == pytest.approx(0.01)
    assert "error of the weights" in facts["Intervals"].text
    assert facts["Unit"].text == "device-hours, weighted to people"
    # presence by the week, in thousandths of 100 people: the noise in people
    deviation = release.label["implementation"]["mechanisms"][-1]["standard_deviation"]
    assert f"{deviation / 10:,.1f} at H3 resolution 4" in facts["Noise"].text


def test_a_plan_says_the_weights_and_the_error_in_people(given: Weighted) -> None:
    asked = {"licence": LICENCE, "every": "week", "resolution": 4}
    d, actor, spent = given.asker.d, given.asker.actor(), given.asker.spent()
    found, plain = (
        plans.plan(d, d.plan(given.asker.request(**asked, **more), actor, now=worlds.now()))
        for more in ({"weighting": given.wish()}, {})
    )
    assert found["weights"]["mean"] == 100
    assert found["cost"]["periods"] == ["2026-W19", "2026-W20"]
    errors = [plan["resolutions"][0]["standard_error"] for plan in (found, plain)]
    assert errors[0] == pytest.approx(100 * errors[1], rel=1e-4)  # not sqrt(2) times as much
    assert found["resolutions"][0]["typical"] == pytest.approx(100 * plain["resolutions"][0]["typical"])
    assert "weights add 5.0%" in found["basis"]
    assert "homes" in found["sql"]["4"]
    assert given.asker.spent() == spent


def test_zones_are_weighted_too(given: Weighted) -> None:
    zones = Zones.from_shapes(
        {"west": box(7.0, 46.6, 8.0, 47.2), "east": box(8.0, 46.6, 8.9, 47.2)}, finest=7
    )
    release = given.ask(zones=zones, every="week", resolution=4).release
    for row in release.rows.to_pylist():
        assert row["coverage"] == pytest.approx(0.01)
        assert -0.2 < row["bias"] <= 1e-9


def test_weighted_releases_are_not_compared(given: Weighted) -> None:
    one, other = (given.ask(period=day, epsilon=0.3).release for day in ("2026-05-12", "2026-05-13"))
    with pytest.raises(UsageError, match="Weighted"):
        comparing.releases(given.asker.d, one.id, other.id, None)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"cap": 0}, "bad-weight-cap"),
        ({"cap": 10_001}, "bad-weight-cap"),
        ({"residents": "ffffffffffff"}, "bad-residents"),
        ({"residents": "no release"}, "bad-residents"),
        ({"residents": ""}, "bad-residents"),
        ({"census": Census.parse("cell,population\n841f8d7ffffffff,1\n8475599ffffffff,1\n")}, "bad-census"),
    ],
)
def test_wrong_weights_are_refused_before_anything_is_paid(
    given: Weighted, changed: dict[str, Any], code: str
) -> None:
    spent = given.asker.spent()
    assert given.refused(weighting=given.wish(**changed)) == code
    assert given.asker.spent() == spent
    assert given.asker.entries("question.refused")[-1]["code"] == code


@pytest.mark.parametrize("measure", ["flows", "residents", "dwell", "hour-profile", "displacement"])
def test_what_cannot_be_weighted_is_refused(given: Weighted, measure: str) -> None:
    every = "whole" if measure in {"residents", "displacement"} else "day"
    assert given.refused(measure=measure, every=every) in {"not-weighted", "bad-grain"}
    assert given.refused(measure="residents", every="whole", period=WINDOW) == "not-weighted"


def test_the_licence_must_cover_the_weeks_of_homes(given: Weighted) -> None:
    assert given.refused(licence=worlds.LICENCE) == "dates-outside-licence"


def test_a_refusal_is_the_same_without_data(given: Weighted, empty: worlds.Asker) -> None:
    wish = given.wish(cap=0)
    both = [who.refused(weighting=wish) for who in (given.asker, empty)]
    assert str(both[0]) == str(both[1])


def test_weighted_answers_descend_from_what_their_weights_come_from(given: Weighted) -> None:
    with given.asker.d.database.write() as session:
        session.execute(update(ReleaseLineage).values(deliveries="[77]"))
    name = given.ask().release.id
    with given.asker.d.database.read() as session:
        assert 77 in lineage.of(session, name)
        assert len(lineage.of(session, name)) > 1
