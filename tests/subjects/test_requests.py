"""By when what holders ask for must be done."""

from __future__ import annotations

import pytest

from passersby.model.period import DAY
from passersby.store.database import Database
from passersby.subjects import requests

ARRIVED = 1_780_000_000


@pytest.mark.parametrize(
    ("what", "days"),
    [(requests.WITHDRAW, 15), (requests.ERASE, 30), (requests.SHOW, 30), (requests.RECIPIENTS, 30)],
)
def test_a_request_is_due_in_time(sqlite_database: Database, what: str, days: int) -> None:
    now = ARRIVED + 3 * DAY
    with sqlite_database.write() as session:
        made = requests.add(session, what, received=ARRIVED, now=now, done=False)
        assert (made.due, made.done) == (ARRIVED + days * DAY, None)
        assert requests.add(session, what, received=None, now=now, done=True).due == now + days * DAY
