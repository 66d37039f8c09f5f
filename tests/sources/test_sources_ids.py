from __future__ import annotations

import uuid

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passersby.sources.ids import BAD, MISSING, OK, ZEROED, normalised

ID = "38400000-8cf0-11bd-b23e-10b96e40000d"


def one(text: str | None, prefix: str = "") -> tuple[str, int]:
    ids, flags = normalised(pl.Series([text], dtype=pl.String), prefix)
    return ids[0], int(flags[0])


@given(st.uuids())
def test_every_way_of_writing_a_uuid_has_one_normal_form(value: uuid.UUID) -> None:
    ways = [
        str(value),
        str(value).upper(),
        value.hex,
        value.hex.upper(),
        f" {{{value}}}\t",
        f"{{{value.hex}}}",
    ]
    ids, flags = normalised(pl.Series(ways))
    assert set(ids) == {str(value)}
    assert set(flags) == {ZEROED if value.int == 0 else OK}


@given(st.lists(st.text(max_size=50), max_size=20))
def test_the_normal_form_is_its_own_normal_form(texts: list[str]) -> None:
    ids, flags = normalised(pl.Series(texts, dtype=pl.String))
    good = ids.filter(pl.Series(flags == OK, dtype=pl.Boolean))
    again, still = normalised(good)
    unstable = {"{", " ", "\t"}  # braces in braces and blanks in braces are peeled once
    for before, after, flag in zip(good, again, still, strict=True):
        if not set(before) & unstable:
            assert (before, flag) == (after, OK)


def test_a_fast_and_a_slow_column_agree() -> None:
    plain = pl.Series([ID, "abc", "0f" * 20])
    fast, _ = normalised(plain)
    slow, _ = normalised(pl.concat([plain, pl.Series(["UPPER"])]))
    assert fast.to_list() == slow.to_list()[:3] == plain.to_list()


@pytest.mark.parametrize("text", [None, "", "  ", "{}", "NULL", "null", "None", "nan", "\\N", "Unknown"])
def test_nothing_is_a_missing_id(text: str | None) -> None:
    assert one(text)[1] == MISSING


@pytest.mark.parametrize("text", ["a" * 129, "a\x00b", "a\x1fb", "a\x7fb", "a\tb"])
def test_long_ids_and_control_characters_are_bad(text: str) -> None:
    assert one(text)[1] == BAD


def test_an_id_of_128_bytes_is_taken() -> None:
    assert one("a" * 128) == ("a" * 128, OK)


@pytest.mark.parametrize("text", ["00000000-0000-0000-0000-000000000000", "0" * 32, "{" + "0" * 32 + "}"])
def test_the_all_zero_id_is_an_opt_out(text: str) -> None:
    assert one(text)[1] == ZEROED


@pytest.mark.parametrize("text", ["0", "000", "0" * 36, "00000000-0000-0000-0000-000000000001"])
def test_other_zeros_are_ids(text: str) -> None:
    assert one(text) == (text, OK)


@pytest.mark.parametrize("text", [f"acme:{ID}", f"ACME:{ID.upper()}", f" acme:{{{ID}}}", ID])
def test_a_prefix_is_taken_off_whatever_its_case(text: str) -> None:
    assert one(text, "Acme:") == (ID, OK)


def test_only_hexadecimal_digits_get_dashes() -> None:
    assert one("g" * 32)[0] == "g" * 32


def test_letters_beyond_ascii_stay() -> None:
    assert one("ÄB") == ("Äb", OK)
