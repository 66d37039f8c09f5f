"""The whole programme is reviewed each year, by an overseer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from passersby.errors import Refusal, UsageError
from passersby.keys.signed import Actor
from passersby.policy import programme
from passersby.store.database import Database
from policy.conftest import NOW, Enrol

REPORT = "ab" * 32


def test_it_is_due_a_year_after_the_start_and_after_each_review(
    database: Database, staff: Callable[[Database], dict[str, Actor]], person: Enrol
) -> None:
    with database.read() as session:
        assert programme.due(session) is None
    people = staff(database)
    otto = person(database, "otto", "overseer", by=people["cara"])
    with database.write() as session:
        assert programme.due(session) == NOW + programme.YEAR_S
        for who in ("cara", "pia"):
            with pytest.raises(Refusal) as caught:
                programme.review(session, document_sha256=REPORT, note="x", actor=people[who], now=NOW)
            assert caught.value.code == "role-missing"
        for wrong in ({"document_sha256": "report.pdf"}, {"document_sha256": ""}, {"note": " "}):
            given = {"document_sha256": REPORT, "note": "fine"} | wrong
            with pytest.raises(UsageError):
                programme.review(session, actor=otto, now=NOW, **given)
        later = NOW + programme.YEAR_S + 5
        due = programme.review(session, document_sha256=REPORT, note="fine", actor=otto, now=later)
        assert programme.due(session) == due == later + programme.YEAR_S
