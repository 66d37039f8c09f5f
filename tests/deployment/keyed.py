"""A small deployment with some keys, people and shares, for tests of what is done with keys."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from passersby.deployment import keeping
from passersby.deployment.create import create
from passersby.deployment.opened import Deployment
from passersby.deployment.recovering import KeyStatus, closed
from passersby.keys import shares
from passersby.keys.signed import Actor
from passersby.people import accounts
from passersby.people import keys as person_keys

EPOCHS = (110, 111, 112)
DESTROYED = 110


def now() -> int:
    return int(time.time())


@dataclass(frozen=True)
class Keyed:
    """A closed deployment; `secrets` were its keys when it was made."""

    root: Path
    secrets: dict[str, bytes]

    @contextmanager
    def open(self) -> Iterator[Deployment]:
        with Deployment.open(self.root) as d:
            yield d

    def copied(self, root: Path) -> Keyed:
        shutil.copytree(self.root, root)
        return Keyed(root, self.secrets)

    @property
    def key(self) -> Path:
        return self.root / "people" / "custodian.key"

    @property
    def papers(self) -> list[Path]:
        """The shares, two of three."""
        return [self.root.parent / f"{self.root.name}-{name}.share" for name in ("anna", "bruno", "cleo")]

    def texts(self) -> list[str]:
        return [shares.read(path) for path in self.papers[:2]]

    def share(self) -> None:
        to = dict(zip(("anna", "bruno", "cleo"), self.papers, strict=True))
        with self.open() as d:
            keeping.share(d, to, actor(d), needed=2, now=now())

    def status(self) -> KeyStatus:
        with closed(self.root) as house:
            return house.status()

    def key_files(self) -> list[str]:
        return sorted(path.name for path in (self.root / "keys").iterdir() if path.name != ".changing")

    def set(self, **settings: str) -> None:
        """Change lines of passersby.toml."""
        path = self.root / "passersby.toml"
        lines = [line for line in path.read_text().splitlines() if line.split(" = ")[0] not in settings]
        path.write_text("\n".join([*lines, *(f'{name} = "{value}"' for name, value in settings.items())]))

    def check(self, *, log_key_changes: bool = False) -> None:
        """All is in order: one key-encryption key, the same keys, nothing left over, a log that verifies."""
        with self.open() as d:
            found = secrets_of(d)
            assert d.vkey == d.layout.verifier_key.read_text().strip()
            if log_key_changes:
                assert found.pop("purpose:log") is not None
                assert found == {name: key for name, key in self.secrets.items() if name != "purpose:log"}
            else:
                assert found == self.secrets
            with d.database.read() as session:
                assert d.kept.left_over(session) == []
            assert all(check.ok for check in d.doctor(deep=False))
            assert d.verify_log().unpublished == 0
        if self.status().keeper == "file":
            assert len(self.key_files()) == 1
        else:
            assert self.key_files() == []


def secrets_of(d: Deployment) -> dict[str, bytes]:
    """Return every key by its name."""
    with d.database.read() as session:
        wrapper = d.kept.current(session)
        return {key.name: wrapper.unwrap(key.blob, key.name) for key in d.ring.all_keys(session)}


def actor(d: Deployment, person: str = "custodian") -> Actor:
    return d.actor(d.layout.people / f"{person}.key")


def make(root: Path, database: str = "") -> Keyed:
    """Make a deployment with two epoch keys, a destroyed one, a purpose, and four people."""
    create(root, now=now(), name="test", utc_offset="+02:00", database=database)
    with Deployment.open(root) as d:
        for person, role in (("anna", "privacy"), ("bruno", "legal"), ("cleo", "overseer")):
            public_key = person_keys.generate(d.layout.people / f"{person}.key")
            with d.writing() as session:
                accounts.add(
                    session,
                    person_id=person,
                    name=person,
                    roles=[role],
                    public_key=public_key,
                    by=actor(d),
                    now=now(),
                )
        with d.writing() as session:
            d.ring.purpose(session, "consent")
            for epoch in EPOCHS:
                d.ring.epoch_key(session, epoch, now=now())
            d.ring.destroy(session, DESTROYED, now=now())
        return Keyed(root, secrets_of(d))
