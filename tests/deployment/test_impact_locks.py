"""Without an impact assessment in force nothing is answered and nothing is taken in."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

import worlds
from passersby.errors import NotReady
from passersby.ingest.admission import Admission
from passersby.store.tables import Assessment, Delivery


def run_out(asker: worlds.Asker) -> None:
    """Let the assessment be one that was never approved: its draft alone is left."""
    with asker.d.database.write() as session:
        session.execute(update(Assessment).where(Assessment.kind == "impact").values(kind="over"))


def test_a_question_when_it_is_overdue(asker: worlds.Asker) -> None:
    with asker.d.database.read() as session:
        due = session.query(Assessment.next_due).where(Assessment.kind == "impact").scalar()
    assert asker.refused(at=due).code == "impact-missing"
    assert asker.refused(at=due - 1).code != "impact-missing"
    run_out(asker)
    assert asker.refused().code == "impact-missing"
    assert asker.entries("question.refused")[-1]["code"] == "impact-missing"


def test_a_delivery_when_it_is_overdue(built: worlds.World, asker: worlds.Asker) -> None:
    files = built.files.of("veraset")
    run_out(asker)
    with pytest.raises(NotReady, match="No impact assessment"):
        asker.d.ingest(files, "veraset", now=worlds.now())
    assert asker.entries("delivery.refused")[-1]["code"] == "not-ready"


def test_a_delivery_when_it_runs_out_on_the_way(
    built: worlds.World, asker: worlds.Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Admission.check

    def runs_out_after(*arguments: Any, **named: Any) -> Any:
        found = real(*arguments, **named)
        run_out(asker)
        return found

    monkeypatch.setattr(Admission, "check", runs_out_after)
    with pytest.raises(NotReady, match="No impact assessment"):
        asker.d.ingest(built.files.of("veraset"), "veraset", now=worlds.now())
    with asker.d.database.read() as session:
        assert session.query(Delivery).count() == 0
