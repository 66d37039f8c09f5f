"""Bundles, plans and targets for questions on zones."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import shapely
from shapely.geometry import box

import worlds
from passersby.cli import main
from passersby.deployment import bundles, plans
from passersby.errors import UsageError
from passersby.gate import gate, worth
from passersby.model.zones import Zones
from passersby.sources.zones import read_zones

pytestmark = pytest.mark.slow

PARTS = {
    "west": box(6.0, 46.0, 7.5, 47.6),
    "middle": box(7.5, 46.0, 8.5, 47.6),
    "east": box(8.5, 46, 10, 47.6),
}
HEAD = f"""
epsilon = 0.8
period = "2026-W20"
licence = "{worlds.LICENCE}"
purpose = "{worlds.PURPOSE}"
case = "timetable-2027"
every = "week"
resolution = 5
zones = "parts.geojson"
zone_name = "part"
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> worlds.World:
    """Records, and no delivery."""
    return worlds.build(tmp_path_factory.mktemp("built"), suppliers=("veraset",), dirt=False, ingest=False)


@pytest.fixture
def asker(built: worlds.World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[worlds.Asker]:
    monkeypatch.setattr(gate, "TICK_S", 0.001)
    monkeypatch.setattr(plans, "declared_devices", lambda *_: 100_000)
    with built.copied(tmp_path / "d").open() as d:
        yield worlds.Asker(d)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of the parts, in the working folder."""
    monkeypatch.chdir(tmp_path)
    features = [
        {"type": "Feature", "properties": {"part": name}, "geometry": shapely.geometry.mapping(shape)}
        for name, shape in PARTS.items()
    ]
    path = tmp_path / "parts.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return path


def _parse(text: str) -> bundles.Bundle:
    read: list[Path] = []

    def once(path: Path | None, name: str) -> Zones | None:
        assert path not in read
        if path is None:
            return None
        read.append(path)
        return read_zones(path, name, finest=7)

    return bundles.parse(text, lambda text, _: f"area {text}" if text else None, once)  # type: ignore[arg-type, return-value]


def test_a_bundle_s_zones_are_those_of_its_questions(file: Path) -> None:
    parts = _parse(
        HEAD + '[[question]]\nmeasure = "presence"\n[[question]]\nmeasure = "flows"\n'
        '[[question]]\nmeasure = "visitors"\narea = "1,2,3,4"\n'
    ).parts
    assert file.exists()
    zones = [part.request.zones for part in parts]
    assert zones[0] is not None
    assert zones[0].names == ("east", "middle", "west")
    assert zones[1] is zones[0]
    assert zones[2] is None
    assert [str(part.request.area) for part in parts] == ["None", "None", "area 1,2,3,4"]


@pytest.mark.parametrize(
    "text",
    [
        HEAD + 'area = "1,2,3,4"\n[[question]]\nmeasure = "presence"',
        HEAD + '[[question]]\nmeasure = "presence"\narea = "1,2,3,4"\nzones = "parts.geojson"',
    ],
)
def test_an_area_and_zones_are_one_too_many(file: Path, text: str) -> None:
    assert file.exists()
    with pytest.raises(UsageError, match="both"):
        _parse(text)


@pytest.mark.slow
def test_a_bundle_of_zones_is_split_by_what_each_needs_and_asked(
    asker: worlds.Asker, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = HEAD + '[[question]]\nmeasure = "presence"\n[[question]]\nmeasure = "visitors"\n'
    file.with_name("b.toml").write_text(text, encoding="utf-8")
    at = ["-d", str(asker.d.layout.root), "--key", str(asker.d.layout.people / "anna.key"), "--json"]
    assert main.call(["bundle", "b.toml", "--dry-run", *at]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["by_error"]
    assert [row["resolution"] for row in told["questions"]] == ["zones", "zones"]
    together, alone = (sum(row[n] ** 2 for row in told["questions"]) for n in ("error", "error_alone"))
    assert together < alone
    assert main.call(["bundle", "b.toml", *at]) == 0
    capsys.readouterr()
    assert [set(r.question["zones"]) for r in asker.d.releases()] == [set(PARTS)] * 2


def _choose(
    asker: worlds.Asker, target: str, measure: str, zones: Zones, every: str | None
) -> dict[str, Any]:
    def form(resolution: int, grain: str, epsilon: float) -> Any:
        return asker.request(
            measure=measure, resolution=resolution, every=grain, epsilon=epsilon, zones=zones, area=None
        )

    wish = plans.Wish(measure, 5, every, worth.parse_target(target), form, zones=True)
    return plans.choose(asker.d, wish, asker.actor(), now=worlds.now())


@pytest.mark.parametrize(("measure", "target"), [("presence", "5%"), ("visitors", "20%"), ("flows", "300")])
def test_a_target_of_zones_is_reached_by_the_question_that_is_named(
    asker: worlds.Asker, measure: str, target: str
) -> None:
    zones = Zones.from_shapes(PARTS, finest=7)
    found = _choose(asker, target, measure, zones, None)
    assert {row["resolution"] for row in found["forms"]} == {"zones"}
    assert all(row["zones"] == 3 and row["edge_km"] is None for row in found["forms"])
    best = found["cheapest"]
    planned = asker.d.plan(
        asker.request(
            measure=measure,
            resolution=5,
            every=best["every"],
            epsilon=best["epsilon"],
            zones=zones,
            area=None,
        ),
        asker.actor(),
        now=worlds.now(),
    )
    assert planned.question.cost.value == best["micro_rho"]
    assert planned.plan.levels[-1].error == pytest.approx(best["standard_error"])
    allowed = 300 if target == "300" else float(target[:-1]) / 100 * best["typical"]
    assert planned.plan.levels[-1].error <= allowed


def test_an_earlier_release_of_the_same_zones_says_how_large_counts_are(asker: worlds.Asker) -> None:
    zones = Zones.from_shapes(PARTS, finest=7)
    before = _choose(asker, "5%", "visitors", zones, "week")["forms"][0]
    assert "contracts declare" in before["basis"]
    asked: dict[str, Any] = {"measure": "visitors", "every": "week", "resolution": 5, "area": None}
    release = asker.ask(**asked, zones=zones).release
    other = Zones.from_shapes({"west": PARTS["west"]}, finest=7)
    assert "contracts declare" in _choose(asker, "5%", "visitors", other, "week")["forms"][0]["basis"]
    row = _choose(asker, "5", "visitors", zones, "week")["forms"][0]
    shown = [count for count in release.rows["count"].to_pylist() if count is not None]
    if shown:  # there is no data here: what is shown is noise
        assert release.id in row["basis"]
    else:
        assert "contracts declare" in row["basis"]


@pytest.mark.slow
def test_the_printed_line_asks_zones(
    asker: worlds.Asker, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "--period",
        "2026-W20",
        "--licence",
        worlds.LICENCE,
        "--purpose",
        worlds.PURPOSE,
        "--case",
        worlds.CASE,
    ]
    where = ["-d", str(asker.d.layout.root), "--key", str(asker.d.layout.people / "anna.key")]
    zones = ["--zones", str(file), "--zone-name", "part"]
    assert main.call(["plan", "visitors", "--target-error", "500", *zones, *words, *where]) == 0
    said = capsys.readouterr().out
    line = said[said.index("passersby ask") :].replace("\n", " ")
    assert f"--zones {file} --zone-name part" in line
    assert "--resolution 6" in line
    assert main.call(shlex.split(line)[1:]) == 0
    capsys.readouterr()
    dry = ["ask", "flows", "--every", "day", "--resolution", "5", "--dry-run", *zones, *words, *where]
    assert main.call(dry) == 0
    said = capsys.readouterr().out
    assert "3 zones held in" in said
    assert "SQL, zones" in said
    assert main.call([*dry, "--area", "1,2,3,4"]) == 2
