"""`release compare`: two days of one question, and what is no comparison."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import worlds
from passersby.cli import main
from passersby.deployment import comparing
from passersby.deployment.opened import Deployment
from passersby.model.period import Span, parse_span
from passersby.suppliers import registry

pytestmark = pytest.mark.slow

TUESDAY, WEDNESDAY = "2026-05-12", "2026-05-13"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> worlds.World:
    return worlds.build(tmp_path_factory.mktemp("compare"), devices=1_500, suppliers=("veraset",), dirt=False)


@pytest.fixture(scope="module")
def names(house: worlds.World) -> dict[str, str]:
    """Names of releases that were asked for."""
    asked: dict[str, dict[str, Any]] = {
        "tuesday": {"period": TUESDAY, "epsilon": 1.0},
        "wednesday": {"period": WEDNESDAY, "epsilon": 1.0},
        "visitors": {"period": WEDNESDAY, "measure": "visitors"},
        "two days": {"period": f"{TUESDAY}..{WEDNESDAY}"},
        "night one": {"period": TUESDAY, "measure": "day-night-ratio"},
        "night two": {"period": WEDNESDAY, "measure": "day-night-ratio"},
    }
    with house.open() as d:
        asker = worlds.Asker(d)
        return {
            name: asker.ask(**{"resolution": 4, "epsilon": 0.5, **what}).release.id
            for name, what in asked.items()
        }


@pytest.fixture
def d(house: worlds.World) -> Iterator[Deployment]:
    with house.open() as opened:
        yield opened


def _run(capsys: pytest.CaptureFixture[str], house: worlds.World, *words: str, code: int = 0) -> Any:
    capsys.readouterr()
    assert main.call(["release", "compare", *words, "-d", str(house.root), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_two_days_are_compared_and_nothing_is_spent(
    house: worlds.World, names: dict[str, str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with house.open() as d:
        spent = d.balances()
    found = _run(capsys, house, names["tuesday"], names["wednesday"], "--out", str(tmp_path / "rows.csv"))
    with house.open() as d:
        assert d.balances() == spent
    assert found["before"]["release"] == names["tuesday"]
    assert sum(found["verdicts"].values()) == sum(found["share_verdicts"].values()) == found["rows"] > 0
    assert found["total"]["low"] <= found["total"]["ratio"] <= found["total"]["high"]
    assert found["suppliers"] == {"joined": [], "left": [], "part": []}
    with (tmp_path / "rows.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == found["rows"]
    for row in rows:
        if row["difference"]:
            low, difference, high = (float(row[name]) for name in ("low", "difference", "high"))
            assert low < difference < high
            assert difference == pytest.approx(float(row["after"]) - float(row["before"]))


@pytest.mark.parametrize("ending", ["parquet", "geojson"])
def test_a_comparison_can_be_drawn(
    house: worlds.World,
    names: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    ending: str,
) -> None:
    path = tmp_path / f"rows.{ending}"
    found = _run(capsys, house, names["tuesday"], names["wednesday"], "--out", str(path))
    if ending == "parquet":
        assert {"cell", "share_verdict", "geometry"} <= set(pq.read_table(path).schema.names)
    else:
        assert len(json.loads(path.read_text(encoding="utf-8"))["features"]) == found["rows"]


def test_bins_are_compared_one_by_one(
    house: worlds.World, names: dict[str, str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "rows.parquet"
    _run(capsys, house, names["night one"], names["night two"], "--out", str(path))
    assert set(pq.read_table(path)["bin"].to_pylist()) == {"day", "night"}


def test_people_read_it_too(
    house: worlds.World, names: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    for pair in (("tuesday", "wednesday"), ("night one", "night two")):
        assert main.call(["release", "compare", *(names[n] for n in pair), "-d", str(house.root)]) == 0
        said = capsys.readouterr().out
        assert "total of what both show" in said
        assert "by chance" in said


@pytest.mark.parametrize(
    ("other", "field"),
    [("visitors", "measure"), ("two days", "length"), ("tuesday", "one release")],
)
def test_other_questions_are_not_compared(
    house: worlds.World, names: dict[str, str], capsys: pytest.CaptureFixture[str], other: str, field: str
) -> None:
    error = _run(capsys, house, names["tuesday"], names[other], code=2)["error"]
    assert error["code"] == "usage"
    assert field in error["message"]


def test_a_release_that_is_not_there(
    house: worlds.World, names: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(capsys, house, names["tuesday"], "none", code=2)["error"]["code"] == "unknown-name"


def test_suppliers_that_come_and_go_are_named(d: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = (parse_span(text, d.config.offset) for text in ("2026-W20", "2026-W22"))

    def days(span: Span) -> tuple[int, int]:
        return span.days(d.config.offset)[0], span.days(d.config.offset)[-1]

    with d.database.read() as session:
        known = registry.list_all(session)[0]
    dates = {
        "stays": (days(before)[0], days(after)[1]),
        "left": days(before),
        "new": days(after),
        "late": (days(before)[0] + 1, days(after)[1]),
        "other": (0, 1),
    }
    made = [
        replace(known, contract=replace(known.contract, id=name, dates_from=first, dates_to=last))
        for name, (first, last) in dates.items()
    ]
    monkeypatch.setattr(registry, "list_all", lambda _session: made)
    assert comparing.suppliers(d, before, after) == {"joined": ["new"], "left": ["left"], "part": ["late"]}
