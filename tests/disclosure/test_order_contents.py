"""What an order may say: each thing that is wrong has its own code, whatever else is in the order."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from disclosure.scene import ANA, BEA, MONDAY, RECIPIENT
from passersby.disclosure import order
from passersby.disclosure.order import LIVE_TYPES, REVERSE_TYPES, Limits, Order
from passersby.errors import Refusal
from passersby.model.period import DAY, Span

NOW = MONDAY + 30 * DAY
LIMITS = Limits(5, 31, "test")
AREA = {"type": "Polygon", "coordinates": [[[7, 46], [8, 46], [8, 47], [7, 46]]]}
GOOD = Order(
    reference="TX/2026/42",
    jurisdiction="XX",
    court="court",
    judge=("Ana Juiz", "judge"),
    basis="Code, art. 1",
    approved=NOW - 60,
    valid=Span(NOW - 3600, NOW + DAY),
    addressee="test",
    devices=(ANA, BEA),
    window=Span(MONDAY, MONDAY + 2 * DAY),
    area=AREA,
    recipient=RECIPIENT,
    delay_until=NOW + 10 * DAY,
)


def refused(payload: bytes, limits: Limits = LIMITS, now: int = NOW) -> str:
    with pytest.raises(Refusal) as caught:
        order.parse(payload, limits, now=now)
    return caught.value.code


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    values = json.loads(order.written(GOOD))
    change(values)
    return json.dumps(values).encode()


def request(values: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = values["LDTask"]["RequestDetails"]
    return found


def retyped(values: dict[str, Any], kind: str) -> None:
    request(values)["Type"] = kind


def paths(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    below = [p for k, v in value.items() for p in paths(v, (*path, k))] if isinstance(value, dict) else []
    return below + ([path] if path else [])


def without(path: tuple[str, ...]) -> bytes:
    def change(values: dict[str, Any]) -> None:
        for name in path[:-1]:
            values = values[name]
        del values[path[-1]]

    return changed(change)


def test_an_order_reads_back_as_it_was_written() -> None:
    assert order.parse(order.written(GOOD), LIMITS, now=NOW) == GOOD
    plain = replace(GOOD, area=None, delay_until=None)
    assert order.parse(order.written(plain), LIMITS, now=NOW) == plain


OPTIONAL = {("LDTask", "RequestDetails", "Area"), ("NoticeDelay",)}
INSIDE_AREA = ("LDTask", "RequestDetails", "Area")


@pytest.mark.parametrize("path", paths(json.loads(order.written(GOOD))), ids=".".join)
def test_every_field_is_needed(path: tuple[str, ...]) -> None:
    if path in OPTIONAL:
        order.parse(without(path), LIMITS, now=NOW)
    elif path == ("LDTask", "RequestDetails", "RequestValues"):
        assert refused(without(path)) == "ReverseSearchRefused"  # an area is left
    else:
        assert refused(without(path)) == "Incomplete"


@pytest.mark.parametrize("path", [(), ("LDTask",), ("LDTask", "RequestDetails"), ("NoticeDelay",)])
def test_an_unknown_field_is_not_passed_over(path: tuple[str, ...]) -> None:
    def change(values: dict[str, Any]) -> None:
        for name in path:
            values = values[name]
        values["AlsoDo"] = "more"

    assert refused(changed(change)) == "Incomplete"


@pytest.mark.parametrize("kind", ["administrative", "subpoena", "emergency", "Judicial"])
def test_only_judges_orders(kind: str) -> None:
    assert refused(changed(lambda v: v.update(AuthorisationLegalType=kind))) == "NotJudicial"


@pytest.mark.parametrize("kind", REVERSE_TYPES)
def test_a_search_for_devices(kind: str) -> None:
    assert refused(changed(lambda v: request(v).update(Type=kind))) == "ReverseSearchRefused"


@pytest.mark.parametrize("values", [[], None])
def test_an_area_without_devices_is_a_search_too(values: list[Any] | None) -> None:
    assert refused(changed(lambda v: request(v).update(RequestValues=values))) == "ReverseSearchRefused"

    def neither(v: dict[str, Any]) -> None:
        request(v).update(RequestValues=values)
        del request(v)["Area"]

    assert refused(changed(neither)) == "NoNamedDevice"


@pytest.mark.parametrize(
    "name",
    ["*", "3f9d2c71-*", "%", "00000000-0000-0000-0000-000000000000", "null", "x" * 200, "a?", " ", "abc"],
)
def test_what_names_no_device(name: str) -> None:
    given = {"FormatType": order.ADVERTISING_ID, "Value": name}
    code = refused(changed(lambda v: request(v).update(RequestValues=[given])))
    assert code == ("Incomplete" if name == " " else "NoNamedDevice")


def test_a_pseudonym_is_no_name() -> None:
    given = {"FormatType": {"FormatOwner": "passersby", "FormatName": "Pseudonym"}, "Value": "1234567890123"}
    assert refused(changed(lambda v: request(v).update(RequestValues=[given]))) == "NoNamedDevice"


def test_the_scope_has_limits() -> None:
    six = tuple(f"{n}{ANA[1:]}" for n in range(6))
    assert refused(order.written(replace(GOOD, devices=six))) == "ScopeTooBroad"
    assert order.parse(order.written(replace(GOOD, devices=six[:5])), LIMITS, now=NOW).devices == six[:5]
    month = Span(MONDAY - 10 * DAY, MONDAY + 21 * DAY)
    assert order.parse(order.written(replace(GOOD, window=month)), LIMITS, now=NOW).window == month
    assert refused(order.written(replace(GOOD, window=Span(month.start - 1, month.end)))) == "ScopeTooBroad"
    assert refused(order.written(GOOD), Limits(1, 31, "test")) == "ScopeTooBroad"
    assert refused(order.written(GOOD), Limits(5, 1, "test")) == "ScopeTooBroad"


def test_one_device_that_is_written_in_two_ways_is_one() -> None:
    twice = replace(GOOD, devices=(ANA, "{" + ANA.upper() + "}"))
    assert order.parse(order.written(twice), Limits(1, 31, "test"), now=NOW).devices == (ANA,)


def test_nobody_is_followed_live() -> None:
    end = GOOD.window.end
    assert refused(order.written(replace(GOOD, valid=Span(MONDAY, NOW))), now=end - 1) == "WindowOpen"
    order.parse(order.written(replace(GOOD, valid=Span(MONDAY, NOW))), LIMITS, now=end)
    for kind in LIVE_TYPES:
        assert refused(changed(partial(retyped, kind=kind))) == "WindowOpen"


@pytest.mark.parametrize(("at", "code"), [(GOOD.valid.start - 1, "Expired"), (GOOD.valid.end, "Expired")])
def test_an_order_is_in_force_for_a_time(at: int, code: str) -> None:
    assert refused(order.written(GOOD), now=at) == code


def test_it_is_for_one_deployment() -> None:
    assert refused(order.written(GOOD), Limits(5, 31, "another")) == "Incomplete"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"\xff",
        b"[" * 100_000,
        b'{"schema": NaN}',
        order.written(GOOD)[:-1] + b',"schema":"passersby-order/1"}',
    ],
)
def test_what_is_no_json_object(text: bytes) -> None:
    assert refused(text) == "NotMachineVerifiable"


@pytest.mark.parametrize(
    "area",
    [
        {"type": "Point", "coordinates": [7, 46]},
        {"type": "Polygon", "coordinates": []},
        {"type": "Polygon", "coordinates": [[[7, 46], [8, 47], [8, 46], [7, 47], [7, 46]]]},
        {"type": "Polygon", "coordinates": [[[7, 46], [181, 46], [8, 47], [7, 46]]]},
        {"type": "Polygon", "coordinates": AREA["coordinates"], "bbox": [7, 46, 8, 47]},
        {"type": "Polygon", "coordinates": "everywhere"},
        {},
    ],
)
def test_an_area_is_a_valid_polygon(area: dict[str, Any]) -> None:
    assert refused(changed(lambda v: request(v).update(Area=area))) == "Incomplete"


@given(st.text(max_size=40), st.text(max_size=40))
def test_references_are_compared_without_case_and_blanks(first: str, second: str) -> None:
    one, other = (replace(GOOD, reference=f"{first}{gap}{second}") for gap in (" ", "  \t"))
    assert one.reference_key == replace(other, reference=other.reference.swapcase().swapcase()).reference_key
