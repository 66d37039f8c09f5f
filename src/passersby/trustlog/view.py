"""The public view of a log: its entries for people, public fields alone, beside the tiles for programs.

Each page is the view of one bundle of entries, a line for each: index, public fields, and how many fields are
hidden. It is made from the entries alone, so that whoever has both can check that they agree.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import rfc8785

from passersby.trustlog.entries import COMMITMENTS
from passersby.trustlog.sources import Source, damaged
from passersby.trustlog.tiles import LONGEST_BUNDLE, WIDTH, Place, bundles

_LONGEST = LONGEST_BUNDLE + 64 * WIDTH


def path(place: Place) -> str:
    """Return where the page of a bundle lies, such as `public/x001/234.ndjson`."""
    return f"{place.path.replace('tile/entries', 'public')}.ndjson"


def stem(place: Place) -> str:
    """Return the path of the full page, without its ending."""
    return place.stem.replace("tile/entries", "public")


def page(place: Place, bodies: Sequence[bytes]) -> bytes:
    """Return the page of a bundle: one JSON object (RFC 8785) and a newline for each entry.

    Args:
        place: of the bundle.
        bodies: its entries.
    """
    first = place.n * WIDTH
    return b"".join(rfc8785.dumps(redacted(i, body)) + b"\n" for i, body in enumerate(bodies, first))


def redacted(index: int, body: bytes) -> dict[str, Any]:
    """Return what anybody may read of an entry: `index`, `entry` (public fields), `hidden` (how many)."""
    fields = json.loads(body)
    hidden = fields.pop(COMMITMENTS, ())
    return {"index": index, "entry": fields, "hidden": len(hidden)}


def is_there(source: Source, size: int) -> bool:
    """Tell whether a log of `size` entries is published with its public view."""
    first = next(bundles(size), None)
    return first is not None and source.read(path(first), _LONGEST) is not None


def digest(place: Place, bodies: Sequence[bytes]) -> bytes:
    """Return the SHA-256 of the page of a bundle; nothing where an entry is no JSON object."""
    try:
        return hashlib.sha256(page(place, bodies)).digest()
    except (ValueError, AttributeError, TypeError, RecursionError):
        return b""


def check(source: Source, place: Place, expected: bytes) -> None:
    """Do nothing if the page of a bundle says what its entries say.

    Args:
        source: the published log.
        place: of the bundle.
        expected: `digest` of its entries, which were verified.

    Raises:
        IntegrityError: the page is missing or says something else.
    """
    held = source.read(path(place), _LONGEST)
    if held is None:
        raise damaged(path(place), "is missing")
    if hashlib.sha256(held).digest() != expected:
        raise damaged(path(place), "does not say what the entries say")
