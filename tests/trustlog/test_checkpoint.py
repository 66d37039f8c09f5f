"""Signed notes, checkpoints and verifier keys, against the specification's own examples."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from passersby.errors import IntegrityError, UsageError
from passersby.trustlog.checkpoint import Checkpoint, VerifierKey, load, sign, unverified, verified
from passersby.trustlog.sources import Disk

KEY = Ed25519PrivateKey.from_private_bytes(b"\x02" * 32)
HEAD = Checkpoint("example.org/log", 7, b"\x05" * 32)
VKEY = VerifierKey.of("example.org/log", KEY).encode()
NOTE = sign(HEAD, KEY).encode()

# Go's golang.org/x/mod/sumdb/note, package documentation: key of PeterNeumann and what it signed.
NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NEUMANN_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "\u2014 PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def test_a_checkpoint_reads_back() -> None:
    assert verified(NOTE, VKEY) == HEAD
    assert unverified(NOTE) == HEAD


def test_the_text_is_three_lines() -> None:
    assert HEAD.text() == "example.org/log\n7\nBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU=\n"


def test_a_key_of_go_reads_and_writes_alike() -> None:
    key = VerifierKey.parse(NEUMANN)
    assert (key.name, key.key_id.hex(), key.encode()) == ("PeterNeumann", "c74f20a3", NEUMANN)


def test_a_signature_of_go_holds() -> None:
    # the signature is right, so that the text is reached, and the text is no checkpoint
    with pytest.raises(IntegrityError, match="three lines"):
        verified(NEUMANN_NOTE.encode(), NEUMANN)
    text, line = NEUMANN_NOTE.split("\n\n")
    signature = base64.b64decode(line.split(" ")[2])
    public = VerifierKey.parse(NEUMANN)
    Ed25519PublicKey.from_public_bytes(public.public_key).verify(signature[4:], f"{text}\n".encode())


def test_signatures_of_others_are_passed_over() -> None:
    witness = Ed25519PrivateKey.from_private_bytes(b"\x03" * 32)
    line = sign(Checkpoint("witness.example", 7, HEAD.root), witness).splitlines()[-1]
    assert verified(NOTE + f"{line}\n".encode(), VKEY) == HEAD


def test_extension_lines_are_signed_too() -> None:
    text = HEAD.text() + "an extension\n"
    key_id = VerifierKey.parse(VKEY).key_id
    signature = base64.b64encode(key_id + KEY.sign(text.encode())).decode()
    note = f"{text}\n\u2014 {HEAD.origin} {signature}\n".encode()
    assert verified(note, VKEY) == HEAD
    with pytest.raises(IntegrityError, match="wrong signature"):
        verified(note.replace(b"an extension", b"on extension"), VKEY)


@given(st.integers(0, len(NOTE) - 1), st.integers(1, 255))
def test_no_byte_can_change(at: int, flip: int) -> None:
    changed = bytearray(NOTE)
    changed[at] ^= flip
    with pytest.raises(IntegrityError):
        verified(bytes(changed), VKEY)


@given(st.integers(0, len(NOTE) - 1))
def test_nothing_can_be_cut_off(end: int) -> None:
    with pytest.raises(IntegrityError):
        verified(NOTE[:end], VKEY)


def test_another_key_is_refused() -> None:
    other = VerifierKey.of("example.org/log", Ed25519PrivateKey.from_private_bytes(b"\x09" * 32))
    with pytest.raises(IntegrityError, match="no signature of the log's key"):
        verified(NOTE, other.encode())


def test_a_checkpoint_of_another_origin_is_refused() -> None:
    text = Checkpoint("example.org/elsewhere", 7, HEAD.root).text()
    signature = base64.b64encode(VerifierKey.parse(VKEY).key_id + KEY.sign(text.encode())).decode()
    with pytest.raises(IntegrityError, match="another log"):
        verified(f"{text}\n\u2014 example.org/log {signature}\n".encode(), VKEY)


def test_one_wrong_signature_of_the_key_spoils_the_note() -> None:
    forged = base64.b64encode(VerifierKey.parse(VKEY).key_id + b"\x00" * 64).decode()
    with pytest.raises(IntegrityError, match="wrong signature"):
        verified(NOTE + f"\u2014 example.org/log {forged}\n".encode(), VKEY)


@pytest.mark.parametrize(
    "text",
    [
        "example.org/log\n7\n",
        "example.org/log\n07\n" + "A" * 43 + "=\n",
        "example.org/log\n-7\n" + "A" * 43 + "=\n",
        "example.org/log\n7\nAAAA\n",
        "\n7\n" + "A" * 43 + "=\n",
        "example.org/log\r\n7\n" + "A" * 43 + "=\n",
        "example.org/log\n7\n" + "A" * 42 + "B=\n",
    ],
)
def test_a_malformed_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(IntegrityError):
        unverified(f"{text}\n\u2014 example.org/log AAAAAAAA\n".encode())


@pytest.mark.parametrize(
    "line", ["- example.org/log AAAAAAAA", "\u2014 a b AAAAAAAA", "\u2014 a AAAA", "\u2014 a+b AAAAAAAA", "x"]
)
def test_a_malformed_signature_line_is_refused(line: str) -> None:
    with pytest.raises(IntegrityError, match="malformed signature line"):
        unverified(f"{HEAD.text()}\n{line}\n".encode())


def test_a_note_that_is_not_text_is_refused() -> None:
    with pytest.raises(IntegrityError, match="UTF-8"):
        unverified(b"\xff" + NOTE)


def test_a_huge_note_is_refused() -> None:
    with pytest.raises(IntegrityError, match="too long"):
        unverified(NOTE + b"x" * (1 << 20))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.org/log",
        VKEY.replace("+A", "+B"),
        VKEY[:-4],
        VKEY.replace("example.org", "example.com"),
        NEUMANN.replace("c74f20a3", "c74f20a4"),
        "a+530d903a+" + base64.b64encode(b"\x04" + b"\x00" * 32).decode(),
    ],
)
def test_a_malformed_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        VerifierKey.parse(text)


@pytest.mark.parametrize("name", ["", "two words", "a+b", "line\nbreak"])
def test_a_log_needs_a_proper_name(name: str) -> None:
    with pytest.raises(UsageError):
        VerifierKey.of(name, KEY)


def test_nothing_published_is_none(tmp_path: Path) -> None:
    assert load(Disk(tmp_path)) is None
