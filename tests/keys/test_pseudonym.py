"""Pseudonyms are the first 8 bytes of the standard library's HMAC-SHA-256, for every id and key."""

from __future__ import annotations

import hmac
import random
import uuid

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from passersby.keys import pseudonym
from passersby.keys.pseudonym import pseudonyms

_KEY = bytes(range(32))


def _standard(ids: list[str], key: bytes) -> list[int]:
    digests = [hmac.digest(key, one.encode(), "sha256") for one in ids]
    return [int.from_bytes(digest[:8], "little", signed=True) for digest in digests]


@given(st.lists(st.text(max_size=150), max_size=8), st.binary(min_size=1, max_size=100))
@example(["x" * n for n in range(140)], _KEY)
def test_they_are_those_of_the_standard_library(ids: list[str], key: bytes) -> None:
    made = pseudonyms(ids, key)
    assert made.dtype == np.int64
    assert made.tolist() == _standard(ids, key)


@pytest.mark.parametrize(
    ("key", "text", "digest"),
    [
        ("0b" * 20, "Hi There", "b0344c61d8db3853"),
        (b"Jefe".hex(), "what do ya want for nothing?", "5bdcc146bf60754e"),
        ("aa" * 131, "Test Using Larger Than Block-Size Key - Hash Key First", "60e431591ee0b67f"),
    ],
)
def test_vectors_of_rfc_4231(key: str, text: str, digest: str) -> None:
    assert pseudonyms([text], bytes.fromhex(key))[0].tobytes().hex() == digest


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
)
def test_every_arrow_string_is_read(kind: pa.DataType) -> None:
    ids = ["", "a", "länger als zwölf Zeichen", "a"]
    assert pseudonyms(pa.array(ids).cast(kind), _KEY).tolist() == _standard(ids, _KEY)


def test_a_slice_of_an_array_is_read() -> None:
    ids = [str(n) for n in range(100)]
    assert pseudonyms(pa.array(ids).slice(17, 40), _KEY).tolist() == _standard(ids[17:57], _KEY)


def test_a_column_of_polars_is_read() -> None:
    ids = [str(n) for n in range(10)]
    assert pseudonyms(pl.Series(ids).to_arrow(), _KEY).tolist() == _standard(ids, _KEY)


def test_an_empty_array_is_read() -> None:
    assert pseudonyms(pa.array([], pa.string()), _KEY).shape == (0,)


def test_an_array_of_empty_ids_is_read() -> None:
    assert pseudonyms(["", ""], _KEY).tolist() == _standard(["", ""], _KEY)


def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pseudonym, "_SLICE", 7)
    world = random.Random(1)
    ids = [str(uuid.UUID(int=world.getrandbits(128))) for _ in range(1000)]
    assert pseudonyms(ids, _KEY, threads=3).tolist() == _standard(ids, _KEY)


def test_a_null_is_refused() -> None:
    with pytest.raises(ValueError, match="null"):
        pseudonyms(pa.array(["a", None]), _KEY)


def test_an_empty_key_is_refused() -> None:
    with pytest.raises(ValueError, match="key"):
        pseudonyms(["a"], b"")
