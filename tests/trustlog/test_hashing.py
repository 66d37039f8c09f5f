"""The tree: known vectors of RFC 6962, and three ways to the same root."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passersby.trustlog.hashing import fold, frontier_root, grow, leaf_hash, node_hash, split
from passersby.trustlog.proofs import consistency, extends, includes, inclusion, root
from passersby.trustlog.tiles import Place, TileBuilder

BIG = 66_100

# Certificate Transparency's reference tree (github.com/google/certificate-transparency, merkletree tests).
INPUTS = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


class Memory:
    """Hashes of a tree's tiles, all levels held as lists."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.builder = TileBuilder()
        self.tiles: dict[tuple[int, int], bytes] = {}
        for leaf in leaves:
            self._keep(self.builder.add(leaf))
        self._keep(self.builder.partial())

    def _keep(self, tiles: list[tuple[Place, bytes]]) -> None:
        self.tiles.update({(place.level, place.n): data for place, data in tiles})

    def hashes(self, level: int, first: int, count: int) -> list[bytes]:
        n, offset = divmod(first, 256)
        assert offset + count <= 256
        return split(self.tiles[level, n])[offset : offset + count]


def leaves(count: int) -> list[bytes]:
    return [leaf_hash(b"%d" % i) for i in range(count)]


def naive(hashes: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, word for word."""
    if len(hashes) < 2:
        return hashes[0] if hashes else hashlib.sha256(b"").digest()
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return node_hash(naive(hashes[:k]), naive(hashes[k:]))


def frontier(hashes: list[bytes]) -> list[bytes]:
    grown: list[bytes] = []
    for size, leaf in enumerate(hashes):
        grow(grown, size, leaf)
    return grown


@pytest.fixture(scope="module")
def big() -> tuple[list[bytes], Memory]:
    hashes = leaves(BIG)
    return hashes, Memory(hashes)


@pytest.mark.parametrize("size", range(1, 9))
def test_known_roots(size: int) -> None:
    hashes = [leaf_hash(data) for data in INPUTS[:size]]
    assert frontier_root(frontier(hashes)).hex() == ROOTS[size - 1]
    assert root(Memory(hashes), 0, size).hex() == ROOTS[size - 1]


def test_empty_tree_is_the_hash_of_nothing() -> None:
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert frontier_root([]).hex() == empty
    assert root(Memory([]), 0, 0).hex() == empty


def test_known_inclusion_path() -> None:
    hashes = [leaf_hash(data) for data in INPUTS]
    assert [h.hex() for h in inclusion(Memory(hashes), 5, 8)] == [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


def test_known_consistency_path() -> None:
    hashes = [leaf_hash(data) for data in INPUTS]
    assert [h.hex() for h in consistency(Memory(hashes), 6, 8)] == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


def test_fold_is_the_tree_hash_of_a_perfect_tree() -> None:
    assert fold(leaves(64)) == naive(leaves(64))


@given(st.integers(0, 1100))
def test_frontier_tiles_and_definition_agree(size: int) -> None:
    hashes = leaves(size)
    tree = Memory(hashes)
    assert frontier_root(frontier(hashes)) == root(tree, 0, size) == naive(hashes)
    assert tree.builder.frontier() == frontier(hashes)


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 65_793, BIG])
def test_they_agree_above_two_levels_of_tiles(big: tuple[list[bytes], Memory], size: int) -> None:
    hashes, tree = big
    assert frontier_root(frontier(hashes[:size])) == root(tree, 0, size) == naive(hashes[:size])


def test_a_builder_resumed_from_partial_tiles_goes_on_alike() -> None:
    hashes = leaves(1000)
    first = Memory(hashes[:700]).builder
    resumed = TileBuilder(700, {p.level: bytearray(data) for p, data in first.partial()})
    full = [tile for leaf in hashes[700:] for tile in resumed.add(leaf)]
    assert [place.path for place, _ in full] == ["tile/0/002"]
    assert full[0][1] == b"".join(hashes[512:768])
    assert frontier_root(resumed.frontier()) == naive(hashes)


@given(st.data())
def test_inclusion_is_proven_and_nothing_else(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 700))
    index = data.draw(st.integers(0, size - 1))
    hashes = leaves(size)
    path, top = inclusion(Memory(hashes), index, size), naive(hashes)
    assert includes(hashes[index], index, size, path, top)
    assert not includes(leaf_hash(b"another"), index, size, path, top)
    assert not includes(hashes[index], index, size, path, leaf_hash(b"another"))
    assert not includes(hashes[index], index, size, [*path, top], top)
    for wrong in {index ^ 1, index - 1, size} - {index}:
        assert not includes(hashes[index], wrong, size, path, top)
    if path:
        at = data.draw(st.integers(0, len(path) - 1))
        assert not includes(hashes[index], index, size, path[:at] + path[at + 1 :], top)
        assert not includes(hashes[index], index, size, [*path[:at], leaf_hash(b"x"), *path[at + 1 :]], top)


@given(st.data())
def test_consistency_is_proven_and_nothing_else(data: st.DataObject) -> None:
    new = data.draw(st.integers(1, 700))
    old = data.draw(st.integers(1, new))
    hashes = leaves(new)
    path, old_root, new_root = consistency(Memory(hashes), old, new), naive(hashes[:old]), naive(hashes)
    wrong = leaf_hash(b"another")
    assert extends(old, new, path, old_root, new_root)
    assert not extends(old, new, path, wrong, new_root)
    assert not extends(old, new, path, old_root, wrong)
    assert not extends(new + 1, new, path, old_root, new_root)
    assert not extends(old, new, [*path, wrong], old_root, new_root)
    if path:
        at = data.draw(st.integers(0, len(path) - 1))
        assert not extends(old, new, path[:at] + path[at + 1 :], old_root, new_root)
        assert not extends(old, new, [*path[:at], wrong, *path[at + 1 :]], old_root, new_root)


@given(st.data())
def test_proofs_above_two_levels_of_tiles(big: tuple[list[bytes], Memory], data: st.DataObject) -> None:
    hashes, tree = big
    new = data.draw(st.integers(65_000, BIG))
    old = data.draw(st.integers(1, new))
    new_root = root(tree, 0, new)
    assert includes(hashes[old - 1], old - 1, new, inclusion(tree, old - 1, new), new_root)
    assert extends(old, new, consistency(tree, old, new), root(tree, 0, old), new_root)


def test_every_log_continues_the_empty_one() -> None:
    nothing = hashlib.sha256(b"").digest()
    top = naive(leaves(3))
    assert consistency(Memory(leaves(3)), 0, 3) == []
    assert extends(0, 3, [], nothing, top)
    assert not extends(0, 3, [], leaf_hash(b"forged"), top)
    assert not extends(0, 3, [top], nothing, top)


def test_equal_sizes_need_equal_roots() -> None:
    top = naive(leaves(3))
    assert extends(3, 3, [], top, top)
    assert not extends(3, 3, [], leaf_hash(b"x"), top)


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_no_proof_outside_the_tree(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="not in a tree"):
        inclusion(Memory(leaves(3)), index, size)


def test_no_proof_of_shrinking() -> None:
    with pytest.raises(ValueError, match="does not shrink"):
        consistency(Memory(leaves(3)), 3, 2)


@pytest.mark.parametrize(
    ("place", "path"),
    [
        (Place(0, 0), "tile/0/000"),
        (Place(0, 1_234_067), "tile/0/x001/x234/067"),
        (Place(3, 1000, 7), "tile/3/x001/000.p/7"),
        (Place(-1, 999, 255), "tile/entries/999.p/255"),
    ],
)
def test_paths_of_the_format(place: Place, path: Any) -> None:
    assert place.path == path
