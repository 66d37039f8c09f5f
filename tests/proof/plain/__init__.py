"""What each measure counts, in plain Python: dictionaries, lists and h3's own functions, no SQL.

A definition takes a small world (`proof.small.World`), a question and a resolution, and gives the rows
(phone, keys.., value) that the measure's SQL gives at that resolution, before any bound. It is written from
the words of the measure, not from its SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from proof.plain import hours, presence
from proof.plain import homes, presence
from proof.plain import moves, presence
from proof.plain import devices, moves, presence
from proof.plain.asked import Asked, Row

Definition = Callable[[Any, Asked, int], Iterable[Row]]

PLAIN: Mapping[str, Definition] = {**presence.DEFINITIONS, **hours.DEFINITIONS}
PLAIN: Mapping[str, Definition] = {**homes.DEFINITIONS, **presence.DEFINITIONS}
PLAIN: Mapping[str, Definition] = {**presence.DEFINITIONS, **moves.DEFINITIONS}
PLAIN: Mapping[str, Definition] = {**presence.DEFINITIONS, **moves.DEFINITIONS, **devices.DEFINITIONS}
