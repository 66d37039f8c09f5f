from __future__ import annotations

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from passersby.sources.tokens import Fields, cut

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=40)


def cut_all(block: bytes, width: int, *, delimiter: str = ",", quote: bool = True) -> Fields:
    names = {f"c{i}": i for i in range(width)}
    return cut(block, block.count(b"\n"), delimiter, names, width, quote=quote)


def rows_of(block: bytes, width: int, *, delimiter: str = ",", quote: bool = True) -> list[tuple[str, ...]]:
    return cut_all(block, width, delimiter=delimiter, quote=quote).frame.drop("line").rows()


@given(st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=20), st.sampled_from([",", "\t", ";", "|"]))
def test_what_the_csv_module_writes_is_read_back_without_blanks_around(
    rows: list[tuple[str, str, str]], delimiter: str
) -> None:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows(rows)
    expected = [tuple(field.strip(" \t\r") for field in row) for row in rows]
    assert rows_of(out.getvalue().encode(), 3, delimiter=delimiter) == expected


def test_fields_of_every_length_around_the_inline_limit_are_exact() -> None:
    rows = [("x" * n, "é" * n, str(n)) for n in range(40)]
    block = "".join(f"{a},{b},{c}\n" for a, b, c in rows).encode()
    assert rows_of(block, 3) == rows


def test_only_the_wanted_fields_are_given() -> None:
    fields = cut(b"a,b,c\nd,e,f\n", 2, ",", {"last": 2, "first": 0}, 3, quote=True)
    assert fields.frame.rows() == [("c", "a", 0), ("f", "d", 1)]


def test_too_few_and_too_many_fields_are_bad_lines_even_if_they_cancel_out() -> None:
    fields = cut_all(b"a,b\nc\nd,e,f\ng,h\n", 2)
    assert fields.frame["line"].to_list() == [0, 3]
    assert fields.bad.tolist() == [1, 2]


def test_an_open_quote_costs_its_own_line_only() -> None:
    fields = cut_all(b'a,b\n"c,d\ne,f\n', 2)
    assert (fields.frame["c0"].to_list(), fields.bad.tolist()) == (["a", "e"], [1])


def test_stray_quotes_must_pair_up() -> None:
    fields = cut_all(b'a "b" c,d\n5" wide,e\nf,g\n', 2)
    assert (fields.frame["c0"].to_list(), fields.bad.tolist()) == (['a "b" c', "f"], [1])


def test_text_after_a_closing_quote_is_a_bad_line() -> None:
    assert cut_all(b'"a"x,b\n', 2).bad.tolist() == [0]


def test_doubled_quotes_are_one_quote_inside_of_quotes_only() -> None:
    assert rows_of(b'"a ""b"" c",d""e\n', 2) == [('a "b" c', 'd""e')]


def test_quotes_are_ordinary_characters_where_the_schema_says_so() -> None:
    assert rows_of(b'"a,b"\n', 2, quote=False) == [('"a', 'b"')]


def test_carriage_returns_and_blank_lines_are_no_part_of_rows() -> None:
    fields = cut_all(b'a,b\r\n\r\n  \n"c","d"\r\n', 2)
    assert fields.frame.rows() == [("a", "b", 0), ("c", "d", 3)]
    assert fields.bad.tolist() == []


def test_bytes_that_are_not_utf8_make_a_bad_line_only_in_wanted_fields() -> None:
    block = "é,ok\n".encode() + b"\xe9,bad\n" + b"fine,\xe9\n"
    fields = cut(block, 3, ",", {"first": 0}, 2, quote=True)
    assert fields.frame["first"].to_list() == ["é", "fine"]
    assert fields.bad.tolist() == [1]


@given(st.lists(st.binary(min_size=1, max_size=6), min_size=1, max_size=30))
def test_utf8_is_judged_as_python_judges_it(fields: list[bytes]) -> None:
    plain = [field for field in fields if not set(field) & set(b'\r\n," \t')]
    if plain:
        found = cut(b"".join(b"%b,x\n" % field for field in plain), len(plain), ",", {"c": 0}, 2, quote=True)
        assert found.bad.tolist() == [i for i, field in enumerate(plain) if not is_utf8(field)]


def is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
