"""Coordinates of fixes in degrees (WGS 84), from numbers, texts, scaled integers or web mercator."""

from __future__ import annotations

import math
from dataclasses import dataclass

import polars as pl

CRS = ("EPSG:4326", "EPSG:3857")

_RADIUS_M = 6_378_137.0
"""Radius of the sphere of EPSG:3857 (IOGP Guidance Note 7-2, 3.2.1.2)."""
_MAX_X_M = math.pi * _RADIUS_M
_MAX_Y_M = 20_048_966.104014598
"""Bounds of EPSG:3857's area of use (EPSG registry)."""


@dataclass(frozen=True)
class Grid:
    """How a supplier writes coordinates.

    `decimal` is "." or ","; `divide_by` turns scaled integers into degrees (10,000,000 for E7);
    with `suffix`, texts end with a compass letter ("52.52N", "13.4 W").
    """

    crs: str = "EPSG:4326"
    decimal: str = "."
    divide_by: float = 1.0
    suffix: bool = False


def numbers(values: pl.Series, decimal: str = ".") -> pl.Series:
    """Return values as Float64; null where a text is no number."""
    if values.dtype != pl.String:
        return values.cast(pl.Float64, strict=False)
    if decimal == ",":
        values = values.str.replace(",", ".", literal=True)
    return values.cast(pl.Float64, strict=False)


def degrees(first: pl.Series, second: pl.Series, grid: Grid) -> tuple[pl.Series, pl.Series]:
    """Return latitudes and longitudes (Float64) from two columns: latitude and longitude, or y and x.

    Null where a value is no finite number. A value outside the coordinate system's bounds comes back
    outside of [-90, 90] or [-180, 180].
    """
    north, east = (_scaled(column, grid) for column in (first, second))
    if grid.crs == "EPSG:3857":
        frame = pl.DataFrame({"y": north, "x": east}).select(lat=_latitude(), lon=_longitude())
        return frame["lat"], frame["lon"]
    return north.alias("lat"), east.alias("lon")


def _scaled(values: pl.Series, grid: Grid) -> pl.Series:
    sign = None
    if grid.suffix and values.dtype == pl.String:
        upper = values.str.strip_chars().str.to_uppercase()
        sign = pl.select(pl.when(upper.str.contains("[SW]$")).then(-1.0).otherwise(1.0)).to_series()
        values = upper.str.replace("[NSEW]$", "").str.strip_chars(" °")
    result = numbers(values, grid.decimal)
    if sign is not None:
        result = result * sign
    if grid.divide_by != 1.0:
        # Polars multiplies by the reciprocal, which is off in the last bit
        result = pl.Series(result.to_numpy() / grid.divide_by)
    frame = result.alias("v").to_frame()
    return frame.select(pl.when(pl.col("v").is_finite()).then(pl.col("v"))).to_series()


def _latitude() -> pl.Expr:
    """Inverse spherical mercator; out of bounds becomes 91 degrees."""
    inside = pl.col("y").abs() <= _MAX_Y_M
    angle = (pl.col("y") / _RADIUS_M).exp().arctan() * 2 - math.pi / 2
    return pl.when(inside).then(angle.degrees()).when(pl.col("y").is_not_null()).then(91.0)


def _longitude() -> pl.Expr:
    """The same; out of bounds becomes 181 degrees."""
    inside = pl.col("x").abs() <= _MAX_X_M
    return (
        pl.when(inside).then((pl.col("x") / _RADIUS_M).degrees()).when(pl.col("x").is_not_null()).then(181.0)
    )
