"""Sources of positions that are never taken, whatever a contract says (control A5): auctions, cell towers."""

from __future__ import annotations

import re
from collections.abc import Iterable

from passersby.errors import Refusal

BIDSTREAM, TOWERS = "bidstream", "cell-towers"

_NEVER = "There is no setting for it: the people in such data were never asked."

TEXTS: dict[str, tuple[str, str]] = {
    BIDSTREAM: ("Positions from the bidstream of ad auctions are never taken.", _NEVER),
    TOWERS: ("Positions of cell towers, or of phones by their towers, are never taken.", _NEVER),
}
"""Code of the refusal -> its message and next step."""

DEMO_ONLY = (
    "This deployment is marked as a demo and takes synthetic or test data only.",
    "Make a deployment without the mark for other data: `passersby init DIR`.",
)
"""Text of the refusal `demo-deployment`: message and next step."""

_WORDS = {
    BIDSTREAM: re.compile(r"bidstream|bidrequest|openrtb|realtimebidding|adexchange"),
    TOWERS: re.compile(r"cell(phone)?tower|cellsite|cellid|basestation|calldetail"),
}
"""What gives a source away, letters and digits only."""

_AUCTION = re.compile(r"\brtb\b")
"""The same as a word of its own: other words hold these letters."""

_OPENRTB_GEO = ({"lat", "type", "country", "utcoffset"}, {"lon", "long"})
"""OpenRTB 2.5, section 3.2.19: flat columns of these names are a copied geo object."""

_TOWER_COLUMN = re.compile(
    r"(.*_)?(cell_?(tower|site)|base_?station|bts|e_?node_?b|g_?node_?b|(e|n)?cgi|tower)(_?(id|name|no|number))?"
)
"""Names of single columns that number towers (3GPP TS 23.003, section 4: CGI, ECGI, eNodeB)."""

_AREA_CODES, _CELL_CODES = (
    {"lac", "tac", "location_area_code", "tracking_area_code"},
    {"ci", "cid", "eci", "nci"},
)
_CELL_CODES |= {"cell", "cell_id", "cellid", "cell_identity"}
"""The two halves of a tower's number; either of them alone may be something else."""


def refusal(code: str) -> Refusal:
    """Return the refusal of a source; the caller raises it."""
    return Refusal(code, *TEXTS[code])


def named_in(text: str) -> str:
    """Return the code of the source that a text of a contract names, "" for none."""
    plain = re.sub(r"[^a-z0-9]", "", text.lower())
    found = [code for code, words in _WORDS.items() if words.search(plain)]
    if not found and _AUCTION.search(text.lower()):
        return BIDSTREAM
    return found[0] if found else ""


def shown_by(columns: Iterable[str]) -> str:
    """Return the code of the source that a file's columns show, "" for none.

    A bid request has `imp`, the places for which advertisers bid (OpenRTB 2.5, section 3.2.1), beside
    the device or the user whose position it gives away.
    """
    found = {name.lower() for name in columns}
    if found >= _OPENRTB_GEO[0] and found & _OPENRTB_GEO[1]:
        return BIDSTREAM
    requests = [name.removesuffix("imp") for name in found if f".{name}".endswith(".imp")]
    owners = tuple(f"{prefix}{owner}.geo." for prefix in requests for owner in ("device", "user"))
    if any(name.startswith(owners) for name in found):
        return BIDSTREAM
    words = {re.sub(r"[^a-z0-9]+", "_", name.rsplit(".", 1)[-1]).strip("_") for name in found}
    if any(_TOWER_COLUMN.fullmatch(name) for name in words) or (words & _AREA_CODES and words & _CELL_CODES):
        return TOWERS
    return ""
