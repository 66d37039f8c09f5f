"""A log whose key is replaced, for tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from passersby.trustlog import rekey
from passersby.trustlog.checkpoint import VerifierKey
from passersby.trustlog.entries import append

KEYS = [Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in range(1, 5)]
ORIGIN = "example.org/passersby"
VKEYS = [VerifierKey.of(ORIGIN, key).encode() for key in KEYS]


@dataclass
class Rekeyed:
    """A log that had KEYS[0] for 10 entries, then others."""

    log: Any
    now: int = 0
    saved: list[bytes] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        folder: Path = self.log.folder
        return folder

    def note(self) -> bytes:
        return (self.folder / "checkpoint").read_bytes()

    def replace(self, *, publish: bool = True, **changed: str) -> None:
        """Replace the key by the next one, as the deployment does."""
        old, new = KEYS[self.now], KEYS[self.now + 1]
        self.saved.append(self.note())
        with self.log.database.write() as session:
            fields = {**rekey.fields(ORIGIN, old, new), "by": "cleo", **changed}
            append(session, rekey.KIND, fields, now=1_700_000_000)
        self.now += 1
        if publish:
            self.log.publisher.sign_with(new, old)
            self.log.publish()
            self.log.publisher.sign_with(new)
