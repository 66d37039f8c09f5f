"""What is shown of a stored answer, whatever its columns are."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from passersby.cli import common, releases
from passersby.deployment import views
from passersby.measures.catalogue import get
from passersby.model.release import SUPPRESSED, Release
from passersby.model.schema import PAIR, PLACE, rows_of

CELL = 0x861F8D487FFFFFF


def _release(measure: str, rows: pa.Table) -> Release:
    question = {
        "measure": measure,
        "from": 1_778_457_600,
        "to": 1_779_062_400,
        "every": "day",
        "resolution": 6,
        "area": [],
    }
    parameters = {"epsilon": 1.0, "delta": 1e-7}
    label = {"shown_mass": 0.5, "privacy_loss": {"privacy_parameters": parameters}}
    return Release("0123456789ab", "", question, rows, label, 1, 0, 0, "opendp")


def _rows(place: tuple[str, ...], *, binned: bool) -> pa.Table:
    schema = rows_of(place, binned=binned)
    shown = {**dict.fromkeys(place, CELL), "start": 1_778_457_600, "bin": "mean", "estimate": 1234.56}
    shown |= {"low": 1000.0, "high": 1500.0, "count": None if binned else 1235, "flag": ""}
    hidden = {**shown, **dict.fromkeys(("estimate", "low", "high", "count")), "flag": SUPPRESSED}
    return pa.Table.from_pylist([hidden, shown], schema=schema)


@pytest.mark.parametrize(
    ("place", "binned", "row"),
    [
        (PLACE, False, "861f8d487ffffff 2026-05-11T00:00 1,234.6 1,000.0 1,500.0 1235"),
        (PAIR, False, "861f8d487ffffff 861f8d487ffffff 2026-05-11T00:00 1,234.6 1,000.0 1,500.0 1235"),
        (PLACE, True, "861f8d487ffffff 2026-05-11T00:00 mean 1,234.6 1,000.0 1,500.0"),
        (PAIR, True, "861f8d487ffffff 861f8d487ffffff 2026-05-11T00:00 mean 1,234.6 1,000.0 1,500.0"),
    ],
)
def test_the_sample_has_the_columns_of_the_rows(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    place: tuple[str, ...],
    binned: bool,
    row: str,
) -> None:
    monkeypatch.setattr(common.out, "width", 200)
    rows = _rows(place, binned=binned)
    d: Any = SimpleNamespace(config=SimpleNamespace(offset=0))
    view = views.release(d, _release("presence", rows))
    assert view["columns"] == rows.schema.names
    assert len(view["sample"]) == 1
    releases._show_release(view)
    printed = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert " ".join(rows.schema.names) in printed
    assert row in printed


def test_the_caption_of_pairs_says_what_is_not_drawn() -> None:
    pairs = views.caption(_release("flows", _rows(PAIR, binned=False)), 0)
    assert "Trips per pair of H3 cells of resolution 6, every day" in pairs.subtitle
    assert "Not drawn: pairs below the floor" in pairs.promise
    cells = views.caption(_release("presence", _rows(PLACE, binned=False)), 0)
    assert "per H3 cell of resolution 6, every day" in cells.subtitle
    assert "Hatched: below the floor" in cells.promise
    assert (pairs.bins, pairs.derived) == (get("flows").bins, get("flows").derived) == ((), ())
