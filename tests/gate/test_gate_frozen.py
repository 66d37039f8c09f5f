"""A frozen deployment answers nothing: not at the start, not on the way, not from the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

import worlds
from passersby.deployment import freezing, views
from passersby.errors import Refusal
from passersby.gate import record, running
from passersby.gate.gate import Gate
from passersby.store.tables import Reservation, StoredRelease


def frozen(asker: worlds.Asker) -> None:
    freezing.stop(asker.d, reason="a leak", actor=asker.actor("custodian"), now=worlds.now())


def test_no_question_is_answered_or_planned(full: worlds.Asker) -> None:
    stored = full.ask(epsilon=0.3).release
    spent = full.spent()
    frozen(full)
    request, who = full.request(epsilon=0.2), full.actor()
    for use in (
        lambda: full.ask(epsilon=0.3),  # it is stored
        lambda: full.ask(epsilon=0.2),
        lambda: full.ask(measure="no such measure"),
        lambda: full.d.plan(request, who),
        lambda: full.d.plan_forms([request], who),
        lambda: full.d.plan_together([request], who),
        lambda: full.d.ask_together([request, replace(request, every="week")], who),
    ):
        with pytest.raises(Refusal) as caught:
            use()
        assert caught.value.code == "frozen"
        assert full.entries()[-1]["kind"] == "question.refused"
        assert full.entries()[-1]["code"] == "frozen"
    assert full.spent() == spent
    with pytest.raises(Refusal) as caught:
        full.d.release(stored.id)
    assert caught.value.code == "frozen"
    assert full.entries()[-1] == full.entries("act.refused")[-1]
    assert full.entries()[-1]["act"] == "release.show"


@pytest.mark.parametrize(
    ("module", "step"),
    [(Gate, "_known"), (Gate, "_reserve"), (running, "run"), (running, "measure"), (record, "draft")],
)
def test_a_freeze_stops_a_question_on_its_way(
    full: worlds.Asker, monkeypatch: pytest.MonkeyPatch, module: Any, step: str
) -> None:
    real: Callable[..., Any] = getattr(module, step)

    def freezes_first(*arguments: Any, **named: Any) -> Any:
        if not full.entries("deployment.frozen"):
            frozen(full)
        return real(*arguments, **named)

    monkeypatch.setattr(module, step, freezes_first)
    assert full.refused().code == "frozen"
    assert full.entries("question.refused")[-1]["code"] == "frozen"
    assert full.entries("release.made") == []
    with full.d.database.read() as session:
        assert session.scalars(select(StoredRelease.id)).all() == []
        assert set(session.scalars(select(Reservation.state)).all()) <= {"lost"}
    full.d.verify_ledger()


def test_a_stored_answer_can_still_be_verified(full: worlds.Asker) -> None:
    name = full.ask(epsilon=0.3).release.id
    frozen(full)
    assert "fit the log" in views.verify_release(full.d, name)["checked"]
    full.d.verify_log()
