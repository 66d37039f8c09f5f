"""Cosignatures: their bytes, and that no other bytes count."""

from __future__ import annotations

import base64
import struct

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from passersby.errors import IntegrityError, UsageError
from passersby.trustlog.checkpoint import WITNESS, Checkpoint, VerifierKey, sign, verified
from passersby.trustlog.cosignature import add_lines, cosign, cosigned, line_of
from passersby.trustlog.heads import Quorum

LOG = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
ONE = Ed25519PrivateKey.from_private_bytes(b"\x21" * 32)
TWO = Ed25519PrivateKey.from_private_bytes(b"\x22" * 32)
NAMES = {"w.example/1": ONE, "w.example/2": TWO}
KEYS = {name: VerifierKey.of(name, key, WITNESS) for name, key in NAMES.items()}
LOG_VKEY = VerifierKey.of("example.org/log", LOG).encode()
NOTE = sign(Checkpoint("example.org/log", 7, b"\x05" * 32), LOG).encode()
NOW = 1_679_315_147


def line(name: str, note: bytes = NOTE, now: int = NOW) -> str:
    return cosign(note, name, NAMES[name], now=now)


def test_the_bytes_are_those_of_the_specification() -> None:
    """C2SP tlog-cosignature, "Ed25519 signed message" and "Format", put together by hand."""
    data = base64.b64decode(line("w.example/1").split(" ")[2])
    assert data[:4] == KEYS["w.example/1"].key_id
    assert data[4:12] == struct.pack(">Q", NOW)
    text = NOTE.decode().partition("\n\n")[0] + "\n"
    ONE.public_key().verify(data[12:], f"cosignature/v1\ntime {NOW}\n{text}".encode())
    assert len(data) == 76


def test_a_witness_key_has_its_own_type() -> None:
    key = KEYS["w.example/1"]
    assert VerifierKey.parse(key.encode(), WITNESS) == key
    with pytest.raises(UsageError, match="verifier key of a log"):
        VerifierKey.parse(key.encode())
    with pytest.raises(UsageError, match="verifier key of a witness"):
        VerifierKey.parse(LOG_VKEY, WITNESS)


def test_known_witnesses_are_found_and_others_passed_over() -> None:
    note = add_lines(NOTE, {key: line(name) for name, key in KEYS.items()})
    assert cosigned(note, KEYS.values()) == dict.fromkeys(KEYS.values(), NOW)
    assert cosigned(note, [KEYS["w.example/2"]]) == {KEYS["w.example/2"]: NOW}
    assert verified(note, LOG_VKEY).size == 7
    assert cosigned(NOTE, KEYS.values()) == {}


def test_a_newer_line_takes_the_place_of_an_older_one() -> None:
    key = KEYS["w.example/1"]
    old = add_lines(NOTE, {key: line(key.name)})
    new = add_lines(old, {key: line(key.name, now=NOW + 60)})
    assert cosigned(new, [key]) == {key: NOW + 60}
    assert len(new.splitlines()) == len(old.splitlines())


def test_of_two_lines_the_later_time_counts() -> None:
    key = KEYS["w.example/1"]
    both = NOTE + (line(key.name, now=NOW + 60) + line(key.name)).encode()
    assert cosigned(both, [key]) == {key: NOW + 60}


@given(st.integers(0, 75), st.integers(1, 255))
def test_no_byte_of_a_cosignature_can_change(at: int, flip: int) -> None:
    key = KEYS["w.example/1"]
    start, _, encoded = line(key.name).rpartition(" ")
    data = bytearray(base64.b64decode(encoded))
    data[at] ^= flip
    changed = NOTE + f"{start} {base64.b64encode(data).decode()}\n".encode()
    if at < 4:  # another key id: a stranger's signature, which is passed over
        assert cosigned(changed, [key]) == {}
    else:
        with pytest.raises(IntegrityError, match=r"wrong cosignature|malformed cosignature"):
            cosigned(changed, [key])


def test_a_cosignature_of_another_checkpoint_is_wrong() -> None:
    other = sign(Checkpoint("example.org/log", 8, b"\x06" * 32), LOG).encode()
    with pytest.raises(IntegrityError, match=r"wrong cosignature of w\.example/1"):
        cosigned(NOTE + line("w.example/1", other).encode(), KEYS.values())


@pytest.mark.parametrize("data", [b"", b"\x00" * 71, b"\x00" * 73, b"\xff" * 72])
def test_a_malformed_cosignature_is_refused(data: bytes) -> None:
    key = KEYS["w.example/1"]
    encoded = base64.b64encode(key.key_id + data).decode()
    with pytest.raises(IntegrityError, match="malformed"):
        cosigned(NOTE + f"\u2014 {key.name} {encoded}\n".encode(), [key])


def test_the_log_s_own_signature_is_no_cosignature() -> None:
    mine = VerifierKey.of("example.org/log", LOG, WITNESS)
    assert cosigned(NOTE, [mine]) == {}


def test_of_an_answer_only_the_witness_s_newest_line_is_taken() -> None:
    key = KEYS["w.example/1"]
    answer = line("w.example/2") + line(key.name) + line(key.name, now=NOW + 9)
    assert line_of(key, answer.encode(), NOTE) == line(key.name, now=NOW + 9)
    assert line_of(key, line("w.example/2").encode(), NOTE) is None
    for wrong in (b"", b"nothing", b"\xff\n", line(key.name)[:-9].encode()):
        with pytest.raises(IntegrityError):
            line_of(key, wrong, NOTE)


def test_a_quorum_counts_each_key_once() -> None:
    twin = VerifierKey.of("w.example/other-name", ONE, WITNESS)
    with pytest.raises(UsageError, match="named twice"):
        Quorum((KEYS["w.example/1"], twin), 2)
    with pytest.raises(UsageError, match="larger than"):
        Quorum(tuple(KEYS.values()), 3)
    two = Quorum(tuple(KEYS.values()), 2)
    assert not two.holds(two.signers(NOTE + line("w.example/1").encode()))
    assert two.holds(two.signers(add_lines(NOTE, {key: line(name) for name, key in KEYS.items()})))
    assert not Quorum(tuple(KEYS.values()), 0).holds(KEYS.values())
