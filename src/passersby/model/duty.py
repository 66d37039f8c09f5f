"""One thing that a person must have done by a date."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from passersby.model.period import DAY, day_name


@dataclass(frozen=True)
class Duty:
    """A duty with its date.

    Args:
        what: what it is about, and what to do, in a few words.
        command: the command that does it.
        due: first instant (epoch s) at which it is overdue.
        locks: what gives nothing while it is overdue, "" where it only shows.
        who: who can do it.
    """

    what: str
    command: str
    due: int
    locks: str = ""
    who: str = ""

    def to_json(self, now: int) -> dict[str, Any]:
        """Return it as a JSON object, with its state at `now`."""
        return {**asdict(self), "day": day_name(self.due // DAY), "overdue": self.due <= now}
