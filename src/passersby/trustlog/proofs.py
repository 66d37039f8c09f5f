"""Inclusion and consistency proofs: made from tiles (RFC 6962 section 2.1), checked without them.

The checks follow RFC 9162 sections 2.1.3.2 and 2.1.4.2 step by step and share no code with the making,
so that an error in one is not hidden by the same error in the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

from passersby.trustlog.hashing import fold, node_hash


class Hashes(Protocol):
    """Where the hashes of a tree's tiles are read from."""

    def hashes(self, level: int, first: int, count: int) -> list[bytes]:
        """Return `count` hashes of tile level `level` from `first` on; they lie in one tile."""


def root(tree: Hashes, first: int, end: int) -> bytes:
    """Return the Merkle tree hash of the entries `first` to `end` (exclusive).

    Args:
        tree: hashes of the tree's tiles.
        first: a multiple of the largest power of two that is not above `end - first`.
        end: at most the tree's size.
    """
    if first == end:
        return hashlib.sha256(b"").digest()
    whole = 1 << (end - first).bit_length() - 1
    level, height = divmod(whole.bit_length() - 1, 8)
    left = fold(tree.hashes(level, first >> 8 * level, 1 << height))
    return left if whole == end - first else node_hash(left, root(tree, first + whole, end))


def inclusion(tree: Hashes, index: int, size: int) -> list[bytes]:
    """Return PATH(index, D[size]) of RFC 6962 section 2.1.1, from the leaf's sibling up.

    Raises:
        ValueError: `index` is not in a tree of this size.
    """
    if not 0 <= index < size:
        msg = "The entry is not in a tree of this size."
        raise ValueError(msg)
    first, end, path = 0, size, []
    while end - first > 1:
        middle = first + _left(end - first)
        if index < middle:
            path.append(root(tree, middle, end))
            end = middle
        else:
            path.append(root(tree, first, middle))
            first = middle
    return path[::-1]


def consistency(tree: Hashes, old: int, new: int) -> list[bytes]:
    """Return PROOF(old, D[new]) of RFC 6962 section 2.1.2; it is empty for `old` = 0.

    Raises:
        ValueError: `old` is above `new`.
    """
    if not 0 <= old <= new:
        msg = "A log does not shrink."
        raise ValueError(msg)
    if old == 0:
        return []
    first, end, path = 0, new, []
    while old < end:
        middle = first + _left(end - first)
        if old <= middle:
            path.append(root(tree, middle, end))
            end = middle
        else:
            path.append(root(tree, first, middle))
            first = middle
    return ([root(tree, first, end)] if first else []) + path[::-1]


def includes(leaf: bytes, index: int, size: int, path: Sequence[bytes], root_hash: bytes) -> bool:
    """Return whether `path` proves the leaf at `index` under `root_hash` (RFC 9162 section 2.1.3.2).

    Args:
        leaf: hash of the entry.
        index: its index.
        size: entries in the tree.
        path: hashes from the leaf's sibling up.
        root_hash: root of the tree.
    """
    if not 0 <= index < size:
        return False
    fn, sn, value = index, size - 1, leaf
    for sibling in path:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            value = node_hash(sibling, value)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            value = node_hash(value, sibling)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and value == root_hash


def extends(old: int, new: int, path: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """Return whether `path` proves that a tree grew from `old` to `new` (RFC 9162 section 2.1.4.2).

    Args:
        old: entries in the older tree; every tree continues the empty one.
        new: entries in the newer tree.
        path: the proof.
        old_root: root of the older tree.
        new_root: root of the newer tree.
    """
    if not 0 <= old <= new or old in {0, new}:
        same = old != new or old_root == new_root
        empty = old != 0 or old_root == hashlib.sha256(b"").digest()
        return 0 <= old <= new and not path and same and empty
    nodes = [old_root, *path] if old & (old - 1) == 0 else list(path)
    if not nodes:
        return False
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    older = newer = nodes[0]
    for node in nodes[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            older, newer = node_hash(node, older), node_hash(node, newer)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            newer = node_hash(newer, node)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and older == old_root and newer == new_root


def _left(leaves: int) -> int:
    """Return the largest power of two below `leaves` (> 1)."""
    return 1 << (leaves - 1).bit_length() - 1
