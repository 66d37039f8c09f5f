"""Keepers of the key-encryption key (KEK): what each must do, and which one a name stands for.

A keeper makes, uses and destroys KEKs by name. Which KEK wraps the keys stands in the control database;
how a keeper is reached stands in passersby.toml.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from passersby.config import FILE as SETTINGS
from passersby.config import Config
from passersby.errors import IntegrityError, KeeperAway, UsageError
from passersby.keys import private
from passersby.keys.envelope import KEY_BYTES, not_opened

_LONGEST = 4096


class Wrapper(Protocol):
    """One KEK in use."""

    def wrap(self, secret: bytes, purpose: str) -> bytes:
        """Return `secret` encrypted, to be opened for the same purpose only.

        Raises:
            KeeperAway: the keeper does not answer.
            IntegrityError: it has no such KEK.
        """

    def unwrap(self, blob: bytes, purpose: str) -> bytes:
        """Return the secret in `blob`.

        Raises:
            KeeperAway: the keeper does not answer.
            IntegrityError: it has no such KEK, or the KEK or the purpose is another one, or a bit changed.
        """


class Keeper(Protocol):
    """Where KEKs are kept. `place` names it in sentences: "the key file ..", "the token ..".

    Every method raises KeeperAway where the keeper does not answer.
    """

    def place(self, kek: str) -> str:
        """Return in words where a KEK is kept."""

    def create(self, kek: str) -> None:
        """Make a KEK. A name is used once, except by a process that repeats what was killed."""

    def destroy(self, kek: str) -> None:
        """Destroy a KEK for ever; one that is not there is fine."""

    def wrapper(self, kek: str) -> Wrapper:
        """Return the KEK, to be used. Whether it is there may show at its first use."""


def named(all_keepers: Mapping[str, Keeper], name: str) -> Keeper:
    """Return a keeper by its name.

    Raises:
        UsageError: there is none of that name.
    """
    found = all_keepers.get(name)
    if found is None:
        raise UsageError(f"There is no keeper {name!r}.", f"Keepers: {', '.join(all_keepers)}.")
    return found


def probe(keeper: Keeper, kek: str) -> None:
    """Do nothing if a KEK is there, opens what it wrapped, and binds it to its purpose.

    Raises:
        KeeperAway: its keeper does not answer.
        IntegrityError: it is not there, opens something else, or opens it for any purpose.
    """
    wrapper, secret = keeper.wrapper(kek), secrets.token_bytes(KEY_BYTES)
    blob = wrapper.wrap(secret, "probe")
    if wrapper.unwrap(blob, "probe") != secret:
        raise not_opened(keeper.place(kek))
    try:
        wrapper.unwrap(blob, "another probe")
    except IntegrityError:
        return
    raise IntegrityError(
        f"What {keeper.place(kek)} wraps for one purpose opens for another one.",
        "Its keeper leaves out associated data: use a newer version of it (Vault: 1.13 or later).",
    )


def wanted(config: Config, setting: str, purpose: str) -> str:
    """Return a setting that a keeper cannot do without.

    Raises:
        KeeperAway: it is empty.
    """
    value = str(getattr(config, setting))
    if not value:
        raise KeeperAway(f"{SETTINGS} does not say {purpose}.", f"Set `{setting}` there.")
    return value


def secret(folder: Path, file: str, setting: str, variable: str, what: str) -> str:
    """Return a PIN or token: from a private file, or else from an environment variable.

    Args:
        folder: of the deployment; a relative path is meant from there.
        file: value of the setting, "" for none.
        setting: its name.
        variable: the environment variable.
        what: how to call the secret: "PIN", "token".

    Raises:
        KeeperAway: there is neither.
        IntegrityError: others can read the file.
    """
    if not file:
        value = os.environ.get(variable, "")
    else:
        try:
            value = private.read(folder / file, f"{what} file", _LONGEST).decode().strip()
        except (OSError, UnicodeDecodeError):
            raise KeeperAway(
                f"The {what} file {folder / file} cannot be read.",
                f"Put it there, for this account alone, or correct `{setting}` in {SETTINGS}.",
            ) from None
    if not value:
        raise KeeperAway(
            f"There is no {what}.",
            f"Set {variable}, or name a file (mode 0600) as `{setting}` in {SETTINGS}.",
        )
    return value


def gone(place: str) -> IntegrityError:
    """Return the error for a KEK that is not where it was kept, although its keeper answers."""
    return IntegrityError(
        f"{place[0].upper()}{place[1:]} is not there any more.",
        "Put back the key file or the token from its own backup; without one, `passersby keys recover` takes "
        "recovery shares.",
    )
