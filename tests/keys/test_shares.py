"""Recovery shares: enough of them give the key back, fewer tell nothing, and mistakes are found."""

from __future__ import annotations

import itertools
import secrets
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shamir_mnemonic import combine_mnemonics

from passersby.errors import BadRecord, IntegrityError, UsageError
from passersby.keys import shares

SECRET = bytes(range(32))


def test_the_format_is_slip_0039() -> None:
    """Two vectors of the standard (github.com/trezor/python-shamir-mnemonic, vectors.json, 1 and 4)."""
    one = (
        "duckling enlarge academic academic agency result length solution fridge kidney coal piece deal "
        "husband erode duke ajar critical decision keyboard"
    )
    assert combine_mnemonics([one], b"TREZOR").hex() == "bb54aac4b89dc868ba37d9cc21b2cece"
    first = (
        "shadow pistol academic always adequate wildlife fancy gross oasis cylinder mustang wrist rescue "
        "view short owner flip making coding armed"
    )
    second = (
        "shadow pistol academic acid actress prayer class unknown daughter sweater depict flip twice unkind "
        "craft early superior advocate guest smoking"
    )
    assert combine_mnemonics([first, second], b"TREZOR").hex() == "b43ceb7e57a0ea8766221624d01b0864"


@settings(max_examples=20)
@given(st.binary(min_size=32, max_size=32), st.integers(2, 5), st.integers(0, 3))
def test_any_needed_ones_give_it_back(secret: bytes, needed: int, more: int) -> None:
    made = shares.split(secret, needed, needed + more)
    assert len(set(made)) == needed + more
    assert all(len(share.split()) == 33 for share in made)
    for some in itertools.combinations(made, needed):
        assert shares.combine(list(reversed(some))) == secret


def test_one_share_is_not_enough() -> None:
    for share in shares.split(SECRET, 2, 3):
        with pytest.raises(BadRecord, match="too few"):
            shares.combine([share])
        with pytest.raises(BadRecord, match="too few"):
            shares.combine([share, share])


def test_one_share_says_nothing() -> None:
    """Of two secrets, the same share value is as likely: a share of one fits a share of another secret."""
    firsts = {shares.split(SECRET, 2, 2)[0] for _ in range(50)}
    assert len(firsts) == 50


def test_sets_do_not_mix() -> None:
    one, other = shares.split(SECRET, 2, 2), shares.split(SECRET, 2, 2)
    with pytest.raises(BadRecord):
        shares.combine([one[0], other[1]])


@given(st.integers(0, 32), st.sampled_from(["academic", "acid", "zero"]))
def test_a_wrong_word_is_found_and_not_repeated(at: int, word: str) -> None:
    one, other = shares.split(SECRET, 2, 2)
    words = one.split()
    if words[at] == word:
        return
    words[at] = word
    with pytest.raises(BadRecord) as caught:
        shares.combine([" ".join(words), other])
    with pytest.raises(BadRecord) as other_mistake:
        shares.combine([other])
    assert str(caught.value) == str(other_mistake.value)


@pytest.mark.parametrize(("needed", "number"), [(1, 2), (2, 1), (3, 2), (2, 17)])
def test_numbers_that_make_no_sense(needed: int, number: int) -> None:
    with pytest.raises(UsageError):
        shares.split(SECRET, needed, number)


def test_files_come_back(tmp_path: Path) -> None:
    made = shares.split(SECRET, 2, 2)
    paths = [tmp_path / f"{i}.share" for i in range(2)]
    for path, share in zip(paths, made, strict=True):
        shares.write(path, share, ["About it"])
        assert path.stat().st_mode & 0o777 == 0o600
    assert [shares.read(path) for path in paths] == made
    shares.check_files(paths, 2, SECRET)
    with pytest.raises(IntegrityError):
        shares.check_files(paths, 2, secrets.token_bytes(32))


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    with pytest.raises(UsageError, match="left alone"):
        shares.write(tmp_path / "a", "word", [])
    assert (tmp_path / "a").read_text() == "mine"


@pytest.mark.parametrize("data", [b"", b"# nothing\n", b"\xff\xfe"])
def test_a_file_that_is_no_share(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a").write_bytes(data)
    (tmp_path / "a").chmod(0o600)
    with pytest.raises(BadRecord):
        shares.combine([shares.read(tmp_path / "a")])
    with pytest.raises(BadRecord, match="no"):
        shares.read(tmp_path / "none")


def test_a_file_that_others_can_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("word")
    (tmp_path / "a").chmod(0o640)
    with pytest.raises(IntegrityError, match="other accounts"):
        shares.read(tmp_path / "a")
