"""What each measure counts, in plain Python: dictionaries, lists and h3's own functions, no SQL.

A definition takes a small world (`proof.world.World`), a question and a resolution, and gives the rows
(phone, keys.., value) that the measure's SQL gives at that resolution, before any bound. It is written from
the words of the measure, not from its SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from proof.plain import devices, flows, homes, hours, motifs, moves, presence
from proof.plain.asked import Asked, Row

Definition = Callable[[Any, Asked, int], Iterable[Row]]

PLAIN: Mapping[str, Definition] = {
    **presence.DEFINITIONS,
    **hours.DEFINITIONS,
    **homes.DEFINITIONS,
    **flows.DEFINITIONS,
    **moves.DEFINITIONS,
    **devices.DEFINITIONS,
    **motifs.DEFINITIONS,
}
