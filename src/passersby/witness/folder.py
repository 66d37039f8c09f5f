"""A witness's folder: its key, its settings, its memory. It needs no deployment."""

from __future__ import annotations

import json
from pathlib import Path

from passersby.errors import BadRecord, UsageError
from passersby.model.record import Fields
from passersby.people import keys as key_files
from passersby.store import durable
from passersby.trustlog.checkpoint import WITNESS, VerifierKey
from passersby.witness.memory import Memory
from passersby.witness.witness import Witness

SETTINGS, KEY, MEMORY = "witness.toml", "witness.key", "memory.db"

_FORM = """# Settings of a witness.

# Name under which it signs. It belongs to the key: with another name, make another witness.
name = {name}

# Logs that it signs: their verifier keys, in quotes, with commas. Get each from its operator in person, by
# letter or from a website that you trust, not from the log itself.
logs = [
]
"""


def create(folder: Path, name: str) -> VerifierKey:
    """Make a witness in a new or empty folder; return its verifier key.

    Raises:
        UsageError: the folder holds something, or the name is no key name.
        OperationError: it cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"{folder} is not empty.", "Name a new folder: a witness's memory is never replaced."
        )
    if not VerifierKey.is_name(name):
        raise UsageError(
            "The name of a witness must hold no space and no `+`.", "Use the form example.org/name."
        )
    durable.write(folder / SETTINGS, _FORM.format(name=json.dumps(name)).encode())
    key_files.generate(folder / KEY)
    Memory.create(folder / MEMORY)
    return VerifierKey.of(name, key_files.load(folder / KEY), WITNESS)


def memory(folder: Path) -> Memory:
    """Return what a witness remembers.

    Raises:
        UsageError: there is no witness in the folder.
    """
    if not (folder / SETTINGS).is_file():
        raise UsageError(
            f"There is no witness in {folder}.", f"Make one with `passersby witness init {folder}`."
        )
    return Memory(folder / MEMORY)


def load(folder: Path) -> Witness:
    """Return the witness of a folder, ready to sign.

    Raises:
        UsageError: there is none, or a verifier key in its settings is malformed.
        BadRecord: its settings are not valid.
    """
    remembered = memory(folder)
    try:
        text = (folder / SETTINGS).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise BadRecord(f"{SETTINGS} cannot be read.", "Correct the file.") from None
    fields = Fields.from_toml(text, "Witness")
    name, logs = fields.text("name"), fields.texts("logs", default=())
    fields.done()
    known = [VerifierKey.parse(log) for log in logs]
    return Witness(name, key_files.load(folder / KEY), known, remembered)
