"""Proofs of single entries: they hold without the log, and for nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from passersby.errors import IntegrityError, UnknownName
from passersby.trustlog.checkpoint import VerifierKey
from passersby.trustlog.entries import stored
from passersby.trustlog.verify import prove, verify_proof

ORIGIN = "example.org/passersby"


def entry(log: Any, index: int) -> bytes:
    with log.database.read() as session:
        return stored(session, index, index + 1)[0]


@pytest.mark.parametrize("index", [0, 255, 256, 511, 512, 599])
def test_an_entry_is_proven_without_the_log(published: Any, index: int) -> None:
    proof = prove(published.folder, index)
    proven = verify_proof(entry(published, index), proof, published.vkey)
    assert (proven.index, proven.checkpoint.size, proven.checkpoint.origin) == (index, 600, ORIGIN)


def test_the_proof_has_the_format_of_tlog_proof(published: Any) -> None:
    note = (published.folder / "checkpoint").read_text(encoding="utf-8")
    head, _, tail = prove(published.folder, 599).partition("\n\n")
    lines = head.split("\n")
    assert lines[:2] == ["c2sp.org/tlog-proof@v1", "index 599"]
    assert all(len(line) == 44 for line in lines[2:])
    assert tail == note


def test_the_only_entry_needs_no_hashes(log: Any) -> None:
    log.grown(1)
    proof = prove(log.folder, 0)
    assert proof.startswith("c2sp.org/tlog-proof@v1\nindex 0\n\nexample.org/passersby\n1\n")
    assert verify_proof(entry(log, 0), proof, log.vkey).index == 0


def test_extra_data_is_passed_over(published: Any) -> None:
    proof = prove(published.folder, 3).replace("\nindex", "\nextra AAAA\nindex")
    assert verify_proof(entry(published, 3), proof, published.vkey).index == 3


def test_another_entry_is_not_proven(published: Any) -> None:
    with pytest.raises(IntegrityError, match="does not prove that this is entry 3"):
        verify_proof(entry(published, 4), prove(published.folder, 3), published.vkey)


def test_another_index_is_not_proven(published: Any) -> None:
    proof = prove(published.folder, 3).replace("index 3\n", "index 4\n")
    with pytest.raises(IntegrityError, match="does not prove that this is entry 4"):
        verify_proof(entry(published, 3), proof, published.vkey)


def test_a_proof_under_another_key_is_refused(published: Any) -> None:
    stranger = VerifierKey.of(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"\x08" * 32)).encode()
    with pytest.raises(IntegrityError, match="The proof's checkpoint"):
        verify_proof(entry(published, 3), prove(published.folder, 3), stranger)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("@v1", "@v2"),
        ("index 3", "index 03"),
        ("index 3", "index -3"),
        ("index 3\n", ""),
        ("index 3\n", "index 3\nAAAA\n"),
        ("index 3\n", "index 3\n" + ("A" * 43 + "=\n") * 65),
        ("index 3\n", "index 3\nextra AAAA\n"),
    ],
)
def test_a_malformed_proof_is_refused(published: Any, old: str, new: str) -> None:
    proof = prove(published.folder, 3).replace(old, new, 1)
    with pytest.raises(IntegrityError, match="proof is malformed"):
        verify_proof(entry(published, 3), proof, published.vkey)


@pytest.mark.parametrize(
    "proof", ["", "\n\n", "c2sp.org/tlog-proof@v1", "c2sp.org/tlog-proof@v1\nindex 3\n\n"]
)
def test_a_proof_that_was_cut_off_is_refused(log: Any, proof: str) -> None:
    with pytest.raises(IntegrityError):
        verify_proof(b"{}", proof, log.vkey)


@pytest.mark.parametrize("index", [-1, 600, 10_000])
def test_an_entry_that_is_not_published_cannot_be_proven(published: Any, index: int) -> None:
    with pytest.raises(UnknownName, match="it holds 600"):
        prove(published.folder, index)


def test_a_damaged_log_gives_no_proof(published: Any) -> None:
    path = published.folder / "tile/entries/001"
    path.write_bytes(path.read_bytes().replace(b'"delivery":300', b'"delivery":301', 1))
    with pytest.raises(IntegrityError, match="Entry 300 does not fit"):
        prove(published.folder, 300)


def test_a_folder_without_a_log_gives_no_proof(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="checkpoint is missing"):
        prove(tmp_path, 0)
