"""Turns advertising ids into 64-bit pseudonyms: the first 8 bytes of HMAC-SHA-256(epoch key, id).

`hashlib` needs a Python call for each id and holds the interpreter lock on texts as short as these; the
kernel below hashes an Arrow buffer as it lies (FIPS 180-4, RFC 2104), on as many threads as it is given.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import uint32, uint64

from passersby.compiled import compiled

_Words: TypeAlias = npt.NDArray[np.uint32]

_SLICE = 65_536
"""Ids that one thread hashes at a time."""

_BLOCK = 64
_INITIAL = np.array(  # FIPS 180-4 section 5.3.3
    [0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19],
    dtype=np.uint32,
)
_K = np.frombuffer(  # FIPS 180-4 section 4.2.2
    bytes.fromhex(
        "428a2f9871374491b5c0fbcfe9b5dba53956c25b59f111f1923f82a4ab1c5ed5d807aa9812835b01243185be550c7dc3"
        "72be5d7480deb1fe9bdc06a7c19bf174e49b69c1efbe47860fc19dc6240ca1cc2de92c6f4a7484aa5cb0a9dc76f988da"
        "983e5152a831c66db00327c8bf597fc7c6e00bf3d5a7914706ca63511429296727b70a852e1b21384d2c6dfc53380d13"
        "650a7354766a0abb81c2c92e92722c85a2bfe8a1a81a664bc24b8b70c76c51a3d192e819d6990624f40e3585106aa070"
        "19a4c1161e376c082748774c34b0bcb5391c0cb34ed8aa4a5b9cca4f682e6ff3748f82ee78a5636f84c878148cc70208"
        "90befffaa4506cebbef9a3f7c67178f2"
    ),
    dtype=">u4",
).astype(np.uint32)


def pseudonyms(ids: Sequence[str] | pa.Array, key: bytes, *, threads: int = 1) -> npt.NDArray[np.int64]:
    """Return one pseudonym for each id, in order.

    Args:
        ids: normalised advertising ids; an Arrow array of strings is read without a copy of its text.
        key: an epoch key.
        threads: most threads to use.

    Returns:
        The first 8 bytes of HMAC-SHA-256(key, id in UTF-8), read as little-endian signed integers.

    Raises:
        ValueError: an id is null, or the key is empty.
    """
    array = pa.array(ids, pa.large_string()) if not isinstance(ids, pa.Array) else ids.cast(pa.large_string())
    if array.null_count:
        raise ValueError("an id is null")
    offsets, text = _buffers(array)
    inner, outer = _padded_states(key)
    result = np.empty(len(array), dtype=np.uint64)
    starts = range(0, len(array), _SLICE)

    def work(start: int) -> None:
        _hash_all(text, offsets[start : start + _SLICE + 1], inner, outer, result[start : start + _SLICE])

    if threads > 1 and len(starts) > 1:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, starts))
    else:
        for start in starts:
            work(start)
    return result.view(np.int64)


def _buffers(array: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Return the offsets (length n + 1) and the text of a large_string array."""
    _, offsets, text = array.buffers()
    if offsets is None or len(array) == 0:
        return np.zeros(1, np.int64), np.zeros(0, np.uint8)
    ends = np.frombuffer(offsets, np.int64, count=len(array) + 1, offset=array.offset * 8)
    return ends, np.zeros(0, np.uint8) if text is None else np.frombuffer(text, np.uint8)


def _padded_states(key: bytes) -> tuple[_Words, _Words]:
    """Return SHA-256's state after HMAC's inner and outer key block (RFC 2104 section 2)."""
    if not key:
        raise ValueError("the key is empty")
    short = key if len(key) <= _BLOCK else hashlib.sha256(key).digest()
    block = np.frombuffer(short.ljust(_BLOCK, b"\0"), np.uint8)
    states = []
    for pad in (0x36, 0x5C):
        words = np.zeros(64, np.uint32)
        words[:16] = np.frombuffer((block ^ np.uint8(pad)).tobytes(), ">u4")
        state = _INITIAL.copy()
        _compress(state, words)
        states.append(state)
    return states[0], states[1]


@compiled
def _rotated(x: np.uint32, n: int) -> np.uint32:
    return uint32((x >> uint32(n)) | (x << uint32(32 - n)))


@compiled
def _compress(state: _Words, w: _Words) -> None:
    """FIPS 180-4 section 6.2.2; `w` holds the block in its first 16 words."""
    for i in range(16, 64):
        x, y = w[i - 15], w[i - 2]
        s0 = _rotated(x, 7) ^ _rotated(x, 18) ^ (x >> uint32(3))
        s1 = _rotated(y, 17) ^ _rotated(y, 19) ^ (y >> uint32(10))
        w[i] = uint32(w[i - 16] + s0 + w[i - 7] + s1)
    a, b, c, d = state[0], state[1], state[2], state[3]
    e, f, g, h = state[4], state[5], state[6], state[7]
    for i in range(64):
        s1 = _rotated(e, 6) ^ _rotated(e, 11) ^ _rotated(e, 25)
        t1 = uint32(h + s1 + ((e & f) ^ (~e & g)) + _K[i] + w[i])
        s0 = _rotated(a, 2) ^ _rotated(a, 13) ^ _rotated(a, 22)
        t2 = uint32(s0 + ((a & b) ^ (a & c) ^ (b & c)))
        h, g, f, e = g, f, e, uint32(d + t1)
        d, c, b, a = c, b, a, uint32(t1 + t2)
    state[0] += a
    state[1] += b
    state[2] += c
    state[3] += d
    state[4] += e
    state[5] += f
    state[6] += g
    state[7] += h


@compiled
def _hash_all(
    text: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    inner: _Words,
    outer: _Words,
    result: npt.NDArray[np.uint64],
) -> None:
    """Write the pseudonym of each text[offsets[i]:offsets[i + 1]] to result[i]."""
    state, w = np.empty(8, np.uint32), np.empty(64, np.uint32)
    for row in range(len(result)):
        first, end = offsets[row], offsets[row + 1]
        state[:] = inner
        _absorb(state, w, text, first, end)
        w[:8] = state
        w[8] = uint32(0x80000000)
        w[9:15] = 0
        w[15] = uint32((_BLOCK + 32) * 8)
        state[:] = outer
        _compress(state, w)
        result[row] = _first_8_bytes(state)


@compiled
def _absorb(state: _Words, w: _Words, text: npt.NDArray[np.uint8], first: int, end: int) -> None:
    """Hash text[first:end] after one key block, with its padding (FIPS 180-4 section 5.1.1)."""
    length = end - first
    blocks = (length + 9 + _BLOCK - 1) // _BLOCK
    for block in range(blocks):
        for i in range(16):
            word = uint32(0)
            for at in range(block * _BLOCK + 4 * i, block * _BLOCK + 4 * i + 4):
                byte = uint32(0)
                if at < length:
                    byte = uint32(text[first + at])
                elif at == length:
                    byte = uint32(0x80)
                word = uint32((word << uint32(8)) | byte)
            w[i] = word
        if block == blocks - 1:
            bits = (_BLOCK + length) * 8
            w[14], w[15] = uint32(bits >> 32), uint32(bits & 0xFFFFFFFF)
        _compress(state, w)


@compiled
def _first_8_bytes(state: _Words) -> np.uint64:
    """Return the digest's first 8 bytes as a little-endian integer; its words are big-endian."""
    value = uint64(0)
    for i in range(8):
        byte = (state[i // 4] >> uint32(24 - 8 * (i % 4))) & uint32(0xFF)
        value |= uint64(byte) << uint64(8 * i)
    return value
