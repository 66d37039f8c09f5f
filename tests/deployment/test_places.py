"""A list of sensitive places is changed by two people, and what is there goes at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from sqlalchemy import text

import worlds
from passersby.cli.main import call
from passersby.custody import health
from passersby.deployment import acts, places
from passersby.deployment.opened import Deployment
from passersby.errors import BadRecord, IntegrityError, NotReady, Refusal, UsageError
from passersby.model.place import Area
from passersby.trustlog.entries import JSON

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> worlds.World:
    return worlds.build(tmp_path_factory.mktemp("places"), devices=120, suppliers=("veraset",))


@pytest.fixture
def world(built: worlds.World, tmp_path: Path) -> worlds.World:
    return built.copied(tmp_path / "world")


def pings(d: Deployment) -> pl.DataFrame:
    with d.lake.snapshot(worlds.now()) as snapshot:
        return pl.concat([pl.read_parquet(file.path) for file in snapshot.files("pings")])


def busiest(d: Deployment, tmp_path: Path) -> tuple[Path, int]:
    """Return a list of the place that most pings are at, and its cell."""
    top = pings(d).group_by("cell").agg(pl.len(), pl.col("lat_e5", "lon_e5").median()).sort("len")
    cell, _, lat, lon = top.row(-1)
    path = tmp_path / "busiest.csv"
    path.write_text(f"lat,lon,category\n{lat / 1e5},{lon / 1e5},clinic\n")
    return path, cell


def propose(d: Deployment, path: Path, *, by: str = "custodian", name: str = "clinics") -> places.Change:
    return places.load(d, path, name=name, actor=actor(d, by), now=worlds.now())


def actor(d: Deployment, who: str) -> Any:
    return d.actor(d.layout.people / f"{who}.key")


def logged(d: Deployment, kind: str) -> list[dict[str, JSON]]:
    with d.database.read() as session:
        bodies = session.scalars(text("SELECT body FROM log_entry ORDER BY 1")).all()
    return [entry for entry in map(json.loads, bodies) if entry["kind"] == kind]


def test_a_change_waits_for_a_second_person_and_then_acts_at_once(
    world: worlds.World, tmp_path: Path
) -> None:
    with world.open() as d:
        path, cell = busiest(d, tmp_path)
        before = pings(d)
        change = propose(d, path)
        assert change.proposal == 1
        assert "proposal approve 1" in " ".join(change.sentences())
        assert [found.name for found in d.sensitive.current()] == ["health"]
        assert len(pings(d)) == len(before)
        with pytest.raises(NotReady, match="second person"):
            change.require_in_force()
        with pytest.raises(UsageError, match="open already"):
            propose(d, path, by="paula")
        with pytest.raises(Refusal) as caught:
            acts.approve(d, 1, actor=actor(d, "custodian"), now=worlds.now())
        assert caught.value.code == "same-person"
        assert len(pings(d)) == len(before)
        acts.approve(d, 1, actor=actor(d, "paula"), now=worlds.now())
        assert [(f.name, f.owner) for f in d.sensitive.current()] == [
            ("clinics", "custodian"),
            ("health", "custodian"),
        ]
        after = pings(d)
        assert 0 < len(after) < len(before)
        assert cell not in after["cell"].to_list()
        on_disk = [pl.read_parquet(path) for path in (d.layout.lake / "pings").iterdir()]
        assert sum(map(len, on_disk)) == len(after)
        columns = [after[c].fill_null(-1).to_numpy() for c in ("lat_e5", "lon_e5", "cell", "accuracy_m", "t")]
        assert not d.sensitive.cover().hits(*columns).any()
        with d.lake.snapshot(worlds.now()) as snapshot:
            presence = pl.concat([pl.read_parquet(file.path) for file in snapshot.files("presence")])
        assert cell not in presence["cell"].to_list()
        hours = after.select("device", hour=pl.col("t") - pl.col("t") % 3600).unique()
        assert len(hours) == len(presence)
        assert len(logged(d, "sensitive.purged")) == 1
        again = propose(d, path)
        assert (again.proposal, again.version, again.fresh) == (None, 1, False)
        assert d.verify_log().size


def test_who_has_no_role_proposes_nothing(world: worlds.World, tmp_path: Path) -> None:
    with world.open() as d:
        path, _ = busiest(d, tmp_path)
        with pytest.raises(Refusal):
            propose(d, path, by="anna")
        with pytest.raises(NotReady, match="two people"):
            d.sensitive.load(path, name="x", actor=actor(d, "custodian"), now=worlds.now())
        bad = tmp_path / "bad.csv"
        bad.write_text("lat,lon,category\n99,8,clinic\n")
        with pytest.raises(BadRecord):
            propose(d, bad)


@pytest.mark.slow
def test_releases_over_a_new_place_are_withdrawn_and_others_are_not(
    world: worlds.World, tmp_path: Path
) -> None:
    with world.open() as d:
        path, _ = busiest(d, tmp_path)
        asked = worlds.Asker(d)
        over = asked.ask(resolution=5).release
        lon = float(path.read_text().splitlines()[1].split(",")[1])
        far = places_area(8.9, 46.4) if lon < 8 else places_area(6.6, 46.5)
        away = asked.ask(area=far).release
        propose(d, path)
        assert d.release(over.id)
        acts.approve(d, 1, actor=actor(d, "paula"), now=worlds.now())
        with pytest.raises(Refusal) as caught:
            d.release(over.id)
        assert caught.value.code == "release-withdrawn"
        assert asked.refused(resolution=5).code == "release-withdrawn"
        assert d.release(away.id).id == away.id
        assert [entry["release"] for entry in logged(d, "release.withdrawn")] == [over.id]


@pytest.mark.slow
def test_an_event_withdraws_releases_of_its_dates_only(world: worlds.World, tmp_path: Path) -> None:
    with world.open() as d:
        place, _ = busiest(d, tmp_path)
        row = place.read_text().splitlines()[1]
        release = worlds.Asker(d).ask(resolution=5).release
        path = tmp_path / "events.csv"
        for number, day, served in ((1, "2026-05-18", True), (2, "2026-05-17", False)):
            path.write_text(f"lat,lon,category,from,until\n{row},{day},{day}\n")
            propose(d, path, name="events")
            acts.approve(d, number, actor=actor(d, "paula"), now=worlds.now())
            entry = next(entry for entry in d.releases() if entry.id == release.id)
            assert (entry.withdrawn is None) == served


def test_places_that_were_changed_after_they_were_proposed_never_act(
    world: worlds.World, tmp_path: Path
) -> None:
    with world.open() as d:
        path, _ = busiest(d, tmp_path)
        propose(d, path)
        stored = d.layout.root / "sensitive" / "clinics-1.parquet"
        stored.write_bytes((d.layout.root / "sensitive" / "health-1.parquet").read_bytes())
        with pytest.raises(IntegrityError, match="proposed"):
            acts.approve(d, 1, actor=actor(d, "paula"), now=worlds.now())
        assert [found.name for found in d.sensitive.current()] == ["health"]


def test_killed_between_the_approval_and_the_purge_the_next_command_goes_on(
    world: worlds.World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world.open() as d:
        path, cell = busiest(d, tmp_path)
        propose(d, path)

        def killed(*_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr("passersby.ingest.purging._search", killed)
            with pytest.raises(KeyboardInterrupt):
                acts.approve(d, 1, actor=actor(d, "paula"), now=worlds.now())
        assert cell in pings(d)["cell"].to_list()
    with world.open() as d:
        assert any("sensitive places" in line for line in d.repaired)
        assert cell not in pings(d)["cell"].to_list()


def test_the_status_turns_red_when_nobody_looks_for_a_quarter(world: worlds.World) -> None:
    with world.open() as d:
        assert health.status(d.database, d.config, now=worlds.now()).overdue == ()
        overdue = health.status(d.database, d.config, now=worlds.now() + 91 * 86_400).overdue
        late = [duty.what.partition(":")[0] for duty in overdue]
        assert [what for what in late if what != "deletion"] == ["list health", "sensitive places"]


@pytest.mark.slow
def test_the_commands(world: worlds.World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with world.open() as d:
        path, _ = busiest(d, tmp_path)
    at, custodian = ["-d", str(world.root)], ["--key", str(world.key("custodian"))]
    paula = ["--key", str(world.key("paula"))]
    assert call(["sensitive", "load", str(path), *at, *custodian]) == 0
    assert "waits for a second person" in capsys.readouterr().out
    arguments = ["ingest", str(world.files.of("veraset")[0]), "--supplier", "veraset", *at, *custodian]
    assert call([*arguments, "--sensitive", str(path)]) == 2
    capsys.readouterr()
    assert call(["proposal", "approve", "1", *at, *paula]) == 0
    assert call(["sensitive", "list", "--json", *at]) == 0
    shown = capsys.readouterr().out
    assert '"busiest"' in shown
    assert call(["sensitive", "review", "busiest", *at, *paula]) == 0
    assert call(["sensitive", "categories"]) == 0
    assert "amenity=prison" in capsys.readouterr().out


def places_area(lon: float, lat: float) -> Area:
    return Area.from_bbox(lon - 0.3, lat - 0.3, lon + 0.3, lat + 0.3, resolution=5)
