"""The log as static files (C2SP tlog-tiles): where a tile or bundle lies, how it is built and read.

A tile at level l holds up to 256 hashes, each the root of 256^l entries; entry bundles hold the entries
themselves. A full tile never changes; the last one of each level is partial and has its width in its name.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from passersby.trustlog.hashing import HASH_BYTES, fold, split
from passersby.trustlog.sources import Source, damaged

WIDTH = 256
ENTRIES = -1
"""Level under which bundles of entries are addressed."""

LONGEST_BUNDLE = WIDTH * (2 + 65_535)
"""Most bytes of a bundle of entries."""


@dataclass(frozen=True)
class Place:
    """Where a tile or bundle lies.

    Args:
        level: level of the tile, or `ENTRIES` for a bundle.
        n: number of the tile within its level.
        width: hashes or entries in it, 1 to 256.
    """

    level: int
    n: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """Path relative to the log's folder, such as `tile/0/x001/234.p/7`."""
        return self.stem + (f".p/{self.width}" if self.width < WIDTH else "")

    @property
    def stem(self) -> str:
        """Path of the full tile."""
        high, low = divmod(self.n, 1000)
        number = f"{low:03d}"
        while high:
            high, low = divmod(high, 1000)
            number = f"x{low:03d}/{number}"
        return f"tile/{'entries' if self.level == ENTRIES else self.level}/{number}"


def bundles(size: int, first: int = 0) -> Iterator[Place]:
    """Yield the places of all bundles of a log with `size` entries from number `first` on, in order."""
    for n in range(first, -(-size // WIDTH)):
        yield Place(ENTRIES, n, min(WIDTH, size - n * WIDTH))


def tiles(size: int) -> Iterator[Place]:
    """Yield the places of all tiles of a log with `size` entries, level by level."""
    for level in range((size.bit_length() + 7) // 8):
        hashes = size >> 8 * level
        for n in range(-(-hashes // WIDTH)):
            yield Place(level, n, min(WIDTH, hashes - n * WIDTH))


def edge(size: int) -> list[Place]:
    """Return the partial tiles of a log with `size` entries, lowest level first."""
    levels = range((size.bit_length() + 7) // 8)
    found = [Place(level, size >> 8 * (level + 1), size >> 8 * level & 255) for level in levels]
    return [place for place in found if place.width]


@dataclass
class TileBuilder:
    """Builds tiles from leaf hashes, one after the other; memory is one tile a level.

    Args:
        size: leaves that are in already.
        open_tiles: level -> hashes of its partial tile at that size.
    """

    size: int = 0
    open_tiles: dict[int, bytearray] = field(default_factory=dict)

    def add(self, leaf: bytes) -> list[tuple[Place, bytes]]:
        """Take the next leaf; return the tiles that became full, lowest level first."""
        full: list[tuple[Place, bytes]] = []
        self.size += 1
        value, level = leaf, 0
        while True:
            tile = self.open_tiles.setdefault(level, bytearray())
            tile += value
            if len(tile) < WIDTH * HASH_BYTES:
                return full
            full.append((Place(level, (self.size >> 8 * (level + 1)) - 1), bytes(tile)))
            value = fold(split(bytes(self.open_tiles.pop(level))))
            level += 1

    def partial(self) -> list[tuple[Place, bytes]]:
        """Return the tiles that are not full, lowest level first."""
        return [(place, bytes(self.open_tiles[place.level])) for place in edge(self.size)]

    def frontier(self) -> list[bytes]:
        """Return the frontier of the tree, read off the partial tiles."""
        return [
            subtree
            for place, data in reversed(self.partial())
            for subtree in _perfect(split(data), place.width)
        ]


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Return the entries with their lengths (16 bits, big-endian) before them."""
    return b"".join(struct.pack(">H", len(entry)) + entry for entry in entries)


def decode_bundle(data: bytes, place: Place) -> list[bytes]:
    """Return the entries of a bundle.

    Raises:
        IntegrityError: it is cut short, or does not hold as many entries as its place says.
    """
    entries, at = [], 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 2], "big")
        entries.append(data[at + 2 : at + 2 + length])
        at += 2 + length
    if at != len(data) or len(entries) != place.width:
        raise damaged(place.path, f"does not hold the {place.width} whole entries that it should")
    return entries


class Tiles:
    """Reads a published log of `size` entries; a partial tile may have been superseded by its full one.

    Args:
        source: where its files are.
        size: entries that its checkpoint covers.
    """

    def __init__(self, source: Source, size: int) -> None:
        self.source = source
        self.size = size
        self._last: tuple[Place, list[bytes]] | None = None

    def tile(self, place: Place) -> bytes:
        """Return the hashes of a tile, one after the other.

        Raises:
            IntegrityError: the file is missing or has the wrong length.
        """
        path, data = self._read(place)
        full = path == place.stem
        if len(data) != (WIDTH if full else place.width) * HASH_BYTES:
            raise damaged(path, "has the wrong length")
        return data[: place.width * HASH_BYTES]

    def bundle(self, place: Place) -> list[bytes]:
        """Return the entries of a bundle.

        Raises:
            IntegrityError: the file is missing or malformed.
        """
        path, data = self._read(place)
        held = Place(ENTRIES, place.n) if path == place.stem else place
        return decode_bundle(data, held)[: place.width]

    def entry(self, index: int) -> bytes:
        """Return one entry; `index` must be below `size`.

        Raises:
            IntegrityError: its bundle is missing or malformed.
        """
        n, offset = divmod(index, WIDTH)
        return self.bundle(Place(ENTRIES, n, min(WIDTH, self.size - n * WIDTH)))[offset]

    def hashes(self, level: int, first: int, count: int) -> list[bytes]:
        """Return `count` hashes of a level from `first` on; they must lie in one tile.

        Raises:
            IntegrityError: the tile is missing or has the wrong length.
        """
        n, offset = divmod(first, WIDTH)
        place = Place(level, n, min(WIDTH, (self.size >> 8 * level) - n * WIDTH))
        if self._last is None or self._last[0] != place:
            self._last = (place, split(self.tile(place)))
        return self._last[1][offset : offset + count]

    def earlier(self, place: Place) -> Iterator[tuple[Place, bytes]]:
        """Yield the narrower versions of a tile or bundle that earlier checkpoints left."""
        for width in self.source.widths(place.stem):
            older = Place(place.level, place.n, width)
            data = self._bytes(older) if width < place.width else None
            if data is not None:
                yield older, data

    def _read(self, place: Place) -> tuple[str, bytes]:
        for held in (place, Place(place.level, place.n)):
            data = self._bytes(held)
            if data is not None:
                return held.path, data
        raise damaged(place.path, "is missing")

    def _bytes(self, place: Place) -> bytes | None:
        most = LONGEST_BUNDLE if place.level == ENTRIES else WIDTH * HASH_BYTES
        return self.source.read(place.path, most)


def resume(tiles: Tiles) -> TileBuilder:
    """Return a builder that continues the published tiles.

    Raises:
        IntegrityError: a partial tile is missing or has the wrong length.
    """
    return TileBuilder(tiles.size, {p.level: bytearray(tiles.tile(p)) for p in edge(tiles.size)})


def _perfect(hashes: list[bytes], width: int) -> Iterator[bytes]:
    """Yield the roots of the perfect subtrees of a partial tile, left to right."""
    at = 0
    for bit in range(width.bit_length() - 1, -1, -1):
        if width >> bit & 1:
            yield fold(hashes[at : at + (1 << bit)])
            at += 1 << bit
