"""What a disclosure asks of the log: that others than the operator have signed it. One place decides."""

from __future__ import annotations

from pathlib import Path

from passersby.errors import Refusal

NO_WITNESS = (
    "No outside witness has signed this log: the operator could rewrite it, and nothing is disclosed.",
    "A deployment with real data needs outside witnesses before it carries out an order.",
)
"""Text of the refusal `no-witness`."""


def require_quorum(folder: Path, vkey: str, *, size: int, demo: bool) -> tuple[str, ...]:
    """Return the names of the outside witnesses that signed a published checkpoint of enough entries.

    This version knows no witnesses. A demo deployment holds nobody's data, and discloses without them.

    Args:
        folder: the published log.
        vkey: its verifier key.
        size: entries that the signed checkpoint must cover at least.
        demo: the log's first entry says that this is a demo.

    Raises:
        Refusal: `no-witness`: there is no quorum.
    """
    del folder, vkey, size
    if not demo:
        raise Refusal("no-witness", *NO_WITNESS)
    return ()
