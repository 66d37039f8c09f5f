from __future__ import annotations

import datetime as dt
import uuid

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passersby.synth import texts

WORDS = st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.booleans()), max_size=20)


@given(rows=WORDS)
def test_uuids_are_version_4_in_the_right_case(rows: list[tuple[int, int, bool]]) -> None:
    high, low = (np.array([row[i] for row in rows], dtype=np.uint64) for i in (0, 1))
    upper = np.array([row[2] for row in rows], dtype=bool)
    for text, capital in zip(texts.uuids(high, low, upper).to_list(), upper, strict=True):
        parsed = uuid.UUID(text)
        assert parsed.version == 4
        assert parsed.variant == uuid.RFC_4122
        assert text == (str(parsed).upper() if capital else str(parsed))


def test_uuids_use_all_their_random_bits() -> None:
    rng = np.random.default_rng(1)
    words = rng.integers(0, 2**63, (2, 20_000)).astype(np.uint64)
    assert texts.uuids(words[0], words[1], np.zeros(20_000, dtype=bool)).n_unique() == 20_000
    changed = texts.uuids(words[0], words[1] ^ np.uint64(1), np.zeros(20_000, dtype=bool))
    assert (changed != texts.uuids(words[0], words[1], np.zeros(20_000, dtype=bool))).all()


@given(seconds=st.lists(st.integers(0, 86_399), max_size=30), minutes=st.integers(-48, 56))
def test_stamps_are_iso_8601(seconds: list[int], minutes: int) -> None:
    zone = dt.timezone(dt.timedelta(minutes=15 * minutes))
    midnight = dt.datetime(2026, 5, 11, tzinfo=zone)
    got = texts.stamps(np.array(seconds, dtype=np.int32), "2026-05-11", midnight.isoformat()[19:])
    assert got.to_list() == [(midnight + dt.timedelta(seconds=s)).isoformat() for s in seconds]


@pytest.mark.parametrize(
    ("lat", "lon", "expected"),
    [
        (57.64911, 10.40744, "u4pruyd"),  # the example of Wikipedia
        (-25.382708, -49.265506, "6gkzwgj"),
        (-90.0, -180.0, "0000000"),
    ],
)
def test_geohashes_agree_with_published_ones(lat: float, lon: float, expected: str) -> None:
    assert texts.geohashes(np.array([lat]), np.array([lon])).to_list() == [expected]


@given(north=st.integers(-89_900_000, 89_900_000), east=st.integers(-179_900_000, 179_900_000))
def test_geohashes_agree_with_bisection(north: int, east: int) -> None:
    lat, lon = north / 1e6, east / 1e6
    spans, bits = {0: (-180.0, 180.0), 1: (-90.0, 90.0)}, []
    for turn in range(35):
        low, high = spans[turn % 2]
        middle, value = (low + high) / 2, lat if turn % 2 else lon
        bits.append(value >= middle)
        spans[turn % 2] = (middle, high) if bits[-1] else (low, middle)
    number = sum(bit << (34 - i) for i, bit in enumerate(bits))
    letters = "0123456789bcdefghjkmnpqrstuvwxyz"
    expected = "".join(letters[number >> 5 * (6 - i) & 31] for i in range(7))
    assert texts.geohashes(np.array([lat]), np.array([lon])).to_list() == [expected]
