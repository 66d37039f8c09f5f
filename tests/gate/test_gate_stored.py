"""Stored answers: free for everyone who may ask, after the decision, and never twice paid."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from sqlalchemy import update

import worlds
from passersby.errors import IntegrityError
from passersby.gate.gate import Gate
from passersby.model.cost import MicroRho
from passersby.model.period import DAY
from passersby.model.place import Area
from passersby.policy import licence as licences
from passersby.policy.refusals import REFUSALS
from passersby.store.tables import StoredRelease

pytestmark = pytest.mark.slow


def test_the_second_time_is_free_and_the_same(full: worlds.Asker) -> None:
    first = full.ask()
    spent = full.spent()
    second = full.ask()
    assert (first.new, second.new) == (True, False)
    assert second.release == dataclasses.replace(first.release, rows=second.release.rows)
    assert second.release.rows.equals(first.release.rows)
    assert full.spent() == spent == {"2026-W20": first.release.micro_rho}
    (entry,) = full.entries("release.repeated")
    assert entry["release"] == first.release.id
    assert entry["licence"] == worlds.LICENCE
    assert len(full.entries("release.made")) == len(full.entries("question.reserved")) == 1


def test_an_answer_that_came_meanwhile_is_the_answer(
    full: worlds.Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two ask at once: the first is answered between the second's look and its charge."""
    reserve, first = Gate._reserve, []

    def overtaken(self: Gate, *args: Any) -> list[str]:
        with monkeypatch.context() as patch:
            patch.setattr(Gate, "_reserve", reserve)
            first.append(full.ask())
        return reserve(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Gate, "_reserve", overtaken)
        second = full.ask()
    assert (first[0].new, second.new) == (True, False)
    assert second.release.rows.equals(first[0].release.rows)
    assert full.spent() == {"2026-W20": first[0].release.micro_rho}
    assert len(full.entries("question.reserved")) == len(full.entries("release.repeated")) == 1


def test_asking_again_is_published_at_once(full: worlds.Asker) -> None:
    full.ask()
    full.ask()
    report = full.d.verify_log()
    assert (report.unpublished, report.size) == (0, full.entries()[-1]["index"] + 1)


def test_case_and_person_do_not_make_another_question(full: worlds.Asker) -> None:
    first = full.ask(case=full.case("one"))
    again = full.ask(case=full.case("two"), person="custodian")
    assert not again.new
    assert again.release.id == first.release.id


def test_another_licence_gets_the_same_answer_free(full: worlds.Asker) -> None:
    first = full.ask()
    again = full.ask(licence=full.licence("second"))
    assert not again.new
    assert again.release.rows.equals(first.release.rows)
    assert full.d.licence_balances("second") == []
    assert full.entries("release.repeated")[-1]["licence"] == "second"


def test_another_licence_without_budget_gets_it_too(full: worlds.Asker) -> None:
    full.ask()
    poor = full.licence("poor", epsilon_per_period=0.05)
    assert not full.ask(licence=poor).new
    assert full.refused(licence=poor, resolution=6).code == "budget-spent"


def test_a_spent_period_still_serves_what_is_stored(full: worlds.Asker) -> None:
    full.ask()
    (balance,) = full.d.balances()
    with full.d.database.write() as session:
        full.d.ledger.lower_cap(session, key=balance.key, period=balance.period, cap=MicroRho(0))
    assert not full.ask().new
    assert full.refused(resolution=6).code == "budget-spent"


def test_a_revoked_licence_gets_no_stored_answer(full: worlds.Asker) -> None:
    full.ask()
    with full.d.writing() as session:
        licences.revoke(session, worlds.LICENCE, actor=full.actor("custodian"), now=worlds.now())
    assert full.refused().code == "licence-revoked"
    assert full.entries("release.repeated") == []


def test_an_expired_licence_gets_no_stored_answer(full: worlds.Asker) -> None:
    full.ask()
    assert full.refused(at=worlds.now() + 91 * DAY).code == "licence-expired"
    assert full.entries("release.repeated") == []


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"purpose": "dpv:AcademicResearch"}, "purpose-not-licensed"),
        ({"case": ""}, "case-missing"),
        ({"person": "paula"}, "not-on-licence"),
        ({"licence": "nobody"}, "unknown-licence"),
    ],
)
def test_the_decision_comes_before_the_stored_answer(
    full: worlds.Asker, changed: dict[str, Any], code: str
) -> None:
    full.ask()
    assert full.refused(**changed).code == code
    assert full.entries("release.repeated") == []


def test_a_withdrawn_answer_is_refused_and_not_asked_anew(full: worlds.Asker) -> None:
    full.ask()
    spent = full.spent()
    with full.d.database.write() as session:
        session.execute(update(StoredRelease).values(withdrawn=worlds.now()))
    refusal = full.refused()
    assert (refusal.message, refusal.next_step) == REFUSALS["release-withdrawn"]
    assert full.entries("question.refused")[-1]["code"] == "release-withdrawn"
    assert full.spent() == spent


def test_a_damaged_stored_answer_is_not_served(full: worlds.Asker) -> None:
    full.ask()
    with full.d.database.write() as session:
        session.execute(update(StoredRelease).values(rows=b"PAR1"))
    with pytest.raises(IntegrityError, match="not the one that was released"):
        full.ask()


def test_two_ways_to_write_one_question_are_one(full: worlds.Asker) -> None:
    first = full.ask(area=None, filters=("weekday=sun,sat", "hour=7"), every="week")
    area = Area.from_names(first.release.question["area"])
    again = full.ask(
        area=area,
        filters=("hour=7", "weekday=sat", "weekday=sun"),
        every="week",
        period="2026-05-11..2026-05-17",
    )
    assert not again.new


@pytest.mark.parametrize(
    "changed",
    [
        {"measure": "visitors"},
        {"period": "2026-05-12"},
        {"every": "week"},
        {"resolution": 6},
        {"epsilon": 0.9},
        {"filters": ("hour=7",)},
        {"area": Area.from_bbox(7, 46.5, 8.5, 47.5, resolution=5)},
    ],
)
def test_another_question_is_another_answer(empty: worlds.Asker, changed: dict[str, Any]) -> None:
    first, second = empty.ask(), empty.ask(**changed)
    assert second.new
    assert second.release.question_sha256 != first.release.question_sha256


def test_the_hash_of_a_question_never_changes(empty: worlds.Asker) -> None:
    """Stored answers are found by it: a change of the canonical form would sell every question anew."""
    planned = empty.d.plan(
        empty.request(area=Area.from_names(["841f837ffffffff"]), filters=("weekday=sun,sat",)), empty.actor()
    )
    assert planned.question.sha256 == "7f559ea09d9a4cb4fc6da9fe0ad9db885df9d2b6a3b6a479fbb2237d57ea267f"
    assert planned.question.mechanism == "topdown-h3/1"


@pytest.mark.parametrize("measure", ["visitors", "flows"])
def test_measures_whose_levels_stand_alone_have_a_newer_mechanism(empty: worlds.Asker, measure: str) -> None:
    """Their answers of before had other noise: they are not handed out for it."""
    planned = empty.d.plan(empty.request(measure=measure), empty.actor())
    assert planned.question.mechanism == "topdown-h3/2"
