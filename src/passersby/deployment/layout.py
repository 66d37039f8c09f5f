"""Where things lie in a deployment's folder, and the settings that can never change."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.orm import Session

from passersby.config import Config
from passersby.errors import IntegrityError, NotADeployment, UsageError
from passersby.store import tables

DEMO, ORIGIN = "demo", "origin"
OFFSET, BUCKETS, EPOCH_WEEKS = "utc_offset", "buckets", "epoch_weeks"
"""Names of settings that are fixed when a deployment is made."""

CAPS = ("epsilon_cap", "delta")
"""Names of settings that may be lowered, and never be raised above what the deployment was made with."""

LOG_KEY, LEAVING_LOG_KEY = "log", "log-leaving"
"""Purposes of the key that signs the log's checkpoints, and of the one that it just replaced."""


@dataclass(frozen=True)
class Layout:
    """Paths inside a deployment."""

    root: Path

    @property
    def control(self) -> Path:
        """The embedded control database."""
        return self.root / "control.db"

    @property
    def keys(self) -> Path:
        """Key-encryption keys that are kept in files: back them up apart from the database."""
        return self.root / "keys"

    @property
    def people(self) -> Path:
        """Private keys of persons whose keys were made here."""
        return self.root / "people"

    @property
    def lake(self) -> Path:
        """Pings and what is derived from them."""
        return self.root / "lake"

    @property
    def log(self) -> Path:
        """The published log: a folder that any static web server can serve."""
        return self.root / "log"

    @property
    def verifier_key(self) -> Path:
        """The log's verifier key, for convenience; outsiders take it from another channel."""
        return self.root / "log.vkey"

    @property
    def spill(self) -> Path:
        """Where the engine spills; swept at each start."""
        return self.root / "spill"

    @property
    def withdrawals(self) -> Path:
        """The journal of withdrawals: no backup is ever restored over it."""
        return self.root / "withdrawals"

    def only_key(self) -> Path:
        """Return the only key in the people folder.

        Raises:
            UsageError: there is not exactly one.
        """
        found = sorted(self.people.glob("*.key"))
        if len(found) != 1:
            raise UsageError(
                "It is not clear who you are: there is not exactly one key in the people folder.",
                "Name your private key file with --key or PASSERSBY_KEY.",
            )
        return found[0]

    def url(self, config: Config) -> str:
        """Return the SQLAlchemy URL of the control database."""
        return config.database or URL.create("sqlite", database=str(self.control)).render_as_string()


def setting(session: Session, name: str) -> str:
    """Return a setting that was fixed when the deployment was made.

    Raises:
        NotADeployment: the control database was never set up.
    """
    row = session.get(tables.Setting, name)
    if row is None:
        raise NotADeployment(
            "The control database is empty: it belongs to no deployment.",
            "Put back the newest backup of the control database, or make a deployment elsewhere with "
            "`passersby init DIR`.",
        )
    return row.value


def check_fixed(session: Session, config: Config) -> None:
    """Refuse settings that differ from those the lake was laid out with, and caps that were raised.

    Other epochs would give a week another pseudonym key, and so a ledger account in which nothing is spent.
    Raising a cap would need two people and a logged reason; a line in a file is neither.

    Raises:
        IntegrityError: offset, number of buckets or length of the epochs was changed, or a cap raised.
    """
    for name in CAPS:
        made, now = setting(session, name), repr(getattr(config, name))
        if float(now) > float(made):
            raise IntegrityError(
                f"passersby.toml says {name} = {now}, but this deployment was made with {made}.",
                "Put the old value back, or a lower one: a cap is never raised.",
            )
    for name in (OFFSET, BUCKETS, EPOCH_WEEKS):
        fixed, now = setting(session, name), str(getattr(config, name))
        if fixed != now:
            raise IntegrityError(
                f"passersby.toml says {name} = {now}, but this deployment was made with {fixed}.",
                "Put the old value back: days, files, pseudonyms or the ledger are laid out with it.",
            )


def readable_by_others(root: Path) -> list[Path]:
    """Return folders and key files of a deployment that other accounts can read."""
    layout = Layout(root)
    private = [root, layout.keys, layout.people, layout.lake, layout.spill, layout.withdrawals]
    private += [*sorted(layout.keys.glob("*")), *sorted(layout.people.glob("*.key"))]
    return [path for path in private if path.exists() and path.stat().st_mode & 0o077]
