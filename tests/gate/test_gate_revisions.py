"""Scheduled data revisions: when they begin, what they cost, and the budget that is kept for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

import worlds
from passersby.config import Config
from passersby.errors import BadRecord, PeriodOpen
from passersby.gate.request import require_closed, revision
from passersby.model.cost import MicroRho
from passersby.model.period import DAY, HOUR, WEEK, Period
from passersby.store.tables import StoredRelease

pytestmark = pytest.mark.slow

PERIOD = Period.parse("2026-W20")
OFFSET = 7200
END = PERIOD.span(OFFSET).end
CLOSED = END + 72 * HOUR
"""First instant at which the period can be asked: Thursday, 00:00 local time."""


@pytest.fixture(scope="module")
def early(tmp_path_factory: pytest.TempPathFactory) -> worlds.World:
    """A deployment without data whose records were all made when the period had just ended."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worlds, "now", lambda: END)
        world = worlds.build(
            tmp_path_factory.mktemp("early"), suppliers=("veraset",), dirt=False, devices=10, ingest=False
        )
        with world.open() as d:
            worlds.Asker(d).licence("year", at=END, expires=END + 365 * DAY)
    return world


@pytest.fixture
def asker(early: worlds.World, tmp_path: Path) -> Iterator[worlds.Asker]:
    with early.copied(tmp_path / "early").open() as d:
        yield worlds.Asker(d)


@pytest.mark.parametrize(
    ("after_closing", "number"),
    [
        (-1, 0),
        (0, 1),
        (28 * DAY - 1, 1),
        (28 * DAY, 2),
        (91 * DAY - 1, 2),
        (91 * DAY, 3),
        (3650 * DAY, 3),
    ],
)
def test_revisions_begin_on_the_published_days(after_closing: int, number: int) -> None:
    assert revision(PERIOD, Config(utc_offset="+02:00"), CLOSED + after_closing) == number


def test_closing_follows_the_settings() -> None:
    config = Config(utc_offset="+02:00", closing_hours=96)
    require_closed(PERIOD.span(OFFSET), config, END + 4 * DAY)
    with pytest.raises(PeriodOpen):
        require_closed(PERIOD.span(OFFSET), config, END + 4 * DAY - 1)


def test_no_setting_closes_a_period_earlier() -> None:
    with pytest.raises(BadRecord, match="closing_hours"):
        Config(closing_hours=71)


@pytest.mark.parametrize("at", [END - WEEK, END - 1, END, CLOSED - 1])
def test_an_open_period_is_refused(early: worlds.World, tmp_path: Path, at: int) -> None:
    with early.copied(tmp_path / "open").open() as d:
        asker = worlds.Asker(d)
        asker.licence("before", at=END, not_before=END - 2 * WEEK, expires=END + DAY * 30)
        refusal = asker.refused(licence="before", at=at)
        assert isinstance(refusal, PeriodOpen)
        assert asker.entries("question.refused")[-1]["code"] == "period-open"
        assert asker.spent() == {}


def test_a_period_can_be_asked_from_the_second_it_closes(asker: worlds.Asker) -> None:
    assert asker.ask(licence="year", at=CLOSED).new


def test_a_day_is_open_until_its_week_has_closed(asker: worlds.Asker) -> None:
    assert asker.refused(licence="year", at=CLOSED - 1, period="2026-05-11").code == "period-open"


def test_a_revision_is_a_new_answer_at_a_new_charge(asker: worlds.Asker) -> None:
    first = asker.ask(licence="year", at=CLOSED)
    same = asker.ask(licence="year", at=CLOSED + 28 * DAY - 1)
    second = asker.ask(licence="year", at=CLOSED + 28 * DAY)
    assert (first.new, same.new, second.new) == (True, False, True)
    assert second.release.question_sha256 != first.release.question_sha256
    assert [answer.release.label["revision"] for answer in (first, second)] == [1, 2]
    assert asker.spent()["2026-W20"] == first.release.micro_rho + second.release.micro_rho


def test_the_last_revision_is_final(asker: worlds.Asker) -> None:
    assert asker.ask(licence="year", at=CLOSED + 91 * DAY).release.label["revision"] == 3
    assert not asker.ask(licence="year", at=CLOSED + 300 * DAY).new


def _leave_room_for_revisions_only(asker: worlds.Asker) -> None:
    """Lower the cap to twice what is spent: first answers reach 75% of it, so that none fits any more."""
    (balance,) = asker.d.balances()
    with asker.d.database.write() as session:
        cap = MicroRho(2 * balance.spent.value)
        asker.d.ledger.lower_cap(session, key=balance.key, period=balance.period, cap=cap)


def test_a_revision_may_use_what_is_kept_for_revisions(asker: worlds.Asker) -> None:
    asker.ask(licence="year", at=CLOSED)
    _leave_room_for_revisions_only(asker)
    later = CLOSED + 28 * DAY
    assert asker.refused(licence="year", at=later, resolution=6).code == "budget-spent"
    assert asker.ask(licence="year", at=later).new
    (balance,) = asker.d.balances()
    assert balance.spent == balance.cap


def test_a_first_answer_may_not_though_it_is_asked_late(asker: worlds.Asker) -> None:
    asker.ask(licence="year", at=CLOSED, resolution=6)
    _leave_room_for_revisions_only(asker)
    assert asker.refused(licence="year", at=CLOSED + 91 * DAY).code == "budget-spent"


def test_a_revision_of_a_withdrawn_answer_is_a_revision(asker: worlds.Asker) -> None:
    asker.ask(licence="year", at=CLOSED)
    _leave_room_for_revisions_only(asker)
    with asker.d.database.write() as session:
        session.execute(update(StoredRelease).values(withdrawn=CLOSED + DAY))
    assert asker.ask(licence="year", at=CLOSED + 28 * DAY).new


def test_the_revision_after_the_next_is_one_too(asker: worlds.Asker) -> None:
    asker.ask(licence="year", at=CLOSED)
    _leave_room_for_revisions_only(asker)
    assert asker.ask(licence="year", at=CLOSED + 91 * DAY).new


def test_planning_tells_whether_it_is_a_revision(asker: worlds.Asker) -> None:
    asker.ask(licence="year", at=CLOSED)
    request = asker.request(licence="year")
    assert not asker.d.plan(request, asker.actor(), now=CLOSED).revises
    assert asker.d.plan(request, asker.actor(), now=CLOSED + 28 * DAY).revises
