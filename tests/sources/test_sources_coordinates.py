from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passersby.sources.coordinates import Grid, degrees, numbers


def one(north: object, east: object, grid: Grid) -> tuple[float | None, float | None]:
    lat, lon = degrees(pl.Series([north]), pl.Series([east]), grid)
    return lat[0], lon[0]


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_texts_come_back_to_the_last_bit(lat: float, lon: float) -> None:
    assert one(repr(lat), repr(lon), Grid()) == (lat, lon)


@given(st.integers(-900_000_000, 900_000_000), st.integers(-1_800_000_000, 1_800_000_000))
def test_e7_integers_are_divided_exactly(lat: int, lon: int) -> None:
    assert one(lat, lon, Grid(divide_by=1e7)) == (lat / 1e7, lon / 1e7)


def test_the_worked_example_of_the_epsg_guidance_note() -> None:
    """IOGP Guidance Note 7-2, popular visualisation pseudo-mercator: N 2,800,000.00, E -11,169,055.58."""
    lat, lon = one(2_800_000.00, -11_169_055.58, Grid(crs="EPSG:3857"))
    assert lat == pytest.approx(24 + 22 / 60 + 54.433 / 3600, abs=1e-7)
    assert lon == pytest.approx(-(100 + 20 / 60), abs=1e-7)


@given(st.floats(-85, 85), st.floats(-180, 180))
def test_web_mercator_turns_back(lat: float, lon: float) -> None:
    y = 6_378_137.0 * math.log(math.tan(math.pi / 4 + math.radians(lat) / 2))
    x = 6_378_137.0 * math.radians(lon)
    assert one(y, x, Grid(crs="EPSG:3857")) == pytest.approx((lat, lon), abs=1e-9)


def test_projected_values_out_of_bounds_are_out_of_bounds_in_degrees() -> None:
    lat, lon = one(20_100_000.0, 20_100_000.0, Grid(crs="EPSG:3857"))
    assert lat is not None
    assert lon is not None
    assert lat > 90
    assert lon > 180


@pytest.mark.parametrize(
    ("text", "expected"),
    [("52.52N", 52.52), ("52.52 s", -52.52), ("13.4W", -13.4), ("13.4° E", 13.4), ("7", 7.0)],
)
def test_compass_letters(text: str, expected: float) -> None:
    assert one(text, "0", Grid(suffix=True))[0] == expected


def test_compass_letters_need_to_be_declared() -> None:
    assert one("52.52N", "0", Grid())[0] is None


def test_decimal_commas() -> None:
    assert one("52,52", "-13,4", Grid(decimal=",")) == (52.52, -13.4)
    assert one("52,52", "-13,4", Grid()) == (None, None)


@pytest.mark.parametrize("value", ["", "x", "nan", "inf", "-inf", None, float("nan"), float("inf")])
def test_what_is_not_finite_is_null(value: object) -> None:
    assert one(value, value, Grid()) == (None, None)


def test_numbers_of_numbers_stay() -> None:
    assert numbers(pl.Series([1, 2]), ",").to_list() == [1.0, 2.0]
