"""Normal form of advertising ids, so that one phone has one id whoever delivers it.

In order: blanks around it go, the supplier's prefix goes, braces go, ASCII letters become lower case,
and 32 hexadecimal digits get the dashes of RFC 9562 (8-4-4-4-12). Other ids stay as they are
otherwise.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from passersby.compiled import compiled, inlined
from passersby.sources.kernels import Bytes, Flags, Ints, text_buffers, text_column

MAX_BYTES = 128
"""A longer id is implausible."""

OK, MISSING, BAD, ZEROED = 0, 1, 2, 3
_NOTHING = ("null", "none", "nan", "n/a", "\\n", "(null)", "undefined", "unknown")
"""Words that exports write for an id that is not there."""


def normalised(ids: pl.Series, prefix: str = "") -> tuple[pl.Series, Flags]:
    """Return the ids in normal form, and for each `OK`, `MISSING`, `BAD` or `ZEROED`.

    `ZEROED` is the all-zero id, which phones send whose owner has opted out of tracking (Apple's
    ASIdentifierManager and Google Play's AdvertisingIdClient document it). `BAD` ids are longer than
    `MAX_BYTES` or hold control characters; their text is not meaningful.
    """
    data, offsets = text_buffers(ids)
    flags = np.zeros(len(ids), dtype=np.uint8)
    if prefix or not _is_normal(data, offsets, flags):
        flags[:] = OK
        out = np.empty(len(data) + 4 * len(ids), dtype=np.uint8)
        ends = np.zeros(len(ids) + 1, dtype=np.int64)
        used = _normalise(data, offsets, np.frombuffer(prefix.lower().encode(), np.uint8), out, ends, flags)
        data, offsets = out[:used], ends
    result = text_column(ids.name, data, offsets)
    flags[(result.str.len_bytes() <= 9) & result.is_in(_NOTHING)] = MISSING
    return result, flags


@compiled
def _is_normal(data: Bytes, offsets: Ints, flags: Flags) -> bool:
    """Tell whether all ids are in normal form already, and flag the zeroed ones: the usual case."""
    strange = 0
    for i in range(offsets[0], offsets[-1]):
        byte = data[i]
        strange |= (byte <= 0x20) | (byte == 0x7F) | (byte == 0x7B) | ((byte >= 65) & (byte <= 90))
    if strange:
        return False
    for row in range(len(flags)):
        size = offsets[row + 1] - offsets[row]
        if size == 0 or size == 32 or size > MAX_BYTES:  # noqa: PLR1714 (slow when compiled)
            return False
        if size == 36 and _is_zero(data, offsets[row], offsets[row + 1]):
            flags[row] = ZEROED
    return True


@compiled
def _normalise(data: Bytes, offsets: Ints, prefix: Bytes, out: Bytes, ends: Ints, flags: Flags) -> int:
    """Write normal forms to `out`, where each ends to `ends`, what it is to `flags`; return bytes used."""
    used = 0
    for row in range(len(flags)):
        begin, end = _stripped(data, offsets[row], offsets[row + 1], prefix)
        size = end - begin
        if size == 0:
            flags[row] = MISSING
        elif size > MAX_BYTES:
            flags[row] = BAD
        else:
            if _lowered(data, begin, end, out, used):
                flags[row] = BAD
            if size == 32 and _is_hexadecimal(data, begin, end):
                _dashed(out, used)
                size = 36
            if size == 36 and _is_zero(out, used, used + size):
                flags[row] = ZEROED
            used += size
        ends[row + 1] = used
    return used


@inlined
def _lowered(data: Bytes, begin: int, end: int, out: Bytes, at: int) -> bool:
    """Write an id in lower case to `out`; tell whether it holds control characters."""
    control = 0
    for i in range(end - begin):  # without branches: many bytes in one instruction
        byte = data[begin + i]
        out[at + i] = byte + 32 * ((byte >= 65) & (byte <= 90))
        control |= (byte < 0x20) | (byte == 0x7F)
    return control != 0


@compiled
def _dashed(out: Bytes, at: int) -> None:
    """Part the 32 digits at `at` by dashes, from the last one on."""
    moved = 4
    for i in range(31, -1, -1):
        out[at + i + moved] = out[at + i]
        if i == 8 or i == 12 or i == 16 or i == 20:  # noqa: PLR1714 (slow when compiled)
            moved -= 1
            out[at + i + moved] = 45


@compiled
def _stripped(data: Bytes, begin: int, end: int, prefix: Bytes) -> tuple[int, int]:
    while begin < end and (data[begin] == 32 or data[begin] == 9):
        begin += 1
    while end > begin and (data[end - 1] == 32 or data[end - 1] == 9):
        end -= 1
    if 0 < len(prefix) <= end - begin:
        same = True
        for i in range(len(prefix)):
            same = same and _lower(data[begin + i]) == prefix[i]
        begin += len(prefix) * same
    if end - begin >= 2 and data[begin] == 0x7B and data[end - 1] == 0x7D:
        return begin + 1, end - 1
    return begin, end


@compiled
def _lower(byte: int) -> int:
    return byte + 32 if 65 <= byte <= 90 else byte


@compiled
def _is_hexadecimal(data: Bytes, begin: int, end: int) -> bool:
    for i in range(begin, end):
        byte = _lower(data[i])
        if not (48 <= byte <= 57 or 97 <= byte <= 102):
            return False
    return True


@compiled
def _is_zero(data: Bytes, begin: int, end: int) -> bool:
    for i in range(begin, end):
        dash = i - begin == 8 or i - begin == 13 or i - begin == 18 or i - begin == 23
        if data[i] != (45 if dash else 48):
            return False
    return True
