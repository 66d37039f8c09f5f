"""Makes a deployment: folder, settings, control database, keys, first custodian, commented record files."""

from __future__ import annotations

import json
import re
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from passersby import config as settings
from passersby.config import Config
from passersby.deployment.layout import BUCKETS, CAPS, DEMO, EPOCH_WEEKS, OFFSET, ORIGIN, Layout
from passersby.deployment.opened import Deployment
from passersby.errors import OperationError, UsageError
from passersby.model.period import parse_offset
from passersby.model.record import NAME
from passersby.people import accounts
from passersby.people import keys as person_keys
from passersby.policy import templates as policy_forms
from passersby.store import durable, tables
from passersby.store.database import Database
from passersby.suppliers import templates as supplier_forms

_SETTINGS = """# Settings of this deployment. docs/reference/settings.md describes each; others are refused.

# Public name; the log's origin is derived from it.
name = {name}

# The one fixed offset of days, weeks and hours. Cannot change once the deployment is made.
utc_offset = {utc_offset}

# SQLAlchemy URL of the control database; empty: SQLite in this folder.
database = {database}

# Privacy: cap for one device and week over all questions and licensees, and most for one question.
epsilon_cap = {epsilon_cap}
epsilon_question = {epsilon_question}

# Days after delivery when raw pings and unit-level derived rows are deleted. A contract may say earlier.
raw_days = {raw_days}
derived_days = {derived_days}

# Device buckets of a day; part of the layout, cannot change once the deployment is made.
buckets = {buckets}

# Memory of the query engine and of an ingest's buffers, in MB; 0 threads means all cores.
memory_mb = {memory_mb}
threads = {threads}

# Where the key-encryption key can be kept besides its file; `passersby keys move` moves it. A PIN or a token
# is never written here: name a file (mode 0600), or set PASSERSBY_PKCS11_PIN or VAULT_TOKEN.
pkcs11_module = {pkcs11_module}
pkcs11_token = {pkcs11_token}
pkcs11_pin_file = {pkcs11_pin_file}
vault_url = {vault_url}
vault_mount = {vault_mount}
vault_token_file = {vault_token_file}
"""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,99}")


@dataclass(frozen=True)
class Created:
    """What `init` made: the folder, the first custodian's key file, the files to fill in."""

    root: Path
    custodian: str
    key_file: Path
    forms: tuple[Path, ...]


def create(
    root: Path,
    *,
    now: int,
    name: str = "passersby",
    utc_offset: str = "+00:00",
    database: str = "",
    custodian: str = "custodian",
    demo: bool = False,
    config: Config | None = None,
) -> Created:
    """Make a deployment in the folder `root`, which must be new or empty.

    Args:
        root: the folder; made for its owner only.
        now: epoch s.
        name: public name.
        utc_offset: the one offset of days and weeks.
        database: SQLAlchemy URL of the control database; "" for SQLite inside.
        custodian: account of the first person, who gets a key file.
        demo: mark it for ever as a demo: it takes synthetic and test data only.
        config: settings to write instead of the defaults; `name`, `utc_offset` and `database` win.

    Raises:
        UsageError: the folder holds something, or an argument is not valid.
        OperationError: the folder cannot be made.
    """
    parse_offset(utc_offset)
    if not _NAME.fullmatch(name):
        raise UsageError(
            "The public name has other characters than letters, digits, dots and hyphens.",
            "Choose another --name, for example mobility.example.org.",
        )
    if not NAME.fullmatch(custodian):
        raise UsageError(
            "The account's name must be 1 to 63 letters, digits, dots, hyphens or underscores.",
            "Choose another --custodian, for example the part of an e-mail address before the @.",
        )
    values = {**vars(config or Config()), "name": name, "utc_offset": utc_offset, "database": database}
    checked = settings.from_values(values)
    layout = Layout(root.absolute())
    _make_folders(layout)
    try:
        durable.write(root / settings.FILE, _settings(checked).encode())
        _set_up(layout, checked, demo=demo)
    except BaseException:
        _clear(layout.root)
        raise
    with Deployment.open(root, now=now) as made:
        key_file = layout.people / f"{custodian}.key"
        public_key = person_keys.generate(key_file)
        made.announce(now=now)
        with made.writing() as session:
            accounts.add(
                session,
                person_id=custodian,
                name=custodian,
                roles=["custodian"],
                public_key=public_key,
                by=None,
                now=now,
            )
    return Created(root, custodian, key_file, _write_forms(root))


def _settings(config: Config) -> str:
    """Return the settings file: those that people look for, and others that are not at their default."""
    values = {name: json.dumps(value, ensure_ascii=False) for name, value in vars(config).items()}
    default = vars(Config())
    others = [
        f"{name} = {text}"
        for name, text in values.items()
        if f"{{{name}}}" not in _SETTINGS and getattr(config, name) != default[name]
    ]
    return _SETTINGS.format(**values) + "".join(f"{line}\n" for line in ["", *others] if others)


def _make_folders(layout: Layout) -> None:
    try:
        layout.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(layout.root.iterdir()):
            raise UsageError(
                f"{layout.root} is not empty.", "Name a new folder, or remove what an earlier `init` left."
            )
        layout.root.chmod(0o700)
        for folder in (layout.keys, layout.people, layout.spill):
            folder.mkdir(mode=0o700)
    except OSError as error:
        raise OperationError(
            f"{layout.root} cannot be made ({error.strerror}).", "Name a folder that you may write to."
        ) from error


def _clear(root: Path) -> None:
    """Empty a folder that was found empty, so that `init` can be tried again."""
    for path in root.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _set_up(layout: Layout, config: Config, *, demo: bool) -> None:
    origin = f"{config.name}/{secrets.token_hex(4)}"
    fixed = {
        ORIGIN: origin,
        DEMO: "1" if demo else "0",
        OFFSET: config.utc_offset,
        BUCKETS: str(config.buckets),
        EPOCH_WEEKS: str(config.epoch_weeks),
        **{name: repr(getattr(config, name)) for name in CAPS},
    }
    database = Database(layout.url(config))
    try:
        database.migrate()
        with database.write() as session:
            if session.get(tables.Setting, ORIGIN) is not None:
                raise UsageError(
                    "The control database belongs to another deployment.", "Give --database an empty one."
                )
            session.add_all([tables.Setting(name=name, value=value) for name, value in fixed.items()])
    finally:
        database.dispose()


def _write_forms(root: Path) -> tuple[Path, ...]:
    forms = {
        "supplier.toml": supplier_forms.contract(),
        "assessment.toml": supplier_forms.assessment(),
        "impact.toml": policy_forms.impact(),
        "licence.toml": policy_forms.licence(),
    }
    for name, text in forms.items():
        durable.write(root / name, text.encode())
    return tuple(root / name for name in forms)
