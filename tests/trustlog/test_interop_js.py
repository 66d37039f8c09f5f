"""npm's `@sigstore/verify` accepts the log's checkpoints and proofs, and rejects changed ones.

Needs node and npm; the package comes from the registry, as `js/package-lock.json` pins it, into the cache of
pytest.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from passersby.trustlog.checkpoint import Checkpoint, VerifierKey, sign
from passersby.trustlog.entries import stored
from passersby.trustlog.verify import prove
from trustlog.witnessed import LOG_KEY, NAMES, ORIGIN, cosign_published

HERE = Path(__file__).parent / "js"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def modules(request: pytest.FixtureRequest) -> Path:
    """Folder of the pinned packages; installed once, whatever the number of workers."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is missing: apt-get install nodejs npm")
    assert request.config.cache is not None
    folder = request.config.cache.mkdir("passersby-interop-js")
    lock = (HERE / "package-lock.json").read_bytes()
    with (folder / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = folder / "installed"
        if not done.exists() or done.read_bytes() != lock:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, folder)
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if found.returncode:
                pytest.skip(f"npm cannot install @sigstore/verify: {found.stderr.strip()[-300:]}")
            done.write_bytes(lock)
    return folder / "node_modules"


@pytest.fixture
def node(modules: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """A function that gives an entry with its proof to the library."""
    public = LOG_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def run(index: int, entry: bytes, proof: str) -> subprocess.CompletedProcess[str]:
        given = {
            "origin": ORIGIN,
            "keyId": VerifierKey.of(ORIGIN, LOG_KEY).key_id.hex(),
            "publicKey": base64.b64encode(public).decode(),
            "index": index,
            "entry": base64.b64encode(entry).decode(),
            "proof": proof,
        }
        path = tmp_path / "given.json"
        path.write_text(json.dumps(given))
        environment = os.environ | {"PASSERSBY_NODE_MODULES": str(modules)}
        command = ["node", str(HERE / "verify.js"), str(path)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return run


def entry_of(log: Any, index: int) -> bytes:
    with log.database.read() as session:
        return stored(session, index, index + 1)[0]


@pytest.mark.parametrize("index", [0, 255, 256, 599])
def test_node_accepts_entries_with_their_proofs(node: Any, published: Any, index: int) -> None:
    cosign_published(published, *NAMES)  # signatures of witnesses do not confuse it
    done = node(index, entry_of(published, index), prove(published.folder, index))
    assert done.stdout == f"verified {ORIGIN} 600 {index}\n", done.stderr


def test_node_accepts_the_only_entry(node: Any, log: Any) -> None:
    log.grown(1)
    assert node(0, entry_of(log, 0), prove(log.folder, 0)).returncode == 0


def test_node_rejects_what_was_changed(node: Any, published: Any) -> None:
    entry, proof = entry_of(published, 300), prove(published.folder, 300)
    head, _, note = proof.partition("\n\n")
    forged_root = sign(Checkpoint(ORIGIN, 600, b"\x00" * 32), LOG_KEY)
    lines = head.split("\n")
    swapped = "\n".join([*lines[:2], lines[3], lines[2], *lines[4:]])
    for what, arguments in {
        "another entry": (300, entry_of(published, 301), proof),
        "a flipped entry": (300, entry[:-1] + b"~", proof),
        "another index": (301, entry, proof),
        "a forged size": (300, entry, proof.replace("\n600\n", "\n601\n")),
        "a signed root of other entries": (300, entry, f"{head}\n\n{forged_root}"),
        "hashes in another order": (300, entry, f"{swapped}\n\n{note}"),
        "a hash too few": (300, entry, "\n".join(lines[:-1]) + f"\n\n{note}"),
    }.items():
        done = node(*arguments)
        assert (done.returncode, done.stdout) == (1, "refused TLOG_INCLUSION_PROOF_ERROR\n"), what
