"""Logs with witnesses, for tests: keys of two witnesses, and a log whose newest checkpoint they signed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from passersby.trustlog.checkpoint import WITNESS, VerifierKey
from passersby.trustlog.cosignature import cosign
from passersby.trustlog.heads import Quorum
from passersby.trustlog.publish import Publisher
from passersby.witness.memory import Memory
from passersby.witness.witness import Witness

ORIGIN = "example.org/passersby"
LOG_KEY = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
NAMES = ("w.example/1", "w.example/2")
PRIVATE = {name: Ed25519PrivateKey.from_private_bytes(bytes([33 + i]) * 32) for i, name in enumerate(NAMES)}
KEYS = tuple(VerifierKey.of(name, key, WITNESS) for name, key in PRIVATE.items())
BOTH = Quorum(KEYS, 2)
NOW = 1_800_000_000


def make_witness(folder: Path, name: str) -> Witness:
    """Return a witness of the log, its memory in `folder` kept between calls."""
    path = folder / f"{name.replace('/', '-')}.db"
    memory = Memory(path) if path.exists() else Memory.create(path)
    return Witness(name, PRIVATE[name], [VerifierKey.of(ORIGIN, LOG_KEY)], memory)


def cosign_published(log: Any, *names: str, now: int = NOW) -> None:
    """Put signatures under the published checkpoint, as witnesses that agreed would."""
    publisher = Publisher(log.folder, ORIGIN, LOG_KEY, quorum=BOTH)
    note = (log.folder / "checkpoint").read_bytes()
    lines = {key: cosign(note, key.name, PRIVATE[key.name], now=now) for key in KEYS if key.name in names}
    publisher.add_cosignatures(note, lines)
