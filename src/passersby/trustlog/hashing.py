"""Hashes of the log's Merkle tree (RFC 6962 section 2.1, SHA-256) and its frontier.

The frontier of a tree of n leaves is the list of the roots of its perfect subtrees, left to right: one
for each bit that is set in n. It is all that an append needs, so that an append costs O(log n).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

HASH_BYTES = 32


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of one entry: SHA-256(0x00 || entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node: SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """Return the root of a perfect subtree from the hashes of one of its levels.

    Args:
        hashes: 2^k hashes of equal height, k >= 0.
    """
    row = list(hashes)
    while len(row) > 1:
        row = [node_hash(row[i], row[i + 1]) for i in range(0, len(row), 2)]
    return row[0]


def grow(frontier: list[bytes], size: int, leaf: bytes) -> None:
    """Add a leaf to the frontier of a tree of `size` leaves, in place."""
    while size & 1:
        leaf = node_hash(frontier.pop(), leaf)
        size >>= 1
    frontier.append(leaf)


def frontier_root(frontier: Sequence[bytes]) -> bytes:
    """Return the root of the tree that this frontier belongs to; of an empty tree, SHA-256 of nothing."""
    if not frontier:
        return hashlib.sha256(b"").digest()
    root = frontier[-1]
    for subtree in reversed(frontier[:-1]):
        root = node_hash(subtree, root)
    return root


def split(data: bytes) -> list[bytes]:
    """Return the hashes that stand one after the other in `data`."""
    return [data[i : i + HASH_BYTES] for i in range(0, len(data), HASH_BYTES)]
