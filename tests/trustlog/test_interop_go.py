"""Go's own implementation of the formats reads the published log, and rejects what was changed.

Needs Debian's `golang-go` and `golang-golang-x-mod-dev`; no network.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import insert

import loopback
from passersby.demo import elsewhere
from passersby.store.tables import LogEntry, LogState
from passersby.trustlog.checkpoint import Checkpoint, VerifierKey, sign
from passersby.trustlog.cosigning import Cosigning, Outside
from passersby.trustlog.export import export
from passersby.trustlog.hashing import grow, leaf_hash
from passersby.trustlog.heads import Quorum
from passersby.trustlog.publish import Publisher
from passersby.trustlog.verify import prove
from passersby.trustlog.web import Site
from trustlog.witnessed import KEYS, LOG_KEY, NAMES, ORIGIN, cosign_published, make_witness

KEY = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def go(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Build the Go verifier once; return a function that runs it."""
    if reason := elsewhere.missing():
        pytest.skip(reason)
    binary = elsewhere.build(tmp_path_factory.mktemp("go"))

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([binary, *map(str, arguments)], capture_output=True, text=True, check=False)

    return run


@pytest.mark.parametrize("size", [1, 255, 256, 257, 600])
def test_go_replays_every_entry_and_tile(go: Any, log: Any, size: int) -> None:
    log.grown(size)
    done = go(log.folder, log.vkey)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[0] == f"entries {size}"


def test_go_replays_a_log_with_three_levels_of_tiles(go: Any, make_log: Any) -> None:
    log = make_log()
    bodies = [b'{"kind":"epoch.destroyed","time":%d}' % i for i in range(65_800)]
    frontier: list[bytes] = []
    for index, body in enumerate(bodies):
        grow(frontier, index, leaf_hash(body))
    rows = [{"index": i, "body": body, "leaf": leaf_hash(body)} for i, body in enumerate(bodies)]
    with log.database.write() as session:  # one statement: appending one by one takes a minute
        session.execute(insert(LogEntry), rows)
        session.execute(insert(LogState).values(id=1, size=len(rows), frontier=b"".join(frontier)))
    log.publish()
    done = go(log.folder, log.vkey)
    # 65,800 = 257 * 256 + 8: 258 tiles, 2 above them, 1 above those
    assert (done.returncode, done.stdout.splitlines()) == (0, ["entries 65800", "tiles 261"]), done.stdout


def test_go_finds_consistency_and_the_proof(go: Any, log: Any, tmp_path: Path) -> None:
    log.grown(300)
    older = tmp_path / "older"
    shutil.copy(log.folder / "checkpoint", older)
    log.grown(300)
    proof = tmp_path / "entry.tlog-proof"
    proof.write_text(prove(log.folder, 299), encoding="utf-8")
    done = go(log.folder, log.vkey, older, proof)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[2:] == ["consistent 300", "proof 299"]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def test_go_rejects_every_flipped_file(go: Any, published: Any) -> None:
    names = [
        "checkpoint",
        "tile/0/000",
        "tile/0/002.p/88",
        "tile/1/000.p/2",
        "tile/entries/001",
        "tile/entries/002.p/88",
    ]
    for name in names:
        whole = (published.folder / name).read_bytes()
        flip(published.folder / name)
        assert go(published.folder, published.vkey).returncode == 1, name
        (published.folder / name).write_bytes(whole)
    assert go(published.folder, published.vkey).returncode == 0


def test_go_rejects_a_missing_bundle(go: Any, published: Any) -> None:
    (published.folder / "tile/entries/001").unlink()
    done = go(published.folder, published.vkey)
    assert done.returncode == 1
    assert "tile/entries/001" in done.stdout


def test_go_rejects_a_forged_size(go: Any, published: Any) -> None:
    note = (published.folder / "checkpoint").read_bytes()
    forged = note.replace(b"\n600\n", b"\n599\n")
    assert forged != note
    (published.folder / "checkpoint").write_bytes(forged)
    assert go(published.folder, published.vkey).returncode == 1


def test_go_rejects_a_signed_root_of_other_entries(go: Any, published: Any) -> None:
    forged = sign(Checkpoint("example.org/passersby", 600, b"\x00" * 32), KEY)
    (published.folder / "checkpoint").write_text(forged, encoding="utf-8")
    done = go(published.folder, published.vkey)
    assert done.returncode == 1
    assert "another root hash" in done.stdout


def test_go_rejects_a_forked_history(go: Any, published: Any, fork: Any) -> None:
    done = go(fork.folder, fork.vkey, published.folder / "checkpoint")
    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == "entries 600"


def test_go_rejects_another_key(go: Any, published: Any) -> None:
    stranger = VerifierKey.of("example.org/passersby", Ed25519PrivateKey.from_private_bytes(b"\x08" * 32))
    assert go(published.folder, stranger.encode()).returncode == 1


def witnesses(*keys: VerifierKey) -> list[str]:
    return [argument for key in keys for argument in ("-witness", key.encode())]


def test_go_counts_the_witnesses(go: Any, published: Any) -> None:
    cosign_published(published, *NAMES)
    done = go(*witnesses(*KEYS), "-quorum", 2, published.folder, published.vkey)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "witnesses 2"), done.stdout


def test_go_reads_what_our_witness_signed_over_http(go: Any, log: Any, tmp_path: Path) -> None:
    log.add(300)
    with loopback.serving(make_witness(tmp_path, NAMES[0])) as url:
        quorum = Quorum(KEYS[:1], 1)
        publisher = Publisher(log.folder, ORIGIN, LOG_KEY, quorum=quorum)
        cosigning = Cosigning(log.database, publisher, [Outside(KEYS[0], Site(url))], demo=False)
        cosigning.require_quorum(299, now=int(time.time()))
    done = go(*witnesses(KEYS[0]), "-quorum", 1, log.folder, log.vkey)
    assert done.returncode == 0, done.stdout


def test_go_rejects_a_dropped_witness(go: Any, published: Any) -> None:
    cosign_published(published, *NAMES)
    path = published.folder / "checkpoint"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    done = go(*witnesses(*KEYS), "-quorum", 2, published.folder, published.vkey)
    assert (done.returncode, "1 witnesses signed, 2 are needed" in done.stdout) == (1, True)


def test_go_rejects_a_cosignature_of_another_checkpoint(go: Any, published: Any, fork: Any) -> None:
    cosign_published(published, *NAMES)
    note, stolen = (folder / "checkpoint" for folder in (fork.folder, published.folder))
    whole = note.read_bytes()
    note.write_bytes(whole + b"".join(stolen.read_bytes().splitlines(keepends=True)[-2:]))
    done = go(*witnesses(*KEYS), "-quorum", 2, fork.folder, fork.vkey)
    note.write_bytes(whole)
    assert done.returncode == 1
    assert "invalid signature" in done.stdout


def test_go_replays_an_exported_copy(go: Any, published: Any, tmp_path: Path) -> None:
    cosign_published(published, *NAMES)
    export(published.folder, tmp_path / "out", published.vkey)
    done = go(*witnesses(*KEYS), "-quorum", 2, tmp_path / "out", published.vkey)
    assert (done.returncode, done.stdout.splitlines()) == (0, ["witnesses 2", "entries 600", "tiles 4"])
