"""Looks whether a file of the lake still holds devices, by decoding all of it that could.

A search for bytes misses values that are delta-encoded or compressed. So the footer, the dictionary and every
page of the device column are decoded: a dictionary may name a value that no row uses.

The few lines below read Thrift's compact protocol, in which Parquet writes the header of a page
(github.com/apache/parquet-format, `parquet.thrift`; Thrift's `thrift-compact-protocol.md`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from passersby.errors import IntegrityError
from passersby.lake import purge
from passersby.lake.layout import ENCODINGS
from passersby.lake.manifest import FileRef

Ints = npt.NDArray[np.int64]

_DEVICE = "device"
_UNCOMPRESSED, _COMPRESSED, _DICTIONARY = 2, 3, 7  # fields of PageHeader
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_LONGEST_HEADER = 1 << 16


def holds(file: FileRef, gone: Ints) -> bool:
    """Tell whether a file's rows, or its dictionaries, name one of some devices.

    Args:
        file: a file of the lake.
        gone: sorted devices.

    Raises:
        IntegrityError: the file cannot be read, or its footer says more about devices than it may.
    """
    with purge.readable():
        named = any(len(np.intersect1d(values, gone)) for values in dictionaries(file))
    return named or any(_has(rows[_DEVICE].to_numpy(), gone) for rows in purge.tables(file, [_DEVICE]))


def marked(device: Ints, gone: Ints) -> npt.NDArray[np.bool_]:
    """Return which rows are of some devices; both arrays are sorted, and no device is named twice."""
    starts, ends = np.searchsorted(device, gone, "left"), np.searchsorted(device, gone, "right")
    # one byte a row: the sum is 1 within the rows of a device and 0 elsewhere
    change = np.zeros(len(device) + 1, dtype=np.int8)
    np.add.at(change, starts, 1)
    np.add.at(change, ends, -1)
    return np.cumsum(change[:-1], dtype=np.int8).view(np.bool_)


def _has(device: Ints, gone: Ints) -> bool:
    """Tell whether any row is of some devices; `device` is sorted."""
    return bool((np.searchsorted(device, gone, "left") < np.searchsorted(device, gone, "right")).any())


def dictionaries(file: FileRef) -> list[Ints]:
    """Return the values in the dictionary pages of a file's device column, used or not.

    Raises:
        IntegrityError: the footer holds statistics of a column that must have none.
        pyarrow.ArrowException: the file is damaged.
    """
    found = []
    with pq.ParquetFile(file.path) as parquet, file.path.open("rb") as data:
        for group in range(parquet.metadata.num_row_groups):
            columns = parquet.metadata.row_group(group)
            for number in range(columns.num_columns):
                column = columns.column(number)
                _check_footer(column, ENCODINGS[file.table].time)
                if column.path_in_schema == _DEVICE and column.has_dictionary_page:
                    data.seek(column.dictionary_page_offset)
                    found.append(_dictionary(data.read(column.total_compressed_size), column.compression))
    return found


def _check_footer(column: pq.ColumnChunkMetaData, time: str) -> None:
    if column.path_in_schema != time and (
        column.is_stats_set or column.has_column_index or column.has_offset_index
    ):
        raise IntegrityError(
            "The footer of a file of the lake tells smallest and largest values that it must not tell.",
            "It was written by another program; restore the lake from its backup.",
        )


def _dictionary(chunk: bytes, compression: str) -> Ints:
    """Return the values of the dictionary page that a column chunk begins with."""
    header = Compact(chunk[:_LONGEST_HEADER])
    fields = header.struct()
    if _DICTIONARY not in fields:
        raise pa.ArrowInvalid("no dictionary page")
    page = chunk[header.at : header.at + int(fields[_COMPRESSED])]
    if compression != "UNCOMPRESSED":
        page = pa.Codec(compression.lower()).decompress(page, int(fields[_UNCOMPRESSED]), asbytes=True)
    return np.frombuffer(page, "<i8")


class Compact:
    """Reads values of Thrift's compact protocol; `at` is the place after the last one."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def struct(self) -> dict[int, int]:
        """Return the whole numbers among a struct's fields, by number; others, structs too, as 0."""
        fields: dict[int, int] = {}
        number = 0
        while head := self._byte():
            kind, step = head & 15, head >> 4
            number = number + step if step else self._number()
            fields[number] = self._value(kind)
        return fields

    def _value(self, kind: int) -> int:
        if kind in {_TRUE, _FALSE}:
            return 0
        if kind == _BYTE:
            self.at += 1
        elif kind == _DOUBLE:
            self.at += 8
        elif kind == _BINARY:
            self.at += self._varint()
        elif kind == _STRUCT:
            self.struct()
        elif kind in {_LIST, _SET}:
            head = self._byte()
            for _ in range(self._varint() if head >> 4 == 15 else head >> 4):
                self._value(head & 15)
        else:
            return self._number()
        return 0

    def _number(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 63:
                raise pa.ArrowInvalid("a number is too long")

    def _byte(self) -> int:
        if self.at >= len(self._data):
            raise pa.ArrowInvalid("the header of a page is cut off")
        self.at += 1
        return self._data[self.at - 1]
