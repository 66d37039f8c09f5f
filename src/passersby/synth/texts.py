"""Columns of text made as fixed-width bytes: advertising ids, clock times, geohashes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from passersby.compiled import compiled
from passersby.synth.dice import State

Bytes = npt.NDArray[np.uint8]

_HEX = np.frombuffer(b"0123456789abcdef0123456789ABCDEF", dtype=np.uint8)
_BASE32 = np.frombuffer(b"0123456789bcdefghjkmnpqrstuvwxyz", dtype=np.uint8)
_DASHES = (8, 13, 18, 23)
_U4, _U15 = np.uint64(4), np.uint64(15)

GEOHASH = 7
"""Characters of a geohash: a cell of about 150 m."""


def series(name: str, rows: Bytes) -> pl.Series:
    """Return a text column of `rows` (ASCII bytes, one row of the same width for each value)."""
    n, width = rows.shape
    offsets = np.arange(0, (n + 1) * width, width, dtype=np.int64)
    parts = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(rows))]
    return pl.Series(name, pa.Array.from_buffers(pa.large_string(), n, parts), dtype=pl.String)


@compiled
def _uuids(high: State, low: State, upper: npt.NDArray[np.bool_], out: Bytes) -> None:
    for i in range(len(high)):
        case = 16 if upper[i] else 0
        bits = high[i]
        for at in range(36):
            if at in _DASHES:
                out[i, at] = 45
                continue
            if at == 19:
                bits = low[i]
            digit = np.int64(bits & _U15)
            bits >>= _U4
            if at == 14:
                digit = np.int64(4)
            elif at == 19:
                digit = 8 + digit % 4
            out[i, at] = _HEX[case + digit]


def uuids(high: State, low: State, upper: npt.NDArray[np.bool_]) -> pl.Series:
    """Return version 4 UUIDs (RFC 9562) from two words each, in capitals where `upper` says so."""
    out = np.empty((len(high), 36), dtype=np.uint8)
    _uuids(high, low, upper, out)
    return series("id", out)


@compiled
def _clock(second: npt.NDArray[np.int32], at: int, out: Bytes) -> None:
    for i in range(len(second)):
        rest = second[i]
        for place, unit in ((0, 36_000), (1, 3_600), (3, 600), (4, 60), (6, 10), (7, 1)):
            out[i, at + place] = 48 + rest // unit
            rest %= unit


def stamps(second: npt.NDArray[np.int32], day: str, offset: str) -> pl.Series:
    """Return ISO 8601 times of one local day, `2026-05-11T08:15:30+02:00`."""
    pattern = np.frombuffer(f"{day}T00:00:00{offset}".encode(), dtype=np.uint8)
    out = np.tile(pattern, (len(second), 1))
    _clock(second, len(day) + 1, out)
    return series("datetime", out)


@compiled
def _geohashes(lat: npt.NDArray[np.float64], lon: npt.NDArray[np.float64], out: Bytes) -> None:
    for i in range(len(lat)):
        x = int((lon[i] + 180.0) / 360.0 * 2**18)
        y = int((lat[i] + 90.0) / 180.0 * 2**17)
        for at in range(GEOHASH):
            digit = 0
            for bit in range(5):
                turn = 5 * at + bit  # even turns take a bit of the longitude, odd ones of the latitude
                value = (y >> (16 - turn // 2)) if turn % 2 else (x >> (17 - turn // 2))
                digit = 2 * digit + (value & 1)
            out[i, at] = _BASE32[digit]


def geohashes(lat: npt.NDArray[np.float64], lon: npt.NDArray[np.float64]) -> pl.Series:
    """Return geohashes (Niemeyer 2008) of `GEOHASH` characters; degrees within the globe."""
    out = np.empty((len(lat), GEOHASH), dtype=np.uint8)
    _geohashes(lat, lon, out)
    return series("geo_hash", out)
