"""A witness of one log, and that log's tree at any size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from passersby.trustlog.checkpoint import Checkpoint, VerifierKey, sign
from passersby.trustlog.hashing import frontier_root, grow, leaf_hash, split
from passersby.trustlog.proofs import consistency
from passersby.trustlog.request import AddCheckpoint
from passersby.trustlog.tiles import TileBuilder
from passersby.witness.memory import Memory
from passersby.witness.witness import Witness

ORIGIN = "example.org/passersby"
LOG_KEY = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)


@dataclass
class Tree:
    """A log's tree, all of its tiles in memory; `salt` makes another history."""

    salt: bytes = b""
    key: Ed25519PrivateKey = LOG_KEY
    origin: str = ORIGIN

    def leaves(self, size: int) -> list[bytes]:
        return [leaf_hash(self.salt + b"%d" % i) for i in range(size)]

    def root(self, size: int) -> bytes:
        frontier: list[bytes] = []
        for index, leaf in enumerate(self.leaves(size)):
            grow(frontier, index, leaf)
        return frontier_root(frontier)

    def note(self, size: int) -> bytes:
        return sign(Checkpoint(self.origin, size, self.root(size)), self.key).encode()

    def proof(self, old: int, new: int) -> tuple[bytes, ...]:
        builder, tiles = TileBuilder(), {}
        found = [tile for leaf in self.leaves(new) for tile in builder.add(leaf)] + builder.partial()
        tiles = {(place.level, place.n): split(data) for place, data in found}

        class Held:
            def hashes(self, level: int, first: int, count: int) -> list[bytes]:
                return tiles[level, first // 256][first % 256 : first % 256 + count]

        return tuple(consistency(Held(), old, new))

    def request(self, old: int, new: int) -> bytes:
        return AddCheckpoint(old, self.proof(old, new) if old <= new else (), self.note(new)).encode()


@pytest.fixture
def tree() -> Tree:
    return Tree()


@pytest.fixture
def make_tree() -> type[Tree]:
    return Tree


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    return Memory.create(tmp_path / "memory.db")


@pytest.fixture
def witness_over() -> Callable[[Memory], Witness]:
    """Make the witness over a memory: the same key each time, as after a restart."""

    def make(memory: Memory) -> Witness:
        key = Ed25519PrivateKey.from_private_bytes(b"\x21" * 32)
        return Witness("w.example/1", key, [VerifierKey.of(ORIGIN, LOG_KEY)], memory)

    return make


@pytest.fixture
def witness(memory: Memory, witness_over: Callable[[Memory], Witness]) -> Witness:
    return witness_over(memory)
