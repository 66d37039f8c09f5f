"""Cuts a block of delimited text into the fields that a schema wants; one line is one row.

The quoting is RFC 4180's, with one difference: a quoted field may not contain a line break. A line
whose quotes do not pair up, or that has too many or too few fields, is a bad line by itself, so that a
stray quote never swallows the lines after it. Wanted fields become Arrow string views that point into
the block: nothing is copied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import polars as pl
import pyarrow as pa

from passersby.compiled import compiled, inlined
from passersby.sources.kernels import Bytes, Flags, Ints, Words

_QUOTE, _NEWLINE = ord('"'), ord("\n")
_OK, _ESCAPED, _BROKEN = 0, 1, 2

_Source: TypeAlias = tuple[Bytes, Ints]
"""A text and the places of what `_marked` marks in it."""


@dataclass(frozen=True)
class Fields:
    """The wanted fields of a block.

    `frame` has one text column for each wanted field and `line` (the offset of the row's line in the
    block, from 0); `bad` holds the offsets of lines that are no row; blank lines are in neither.
    """

    frame: pl.DataFrame
    bad: Ints


def cut(
    block: bytes, lines: int, delimiter: str, wanted: Mapping[str, int], width: int, *, quote: bool
) -> Fields:
    """Return the `wanted` fields (name -> position) of a block of `lines` lines, each of `width` fields.

    The block ends with a line break.
    """
    slots = np.full(width, -1, dtype=np.int64)
    slots[list(wanted.values())] = np.arange(len(wanted))
    views = np.empty((len(wanted), lines, 4), dtype=np.uint32)
    escaped = np.zeros((len(wanted), lines), dtype=np.uint8)
    sorted_out = np.empty((2, lines), dtype=np.int64)
    quote = quote and b'"' in block
    form = np.array([ord(delimiter), quote], dtype=np.int64)
    data = np.frombuffer(block, np.uint8)
    marked = _marked(data, ord(delimiter), int(quote))
    rows, broken = _cut((data, marked), form, slots, views, escaped, sorted_out)
    text = pa.py_buffer(block)
    columns = [
        _column(name, views[slot, :rows], escaped[slot, :rows], text) for slot, name in enumerate(wanted)
    ]
    return Fields(pl.DataFrame([*columns, pl.Series("line", sorted_out[0, :rows])]), sorted_out[1, :broken])


def _column(name: str, views: Words, escaped: Flags, text: pa.Buffer) -> pl.Series:
    array = pa.Array.from_buffers(pa.string_view(), len(views), [None, pa.py_buffer(views), text])
    column = pl.Series(name, array, dtype=pl.String)
    if escaped.any():
        plain = column.str.replace_all('""', '"', literal=True)
        column = plain.zip_with(pl.Series(escaped.astype(np.bool_)), column)
    return column


@compiled
def _marked(text: Bytes, delimiter: int, quote: int) -> Ints:
    """Return the places of delimiters, line breaks, bytes beyond ASCII and, with `quote`, quotes."""
    marks = np.zeros((len(text) + 7) // 8 * 8, dtype=np.uint8)
    for i in range(len(text)):  # without branches: many bytes in one instruction
        byte = text[i]
        marks[i] = (byte == delimiter) | (byte == _NEWLINE) | (byte >> 7) | (quote & (byte == _QUOTE))
    places = np.empty(marks.sum() + 1, dtype=np.int64)
    found = 0
    for at, eight in enumerate(marks.view(np.uint64)):
        if eight != 0:
            for i in range(8 * at, 8 * at + 8):
                places[found] = i
                found += marks[i]
    return places


@compiled
def _cut(
    source: _Source, form: Ints, slots: Ints, views: Words, escaped: Flags, lines: Ints
) -> tuple[int, int]:
    """Fill `views` and `escaped`, and `lines` with those of rows and of bad lines; return how many.

    `form` is the delimiter and whether quotes count.
    """
    text = source[0]
    at = mark = line = rows = broken = 0
    while at < len(text):
        first = at
        at, mark, fields = _row(source, (at, mark), form, slots, views[:, rows], escaped[:, rows])
        if fields == len(slots):
            lines[0, rows] = line
            rows += 1
        elif not _is_blank(text, first, at):
            lines[1, broken] = line
            broken += 1
        at += 1
        line += 1
    return rows, broken


@inlined
def _row(
    source: _Source, place: tuple[int, int], form: Ints, slots: Ints, views: Words, escaped: Flags
) -> tuple[int, int, int]:
    """Read one line from its place and the mark there; return its end's, and how many fields it has.

    The number of fields is -1 where the line is broken.
    """
    text, marked = source
    at, mark = place
    delimiter, quote = form
    field, state, stray = 0, _OK, 0
    while True:
        while marked[mark] < at:
            mark += 1
        ascii_only = True
        if quote and text[at] == _QUOTE:
            begin, end, at, state = _quoted(text, at + 1, delimiter)
            ascii_only = False
        else:
            begin, state = at, _OK
            while text[marked[mark]] != delimiter and text[marked[mark]] != _NEWLINE:
                if text[marked[mark]] == _QUOTE:
                    stray += 1
                else:
                    ascii_only = False
                mark += 1
            end = at = marked[mark]
        if field < len(slots) and slots[field] >= 0 and state != _BROKEN:
            begin, end = _trimmed(text, begin, end)
            if ascii_only or _is_utf8(text, begin, end):
                _put(views[slots[field]], text, begin, end)
                escaped[slots[field]] = state
            else:
                state = _BROKEN
        field += 1
        if state == _BROKEN or text[at] == _NEWLINE:
            break
        at += 1
    while text[at] != _NEWLINE:
        at += 1
    return at, mark, (-1 if state == _BROKEN or stray % 2 else field)


@compiled
def _quoted(text: Bytes, at: int, delimiter: int) -> tuple[int, int, int, int]:
    """Return a quoted field's begin and end, the place after it, and its state.

    `at` is behind the opening quote.
    """
    begin, state = at, _OK
    while text[at] != _NEWLINE:
        if text[at] == _QUOTE:
            if text[at + 1] != _QUOTE:
                break
            state = _ESCAPED
            at += 1
        at += 1
    if text[at] == _NEWLINE:
        return begin, at, at, _BROKEN
    end = at
    at += 1
    while text[at] == 32 or text[at] == 13:
        at += 1
    if text[at] != delimiter and text[at] != _NEWLINE:
        state = _BROKEN
    return begin, end, at, state


@inlined
def _trimmed(text: Bytes, begin: int, end: int) -> tuple[int, int]:
    """Leave out blanks, tabs and carriage returns at both ends."""
    while begin < end and (text[begin] == 32 or text[begin] == 9 or text[begin] == 13):
        begin += 1
    while end > begin and (text[end - 1] == 32 or text[end - 1] == 9 or text[end - 1] == 13):
        end -= 1
    return begin, end


@compiled
def _is_blank(text: Bytes, begin: int, end: int) -> bool:
    begin, end = _trimmed(text, begin, end)
    return begin == end


@inlined
def _put(view: Words, text: Bytes, begin: int, end: int) -> None:
    """Write one Arrow string view (Columnar Format 1.4, variable-size binary view layout)."""
    size = end - begin
    inline = size if size <= 12 else 4
    low, high = np.uint64(0), np.uint32(0)
    for i in range(begin + min(inline, 8) - 1, begin - 1, -1):
        low = (low << np.uint64(8)) | np.uint64(text[i])
    for i in range(begin + inline - 1, begin + 7, -1):
        high = (high << np.uint32(8)) | np.uint32(text[i])
    view[0] = size
    view[1] = np.uint32(low)
    view[2] = np.uint32(low >> np.uint64(32))
    view[3] = high if size <= 12 else begin


@compiled
def _is_utf8(text: Bytes, begin: int, end: int) -> bool:
    """Tell whether a field is well-formed UTF-8 (Unicode 15, table 3-7)."""
    at = begin
    while at < end:
        lead = text[at]
        if lead < 0x80:
            at += 1
            continue
        size = 2 if 0xC2 <= lead <= 0xDF else 3 if 0xE0 <= lead <= 0xEF else 4 if 0xF0 <= lead <= 0xF4 else 0
        if size == 0 or at + size > end:
            return False
        low = 0xA0 if lead == 0xE0 else 0x90 if lead == 0xF0 else 0x80
        high = 0x9F if lead == 0xED else 0x8F if lead == 0xF4 else 0xBF
        if text[at + 1] < low or text[at + 1] > high:
            return False
        for i in range(2, size):
            if text[at + i] < 0x80 or text[at + i] > 0xBF:
                return False
        at += size
    return True
