"""Foreign bytes: random and mutated inputs end in an error of ours, or in a value, and in nothing else.

PASSERSBY_FUZZ sets the number of inputs of each parser; the seed is that of the test run (`-p randomly`).
"""

from __future__ import annotations

import contextlib
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from passersby.errors import PassersbyError
from passersby.keys.signed import Actor
from passersby.store.tables import Person
from passersby.trustlog import disclosure, view
from passersby.trustlog.checkpoint import WITNESS, VerifierKey, unverified, verified
from passersby.trustlog.cosignature import cosigned, line_of
from passersby.trustlog.cosigning import Outside
from passersby.trustlog.receipts import prove, verify_proof
from passersby.trustlog.request import AddCheckpoint, parse_size
from passersby.trustlog.tiles import Place, Tiles, decode_bundle
from trustlog.witnessed import KEYS, LOG_KEY, NAMES, NOW, ORIGIN, cosign_published, make_witness

EVERYDAY, SLOW = 1_000, 10_000
DICTIONARY = (
    b"\n", b"\n\n", b"\xe2\x80\x94 ", b"+", b"=", b"old ", b"index ", b"\x00", b"\xff", b"\xed\xa0\x80", b"0",
    b"-1", b"18446744073709551616", b"9223372036854775807", b"9" * 5000, b"{", b"[" * 3000, b'"', b"\\ud800",
    b"null", b"1e999", b"NaN", b"\r\n", "\u0661".encode(), b"A" * 44, b"c2sp.org/tlog-proof@v1\n",
)  # fmt: skip


def mutated(dice: random.Random, samples: list[bytes]) -> bytes:
    """Return bytes at random, or a sample with a few of its bytes flipped, cut, doubled or put in."""
    if not dice.randrange(10):
        return dice.randbytes(dice.randrange(200))
    data = bytearray(dice.choice(samples))
    for _ in range(dice.randrange(1, 5)):
        at, end = sorted(dice.randrange(len(data) + 1) for _ in range(2))
        step = dice.randrange(7)
        if step == 0 and data:
            data[min(at, len(data) - 1)] ^= 1 << dice.randrange(8)
        elif step == 1:
            del data[at : min(end, at + 60)]
        elif step == 2:
            data[at:at] = data[at : min(end, at + 200)]
        elif step == 3:
            data[at:at] = dice.choice(DICTIONARY)
        elif step == 4:
            data[at : at + 8] = dice.choice(DICTIONARY)
        elif step == 5:
            data[at:at] = dice.choice(samples)[:200]
        else:
            del data[at:]
    return bytes(data)


@pytest.fixture(scope="module")
def seeds(make_log: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[bytes]]:
    """Well-formed inputs of each parser."""
    log = make_log().grown(7, 293)
    cosign_published(log, *NAMES)
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw().hex()
    with log.database.write() as session:
        session.add(
            Person(id="c", name="c", roles='["custodian"]', public_key=public, created=0, active=True)
        )
    actor = Actor("c", frozenset({"custodian"}), key)
    shown = disclosure.disclose(log.database, log.publisher, 7, ["rows"], to="x", actor=actor, now=NOW)
    note = (log.folder / "checkpoint").read_bytes()
    cosignatures = (log.folder / "checkpoint.witnessed").read_bytes()
    request = AddCheckpoint(3, (b"\x07" * 32,) * 4, note).encode()
    place = Place(-1, 1, 44)
    bundle = b"".join(b"\x00\x03abc" for _ in range(44))
    assert decode_bundle(bundle, place)
    assert tmp_path_factory
    return {
        "note": [note, cosignatures],
        "lines": [cosignatures.rpartition(b"\n\n")[2]],
        "request": [request],
        "bundle": [bundle, (log.folder / "tile/entries/000").read_bytes()[:4000]],
        "proof": [prove(log.folder, index).encode() for index in (0, 299)],
        "disclosure": [shown],
        "vkey": [
            log.vkey.encode(),
            KEYS[0].encode().encode(),
            f"{KEYS[0].encode()} https://w.example/x".encode(),
        ],
        "entry": [json.loads(shown)["entry"].encode()],
    }


def text_of(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def parsers(folder: Path, note: bytes) -> dict[str, tuple[str, Callable[[bytes], object]]]:
    """Return name -> (which seeds, what reads the bytes)."""
    vkey = VerifierKey.of(ORIGIN, LOG_KEY).encode()
    witness = make_witness(folder, NAMES[0])

    def tile(data: bytes) -> None:
        class Held:
            def read(self, _path: str, _most: int) -> bytes:
                return data

            def widths(self, _stem: str) -> list[int]:
                return []

        Tiles(Held(), 300).tile(Place(0, 0))

    return {
        "signed note": ("note", lambda data: verified(data, vkey)),
        "checkpoint": ("note", unverified),
        "cosignature": ("note", lambda data: cosigned(data, KEYS)),
        "answer of a witness": ("lines", lambda data: line_of(KEYS[0], data, note)),
        "size told by a witness": ("vkey", parse_size),
        "request to a witness": ("request", lambda data: witness.add_checkpoint(data, now=NOW)),
        "bundle": ("bundle", lambda data: decode_bundle(data, Place(-1, 1, 44))),
        "tile": ("bundle", tile),
        "proof": ("proof", lambda data: verify_proof(b"{}", text_of(data), vkey)),
        "disclosure": ("disclosure", lambda data: disclosure.check(data, vkey)),
        "verifier key": ("vkey", lambda data: VerifierKey.parse(text_of(data), WITNESS)),
        "line of settings": ("vkey", lambda data: Outside.parse(text_of(data))),
        "entry in the public view": ("entry", lambda data: view.digest(Place(-1, 0, 1), [data])),
    }


NAMES_OF_PARSERS = sorted(parsers_name for parsers_name in (
    "signed note", "checkpoint", "cosignature", "answer of a witness", "size told by a witness",
    "request to a witness", "bundle", "tile", "proof", "disclosure", "verifier key", "line of settings",
    "entry in the public view",
))  # fmt: skip


def feed(name: str, count: int, folder: Path, seeds: dict[str, list[bytes]]) -> None:
    which, read = parsers(folder, seeds["note"][0])[name]
    dice = random.Random(random.getrandbits(64))
    for _ in range(count):
        data = mutated(dice, seeds[which])
        try:
            read(data)
        except PassersbyError:
            continue
        except Exception as error:
            error.add_note(f"input: {data!r}")
            raise


def test_every_parser_is_fed(tmp_path: Path, seeds: dict[str, list[bytes]]) -> None:
    found = parsers(tmp_path, seeds["note"][0])
    assert sorted(found) == NAMES_OF_PARSERS
    for which, read in found.values():
        for sample in seeds[which]:  # the samples themselves are read, or refused in our words
            with contextlib.suppress(PassersbyError):
                read(sample)


@pytest.mark.parametrize("name", NAMES_OF_PARSERS)
def test_foreign_bytes_end_in_an_error_of_ours(
    name: str, tmp_path: Path, seeds: dict[str, list[bytes]]
) -> None:
    feed(name, int(os.environ.get("PASSERSBY_FUZZ", EVERYDAY)), tmp_path, seeds)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES_OF_PARSERS)
def test_many_foreign_bytes_end_in_an_error_of_ours(
    name: str, tmp_path: Path, seeds: dict[str, list[bytes]]
) -> None:
    feed(name, int(os.environ.get("PASSERSBY_FUZZ", SLOW)), tmp_path, seeds)
