"""A SoftHSM2 token of a test alone, and a simulation of Vault's documented HTTP interface.

The simulation is no Vault. It knows the requests of the transit engine that the product makes, as the API's
documentation describes them: keys, their configuration, encrypt and decrypt with associated data, policies
(here: one token that may all), sealing. It shows that we ask as documented, not that Vault answers so.
"""

from __future__ import annotations

import base64
import importlib
import json
import os
import secrets
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so")
PIN = "1234"
TOKEN = "s.test"  # noqa: S105 (of the simulation)


@dataclass
class SoftHSM:
    """Tokens in a folder; SOFTHSM2_CONF names it for this process and its children."""

    folder: Path
    module: str

    def settings(self, label: str) -> dict[str, Any]:
        return {"pkcs11_module": self.module, "pkcs11_token": label}

    def add(self, label: str) -> None:
        command = ["softhsm2-util", "--init-token", "--free", "--label", label]
        subprocess.run([*command, "--so-pin", "5678", "--pin", PIN], check=True, capture_output=True)

    def hide(self) -> None:
        """Disconnect the tokens; SoftHSM2 looks for them when it is started."""
        (self.folder / "tokens").rename(self.folder / "away")
        (self.folder / "tokens").mkdir()
        importlib.import_module("pkcs11").lib(self.module).reinitialize()

    def show(self) -> None:
        (self.folder / "tokens").rmdir()
        (self.folder / "away").rename(self.folder / "tokens")


@contextmanager
def softhsm(folder: Path) -> Iterator[SoftHSM]:
    """Run SoftHSM2 on a folder, or skip."""
    pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed (the extra `pkcs11`)")
    module = next((m for m in MODULES if Path(m).exists()), None)
    if module is None or shutil.which("softhsm2-util") is None:
        pytest.skip("SoftHSM2 is not installed (Debian: apt-get install softhsm2)")
    (folder / "tokens").mkdir(parents=True)
    text = f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"
    (folder / "conf").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(folder / "conf"))
        patch.setenv("PASSERSBY_PKCS11_PIN", PIN)
        importlib.import_module("pkcs11").lib(module).reinitialize()  # it may know an earlier test's tokens
        yield SoftHSM(folder, module)


@dataclass
class Vault:
    """State of the simulation."""

    url: str = ""
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    sealed: bool = False
    ignores_associated_data: bool = False

    def settings(self) -> dict[str, Any]:
        return {"vault_url": self.url}


@contextmanager
def simulated_vault(port: int = 0) -> Iterator[Vault]:
    """Run the simulation on this machine."""
    vault = Vault()
    server = ThreadingHTTPServer(("127.0.0.1", port), _handler(vault))
    vault.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("VAULT_TOKEN", TOKEN)
            yield vault
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(vault: Vault) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length) or b"{}")
            vault.asked.append(f"{self.command} {self.path}")
            status, answer = _answer(vault, self.command, self.path, body, self.headers.get("X-Vault-Token"))
            data = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 (names of the base class)

    return Handler


def _answer(vault: Vault, method: str, path: str, body: Any, token: str | None) -> tuple[int, Any]:
    parts = path.removeprefix("/v1/").split("/")
    name = parts[2]
    key = vault.keys.get(name)
    found: tuple[int, Any]
    if vault.sealed:
        found = 503, {"errors": ["Vault is sealed"]}
    elif token != TOKEN:
        found = 403, {"errors": ["permission denied"]}
    elif parts[0] != "transit":
        found = 404, {"errors": [f"no handler for route {path!r}"]}
    elif parts[1] == "keys":
        found = _key(vault, method, name, key, body, parts[3:])
    elif key is None and parts[1] == "decrypt":
        found = 400, {"errors": ["encryption key not found"]}
    else:
        assert method in {"POST", "PUT"}
        # the API makes a key that is not there
        found = _use(vault, parts[1], vault.keys.setdefault(name, _new()), body)
    return found


def _use(vault: Vault, how: str, key: dict[str, Any], body: Any) -> tuple[int, Any]:
    aad = b"" if vault.ignores_associated_data else base64.b64decode(body.get("associated_data", ""))
    if how == "encrypt":
        nonce = os.urandom(12)
        sealed = nonce + AESGCM(key["secret"]).encrypt(nonce, base64.b64decode(body["plaintext"]), aad)
        return 200, {"data": {"ciphertext": f"vault:v1:{base64.b64encode(sealed).decode()}"}}
    head, _, text = body["ciphertext"].rpartition(":")
    try:
        data = base64.b64decode(text)
        opened = AESGCM(key["secret"]).decrypt(data[:12], data[12:], aad) if head == "vault:v1" else None
    except (InvalidTag, ValueError):
        opened = None
    if opened is None:
        return 400, {"errors": ["cipher: message authentication failed"]}
    return 200, {"data": {"plaintext": base64.b64encode(opened).decode()}}


def _new() -> dict[str, Any]:
    return {"secret": secrets.token_bytes(32), "deletion_allowed": False, "exportable": False}


def _key(
    vault: Vault, method: str, name: str, key: dict[str, Any] | None, body: Any, rest: list[str]
) -> tuple[int, Any]:
    if rest == ["config"]:
        if key is None:
            return 400, {"errors": [f"no existing key named {name} could be found"]}
        key["deletion_allowed"] = body["deletion_allowed"]
        return 204, None
    if method == "GET":
        shown = key and {k: v for k, v in key.items() if k != "secret"}
        return (404, {"errors": []}) if key is None else (200, {"data": {**(shown or {}), "name": name}})
    if method == "DELETE":
        if key is None or not key["deletion_allowed"]:
            return 400, {"errors": ["deletion is not allowed for this key"]}
        del vault.keys[name]
        return 204, None
    assert body["type"] == "aes256-gcm96"
    assert body["exportable"] is False
    vault.keys.setdefault(name, _new())
    return 204, None
