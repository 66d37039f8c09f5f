"""The curve of a report as SVG shapes, and the shade of a rate in a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from markupsafe import Markup

from passersby.risk.grid import EDGE, HOUR, Step
from passersby.risk.rates import Rate, percent
from passersby.risk.templates import filled
from passersby.risk.uniqueness import POINTS

_WIDTH, _HEIGHT = 640, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 118, 12, 40
_LABEL_GAP = 17
_SHADES = 5


def curve(rate_of: Callable[[int, Step], Rate], resolutions: Sequence[int]) -> Markup:
    """Return an SVG of the shares that 1 to 10 points by the hour single out: a line a resolution.

    A masked share is drawn at its upper bound, hollow: all that is known is that it lies below.
    """
    lines = []
    for number, resolution in enumerate(resolutions):
        rates = [rate_of(points, Step(HOUR, resolution)) for points in range(1, POINTS + 1)]
        shown = [(x + 1, rate) for x, rate in enumerate(rates) if rate.rate is not None]
        upper = [(_x(x), _y(rate.high)) for x, rate in shown]
        lower = [(_x(x), _y(rate.low)) for x, rate in shown]
        lines.append(
            {
                "number": number,
                "name": EDGE[resolution],
                "line": " ".join(f"{_x(x)},{_y(rate.rate or 0)}" for x, rate in shown),
                "band": " ".join(f"{x},{y}" for x, y in upper + lower[::-1]),
                "dots": [(_x(x), _y(rate.rate or 0)) for x, rate in shown],
                "masked": [(_x(x + 1), _y(rate.high)) for x, rate in enumerate(rates) if rate.rate is None],
                "end": _y(rates[-1].rate if rates[-1].rate is not None else rates[-1].high),
            }
        )
    shapes = {
        "width": _WIDTH,
        "height": _HEIGHT,
        "lines": _apart(lines),
        "label": _WIDTH - _RIGHT + 12,
        "left": _LEFT,
        "right": _WIDTH - _RIGHT,
        "base": _HEIGHT - _BOTTOM,
        "levels": [(_y(level / 4), f"{25 * level}%") for level in range(5)],
        "ticks": [(_x(x), x) for x in range(1, POINTS + 1)],
    }
    return filled("curve.svg.j2", curve=shapes)


def _x(points: int) -> float:
    return round(_LEFT + (points - 1) * (_WIDTH - _LEFT - _RIGHT) / (POINTS - 1), 1)


def _y(share: float) -> float:
    return round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM), 1)


def _apart(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give each line's label a place of its own, in the order of the lines' ends."""
    place = _TOP - _LABEL_GAP + 4.0
    for line in sorted(lines, key=lambda line: (line["end"], line["number"])):
        place = max(line["end"], place + _LABEL_GAP)
        line["text"] = place
    over = max(0.0, place - (_HEIGHT - _BOTTOM))
    for line in lines:
        line["text"] = round(line["text"] - over, 1)
    return lines


def shade(rate: Rate) -> int:
    """Return the class of a rate's colour, 0 (none) to 5 (all)."""
    return 0 if rate.rate is None else min(_SHADES, 1 + int(_SHADES * rate.rate))


def cell(rate: Rate) -> str:
    """Return a rate for a cell of a table."""
    return f"< {percent(rate.high)}" if rate.rate is None else percent(rate.rate)
