"""Key-encryption keys inside a PKCS#11 token (a hardware security module, or SoftHSM2).

A KEK is made in the token, sensitive and not extractable: wrapping and unwrapping are AES-GCM operations
of the token (CKM_AES_GCM, PKCS#11 v2.40 section 2.12.7), and the KEK's bytes never leave it. Blobs have the
form of `envelope.Envelope`.
"""

from __future__ import annotations

import importlib
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from passersby.config import Config
from passersby.errors import IntegrityError, KeeperAway, PassersbyError
from passersby.keys import keeper
from passersby.keys.envelope import KEY_BYTES, NONCE_BYTES, TAG_BYTES, associated, not_opened

PIN = "PASSERSBY_PKCS11_PIN"
"""Environment variable of the token's user PIN, where no file is named."""

_alone = threading.RLock()
"""A process is logged in to a token once, whatever its sessions: they take turns."""


class Pkcs11Keeper:
    """Keeps each KEK as a secret key object, labelled with its name. A `keeper.Keeper`.

    Args:
        config: `pkcs11_module`, `pkcs11_token`, `pkcs11_pin_file`.
        folder: the deployment's; a relative path is meant from there.
    """

    def __init__(self, config: Config, folder: Path) -> None:
        self._config = config
        self._folder = folder

    def place(self, kek: str) -> str:
        """Return in words where a KEK is kept."""
        return f"the key {kek} in the PKCS#11 token {self._config.pkcs11_token or '(not set)'}"

    def create(self, kek: str) -> None:
        """Make a 256-bit AES key in the token, unless it is there."""
        with self._session(writing=True) as (session, pkcs11):
            if _find(session, pkcs11, kek) is None:
                session.generate_key(
                    pkcs11.KeyType.AES,
                    8 * KEY_BYTES,
                    label=kek,
                    store=True,
                    capabilities=pkcs11.MechanismFlag.ENCRYPT | pkcs11.MechanismFlag.DECRYPT,
                    template={pkcs11.Attribute.SENSITIVE: True, pkcs11.Attribute.EXTRACTABLE: False},
                )

    def destroy(self, kek: str) -> None:
        """Destroy the key object."""
        with self._session(writing=True) as (session, pkcs11):
            found = _find(session, pkcs11, kek)
            if found is not None:
                found.destroy()

    def wrapper(self, kek: str) -> _InToken:
        """Return the KEK, to be used in the token."""
        return _InToken(self, kek)

    @contextmanager
    def use(self, kek: str) -> Iterator[tuple[Any, ModuleType]]:
        """Yield the key object of a KEK, and the library.

        Raises:
            KeeperAway: the token does not answer.
            IntegrityError: it has no such key.
        """
        with self._session(writing=False) as (session, pkcs11):
            found = _find(session, pkcs11, kek)
            if found is None:
                raise keeper.gone(self.place(kek))
            yield found, pkcs11

    @contextmanager
    def _session(self, *, writing: bool) -> Iterator[tuple[Any, ModuleType]]:
        """Log in to the token for one piece of work."""
        module = keeper.wanted(self._config, "pkcs11_module", "which PKCS#11 library reaches the token")
        label = keeper.wanted(self._config, "pkcs11_token", "which PKCS#11 token to use")
        try:
            pkcs11 = importlib.import_module("pkcs11")
        except ModuleNotFoundError:
            raise KeeperAway(
                "A PKCS#11 token needs the library python-pkcs11.",
                "Install it with `pip install 'passersby[pkcs11]'`.",
            ) from None
        pin_file = self._config.pkcs11_pin_file
        pin = keeper.secret(self._folder, pin_file, "pkcs11_pin_file", PIN, "PIN")
        try:
            with _alone, _token(pkcs11, module, label).open(rw=writing, user_pin=pin) as session:
                yield session, pkcs11
        except pkcs11.PKCS11Error as error:
            raise _away(label, error) from error


@dataclass(frozen=True)
class _InToken:
    """A KEK in its token. A `keeper.Wrapper`."""

    owner: Pkcs11Keeper
    kek: str

    def wrap(self, secret: bytes, purpose: str) -> bytes:
        """Return nonce, ciphertext and tag."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        with self.owner.use(self.kek) as (key, pkcs11):
            how = pkcs11.GCMParams(nonce, associated(purpose), 8 * TAG_BYTES)
            return nonce + bytes(key.encrypt(secret, mechanism=pkcs11.Mechanism.AES_GCM, mechanism_param=how))

    def unwrap(self, blob: bytes, purpose: str) -> bytes:
        """Return the secret in a blob that `wrap` made."""
        if len(blob) < NONCE_BYTES + TAG_BYTES:
            raise not_opened(self.owner.place(self.kek))
        with self.owner.use(self.kek) as (key, pkcs11):
            how = pkcs11.GCMParams(blob[:NONCE_BYTES], associated(purpose), 8 * TAG_BYTES)
            # tokens differ in what they say of a wrong tag; one that is gone says so at the log-in
            wrong = (
                pkcs11.exceptions.EncryptedDataInvalid,
                pkcs11.GeneralError,
                pkcs11.exceptions.FunctionFailed,
            )
            try:
                found = key.decrypt(
                    blob[NONCE_BYTES:], mechanism=pkcs11.Mechanism.AES_GCM, mechanism_param=how
                )
            except wrong:
                raise not_opened(self.owner.place(self.kek)) from None
        return bytes(found)


def _find(session: Any, pkcs11: ModuleType, kek: str) -> Any:  # noqa: ANN401 (the library is an extra)
    """Return the key object of a KEK, None if there is none."""
    wanted = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY, pkcs11.Attribute.LABEL: kek}
    return next(iter(list(session.get_objects(wanted))), None)


def _token(pkcs11: ModuleType, module: str, label: str) -> Any:  # noqa: ANN401 (the library is an extra)
    """Return the token of a label; the module is asked again for tokens that came later."""
    found = pkcs11.lib(module)
    try:
        return found.get_token(token_label=label)
    except pkcs11.NoSuchToken:
        found.reinitialize()
        return found.get_token(token_label=label)


def _away(label: str, error: Exception) -> PassersbyError:
    """Return our error for one of the library, which names them by their class."""
    kind = type(error).__name__
    where = f"The PKCS#11 token {label}"
    if kind in {"PinIncorrect", "PinInvalid", "PinLenRange"}:
        step = "Correct the PIN before you try again: a token locks itself after a few wrong ones."
        return KeeperAway(f"{where} does not take the PIN.", step)
    if kind in {"PinLocked", "PinExpired"}:
        return KeeperAway(f"{where} is locked, or its PIN has expired.", "Unlock it with its own tool.")
    if kind == "MultipleTokensReturned":
        return IntegrityError(f"There are several tokens of the label {label}.", "Give them different ones.")
    if kind == "NoSuchToken":
        step = "Connect it; `pkcs11_token` in passersby.toml is its label, `pkcs11_module` its library."
        return KeeperAway(f"{where} is not there.", step)
    step = "Check that it is connected and that `pkcs11_module` in passersby.toml is its library."
    return KeeperAway(f"{where} does not answer ({kind}).", step)
