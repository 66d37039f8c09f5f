"""Key-encryption keys inside HashiCorp Vault: its transit engine wraps and unwraps, and keeps the keys.

Each KEK is a transit key `aes256-gcm96`, not exportable. Interface: Vault's HTTP API, transit secrets engine
(developer.hashicorp.com/vault/api-docs/secret/transit), with `associated_data`, which Vault knows since 1.13.
"""

from __future__ import annotations

import base64
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from passersby.config import Config
from passersby.errors import KeeperAway
from passersby.keys import keeper
from passersby.keys.envelope import associated, not_opened

TOKEN = "VAULT_TOKEN"  # noqa: S105 (the name of a variable)
"""Environment variable of Vault's token, where no file is named."""

_WAIT_S = 10
_HERE = {"127.0.0.1", "localhost", "::1"}


class VaultKeeper:
    """Keeps each KEK as a transit key of its name. A `keeper.Keeper`.

    Args:
        config: `vault_url`, `vault_mount`, `vault_token_file`.
        folder: the deployment's; a relative path is meant from there.
    """

    def __init__(self, config: Config, folder: Path) -> None:
        self._config = config
        self._folder = folder

    def place(self, kek: str) -> str:
        """Return in words where a KEK is kept."""
        config = self._config
        return f"the transit key {config.vault_mount}/{kek} in Vault at {config.vault_url or '(not set)'}"

    def create(self, kek: str) -> None:
        """Make the transit key; Vault leaves one that is there alone."""
        with self.transit() as (transit, _):
            transit.create_key(
                kek, key_type="aes256-gcm96", exportable=False, mount_point=self._config.vault_mount
            )

    def destroy(self, kek: str) -> None:
        """Delete the transit key with all its versions."""
        mount = self._config.vault_mount
        with self.transit() as (transit, hvac):
            if _has(transit, hvac, kek, mount):
                transit.update_key_configuration(kek, deletion_allowed=True, mount_point=mount)
                transit.delete_key(kek, mount_point=mount)

    def wrapper(self, kek: str) -> _InVault:
        """Return the KEK, to be used in Vault."""
        return _InVault(self, kek, self._config.vault_mount)

    @contextmanager
    def transit(self) -> Iterator[tuple[Any, ModuleType]]:
        """Yield hvac's transit engine, and hvac.

        Raises:
            KeeperAway: Vault does not answer, is sealed, or does not let us.
        """
        url = keeper.wanted(self._config, "vault_url", "where Vault is")
        parts = urlsplit(url)
        if parts.scheme != "https" and parts.hostname not in _HERE:
            raise KeeperAway(
                "Vault is not asked over an open connection.",
                "Write `vault_url` in passersby.toml with https://.",
            )
        try:
            hvac = importlib.import_module("hvac")
        except ModuleNotFoundError:
            raise KeeperAway(
                "Vault needs the library hvac.", "Install it with `pip install 'passersby[vault]'`."
            ) from None
        token = keeper.secret(self._folder, self._config.vault_token_file, "vault_token_file", TOKEN, "token")
        client = hvac.Client(url=url, token=token, timeout=_WAIT_S, allow_redirects=False)
        try:
            yield client.secrets.transit, hvac
        except (hvac.exceptions.VaultError, OSError) as error:  # those of the connection are OSErrors
            raise _away(url, error) from error
        finally:
            client.adapter.close()


@dataclass(frozen=True)
class _InVault:
    """A KEK in Vault. A `keeper.Wrapper`."""

    owner: VaultKeeper
    kek: str
    mount: str

    def wrap(self, secret: bytes, purpose: str) -> bytes:
        """Return Vault's ciphertext, text of the form `vault:v1:...`."""
        with self.owner.transit() as (transit, hvac):
            # Vault may make a key that is not there at its first use: that would hide a loss
            if not _has(transit, hvac, self.kek, self.mount):
                raise keeper.gone(self.owner.place(self.kek))
            answer = transit.encrypt_data(
                self.kek,
                plaintext=_text(secret),
                associated_data=_text(associated(purpose)),
                mount_point=self.mount,
            )
        return str(answer["data"]["ciphertext"]).encode()

    def unwrap(self, blob: bytes, purpose: str) -> bytes:
        """Return the secret in a blob that `wrap` made."""
        with self.owner.transit() as (transit, hvac):
            try:
                answer = transit.decrypt_data(
                    self.kek,
                    ciphertext=blob.decode("ascii", "replace"),
                    associated_data=_text(associated(purpose)),
                    mount_point=self.mount,
                )
            except hvac.exceptions.InvalidRequest:
                # 400 is the answer to a wrong ciphertext and to a key that is not there
                there = _has(transit, hvac, self.kek, self.mount)
                place = self.owner.place(self.kek)
                raise (not_opened(place) if there else keeper.gone(place)) from None
        return base64.b64decode(answer["data"]["plaintext"])


def _has(transit: Any, hvac: ModuleType, kek: str, mount: str) -> bool:  # noqa: ANN401 (hvac is an extra)
    """Return whether Vault has a transit key of this name."""
    try:
        transit.read_key(kek, mount_point=mount)
    except hvac.exceptions.InvalidPath as error:
        if error.errors:  # not the key is missing: no engine is at this path
            raise
        return False
    return True


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _away(url: str, error: Exception) -> KeeperAway:
    """Return our error for one of hvac, without its text: that can quote what was sent."""
    kind = type(error).__name__
    where = f"Vault at {url}"
    if kind == "VaultDown":
        return KeeperAway(f"{where} is sealed, or in maintenance.", "Unseal it, then run the command again.")
    if kind in {"Forbidden", "Unauthorized"}:
        step = "Renew the token, and compare its policy with docs/how-to/keep-keys.md."
        return KeeperAway(f"{where} does not let this token use the key.", step)
    if kind == "InvalidPath":
        step = "Enable it (`vault secrets enable transit`), or correct `vault_mount` in passersby.toml."
        return KeeperAway(f"{where} has no transit engine at this path.", step)
    step = "Check that it runs and that `vault_url` in passersby.toml is right; no key was lost."
    return KeeperAway(f"{where} does not answer ({kind}).", step)
