"""What requests of holders are carried out with."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from sqlalchemy.orm import Session

from passersby.consent import journal
from passersby.errors import UsageError
from passersby.keys.ring import KeyRing
from passersby.lake.lake import Lake
from passersby.sources import ids
from passersby.store.database import Database
from passersby.trustlog.publish import Publisher

_ID = re.compile(r"""[^\s,;"'<>{}|\[\]]{8,}""")
"""What an advertising id can look like; a line of a table does not."""

STAFF = ("custodian", "privacy")
"""Roles that act for holders."""


@dataclass(frozen=True)
class Parts:
    """The parts of one deployment that holders' requests need.

    Args:
        database: its control database.
        lake: its lake.
        ring: its keys.
        publisher: of its log.
        journal: folder of the journal of withdrawals.
        spill: folder where engines put aside what does not fit in memory.
        threads: files that are rewritten at once.
    """

    database: Database
    lake: Lake
    ring: KeyRing
    publisher: Publisher
    journal: Path
    spill: Path
    threads: int

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Run one transaction; the log is published after it committed."""
        with self.database.write() as session:
            yield session
        self.publisher.publish(self.database)

    def settle(self, now: int) -> list[str]:
        """Bring the journal of withdrawals up to date; see `consent.journal`."""
        return journal.settle(self.journal, self.database, self.ring, now=now)


def normal_ids(given: Sequence[str]) -> tuple[str, ...]:
    """Return advertising ids in normal form, sorted, none twice.

    Raises:
        UsageError: there is none, or one of them is no advertising id; the text does not repeat it.
    """
    found, flags = ids.normalised(pl.Series("id", list(given), dtype=pl.String))
    names = sorted(set(found.to_list()))
    if not names or (flags != ids.OK).any() or not all(map(_ID.fullmatch, names)):
        raise UsageError(
            "What was given is no list of advertising ids.",
            "Give one id a line, as the phone's settings show it; the all-zero id names nobody.",
        )
    return tuple(names)
