"""Bins beside a map: names are all written, numbers only as far as there is room."""

from __future__ import annotations

import pyarrow as pa
import pytest
from matplotlib.figure import Figure

from passersby.measures.catalogue import get
from passersby.model.bins import Bin
from passersby.render import panels
from passersby.render.caption import Caption


def _labels(bins: tuple[Bin, ...]) -> list[str]:
    rows = pa.table(
        {
            "bin": [each.label for each in bins],
            "flag": [""] * len(bins),
            "start": pa.array([0] * len(bins), pa.int64()),
            **{name: [float(i) for i in range(len(bins))] for name in ("estimate", "low", "high")},
        }
    )
    caption = Caption("", "", "device-days", "week", "", 0, bins)
    axes = Figure().add_subplot()
    panels._histogram(axes, rows, caption)
    assert len(axes.patches) == len(bins)
    return [label.get_text() for label in axes.get_xticklabels()]


@pytest.mark.parametrize("name", ["motifs", "calendar-activity", "k-radius-ratio"])
def test_names_are_all_written(name: str) -> None:
    bins = get(name).bins
    assert _labels(bins) == [each.label for each in bins]


def test_of_many_numbers_every_second_one_is_written() -> None:
    assert _labels(get("distinct-places").bins)[:3] == ["1 places", "3 places", "5 places"]
