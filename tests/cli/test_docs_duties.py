"""The pages about people's duties are followed from top to bottom."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import worlds
from cli.test_docs import DOCS, Reader
from passersby.cli import main
from passersby.custody import health
from passersby.deployment import oversight
from passersby.deployment.opened import Deployment
from passersby.gate import gate
from passersby.model.period import DAY
from passersby.people import accounts
from passersby.policy import freeze, reviews
from passersby.policy.reviews import Review

pytestmark = pytest.mark.slow

HOW_TO = DOCS / "how-to"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> worlds.World:
    world = worlds.build(tmp_path_factory.mktemp("world"), devices=40, suppliers=("veraset",))
    with world.open() as d:
        for name, role in (("otto", "overseer"), ("lea", "legal")):
            worlds.Asker(d).person(name, role)
    return world


@pytest.fixture
def world(built: worlds.World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> worlds.World:
    """A deployment beside the current folder, in which its people's keys lie."""
    world = built.copied(tmp_path / "d")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PASSERSBY_DEPLOYMENT", str(world.root))
    monkeypatch.setenv("PASSERSBY_KEY", "me.pem")
    monkeypatch.setattr(gate, "TICK_S", 0.001)
    for person in ("custodian", "paula", "anna", "otto", "lea"):
        shutil.copy(world.key(person), "me.pem" if person == "custodian" else f"{person}.key")
    return world


@pytest.mark.slow
def test_freeze_runs(world: worlds.World, tmp_path: Path) -> None:
    assert Reader(tmp_path).follow(HOW_TO / "freeze.md") == 3
    with world.open() as d, d.database.read() as session:
        assert freeze.current(session) is None


@pytest.mark.slow
def test_people_runs(world: worlds.World, tmp_path: Path) -> None:
    assert Reader(tmp_path).follow(HOW_TO / "people.md") == 3
    with world.open() as d, d.database.read() as session:
        assert not accounts.get(session, "lea").active
        assert d.actor(tmp_path / "anna-2.key").id == "anna"


@pytest.mark.slow
def test_cases_and_reviews_runs(world: worlds.World, tmp_path: Path) -> None:
    """Two questions are asked beside the page: one that is drawn, and one when the case is closed."""
    text = (world.root / "passersby.toml").read_text()
    (world.root / "passersby.toml").write_text(text.replace("review_percent = 0", "review_percent = 100"))
    (tmp_path / "report.pdf").write_text("the report")
    ask = [
        "ask",
        "visitors",
        "--period",
        "2026-W20",
        "--every",
        "week",
        "--resolution",
        "4",
        "--key",
        "anna.key",
    ]
    ask += ["--licence", worlds.LICENCE, "--purpose", worlds.PURPOSE, "--case", "tram-7"]

    def asked(line: str) -> str:
        if line.startswith("passersby case close"):
            assert main.call(ask) == 0
        if line.startswith("passersby review list"):
            assert main.call(ask) == 5
        return line

    assert Reader(tmp_path).follow(HOW_TO / "cases-and-reviews.md", asked) == 9
    with world.open() as d:
        found = health.status(d.database, d.config, now=worlds.now())
        assert found.alerts == ()
        kinds = {duty.what.partition(" ")[0] for duty in found.duties}
        assert "review" not in kinds
        (review,) = worlds.Asker(d).entries("review.done")
        assert (review["by"], review["result"]) == ("otto", "in-order")
        assert [entry["about"] for entry in worlds.Asker(d).entries("alert.raised")] == ["no-case"]


def test_an_overdue_review_locks_the_licence_for_everybody(world: worlds.World) -> None:
    """Through the gate: the answer is drawn, waits too long, locks, and is free again once it is reviewed."""
    path = world.root / "passersby.toml"
    path.write_text(path.read_text().replace("review_percent = 0", "review_percent = 100"))
    late = worlds.now() + 15 * DAY
    with world.open() as d:
        asker = worlds.Asker(d)
        asker.ask(every="week", resolution=4)
        other = asker.licence("another", expires=late + DAY)
        assert {asker.refused(person=who, at=late).code for who in ("anna", "custodian")} == {
            "review-overdue"
        }
        assert asker.ask(
            licence=other, at=late, every="week", resolution=4
        ).release  # not drawn under that one
        assert health.status(d.database, d.config, now=late).locked == (f"licence {worlds.LICENCE}",)
        waits = [each for each in reviews_of(d) if each.licence == worlds.LICENCE]
        for each in waits:
            oversight.review(d, each.number, result="in-order", note="x", actor=asker.actor("otto"), now=late)
        assert not asker.ask(at=late, every="week", resolution=4).new


def reviews_of(d: Deployment) -> list[Review]:
    with d.database.read() as session:
        return reviews.waiting(session)
