"""Compares two stored releases, and says which suppliers joined or left between them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from passersby.deployment.opened import Deployment
from passersby.deployment.views import about
from passersby.errors import UsageError
from passersby.measures.catalogue import get as get_measure
from passersby.model.period import Span, day_of
from passersby.model.release import Release
from passersby.privacy.hierarchy.compare import DISTINGUISHABLE, NOT_COMPARABLE, Comparison, compare
from passersby.render import export, sdmx
from passersby.suppliers import registry

_SAME = (
    "measure",
    "definition",
    "area",
    "zones",
    "resolution",
    "every",
    "filters",
    "utc_offset",
    "mechanism",
)
_SAMPLE = 12
_CHANCE = 0.05


def releases(d: Deployment, before: str, after: str, out: Path | None) -> dict[str, Any]:
    """Compare two stored answers and, if asked, write all rows.

    Raises:
        UnknownName: there is no such release.
        UsageError: they are one release, or do not answer the same question about other times.
    """
    one, other = d.release(before), d.release(after)
    _check(one, other)
    if out is not None and out.name.lower().endswith(sdmx.ENDING):
        raise UsageError("A comparison is no SDMX data set.", "End the name with .parquet, .csv or .geojson.")
    measure = get_measure(one.question["measure"])
    found = compare(one.rows, other.rows, measure.released_bins, lost=measure.lost)
    if out is not None:
        export.write(found.rows, out, about(d, one))
    verdicts, shares = found.verdicts(), found.verdicts("share_verdict")
    compared = found.rows.num_rows - verdicts[NOT_COMPARABLE]
    return {
        "before": _named(one),
        "after": _named(other),
        "rows": found.rows.num_rows,
        "verdicts": verdicts,
        "share_verdicts": shares,
        "by_chance": round(_CHANCE * compared, 1),
        "total": _total(found),
        "suppliers": suppliers(d, _span(one), _span(other)),
        "sample": _clearest(found, d.config.offset),
        "path": None if out is None else str(out),
    }


def suppliers(d: Deployment, before: Span, after: Span) -> dict[str, list[str]]:
    """Return who joined, who left, and who covers a part of the days only, by the dates of contracts."""
    offset = d.config.offset
    days = [(day_of(span.start, offset), day_of(span.end - 1, offset)) for span in (before, after)]
    found: dict[str, list[str]] = {"joined": [], "left": [], "part": []}
    with d.database.read() as session:
        contracts = [supplier.contract for supplier in registry.list_all(session)]
    for contract in contracts:
        dates = (contract.dates_from, contract.dates_to)
        there = [dates[0] <= last and dates[1] >= first for first, last in days]
        whole = [dates[0] <= first and dates[1] >= last for first, last in days]
        if there == [False, True]:
            found["joined"].append(contract.id)
        elif there == [True, False]:
            found["left"].append(contract.id)
        elif all(there) and not all(whole):
            found["part"].append(contract.id)
    return found


def _check(one: Release, other: Release) -> None:
    if one.id == other.id:
        raise UsageError(
            "The two names are of one release.", "Name two; `passersby release list` shows them."
        )
    if "weights" in one.question or "weights" in other.question:
        raise UsageError(
            "Weighted releases are not compared: both share the error of their weights, and of those the "
            "panel's changes.",
            "Compare releases of the same question without weights.",
        )
    wrong = [name for name in _SAME if one.question.get(name) != other.question.get(name)]
    lengths = [span.end - span.start for span in (_span(one), _span(other))]
    wrong += ["length"] if lengths[0] != lengths[1] else []
    if wrong:
        raise UsageError(
            f"The two releases do not answer the same question; they differ in {', '.join(wrong)}.",
            "Ask both times with the same measure, area, resolution, grain and filters, for as many days.",
        )


def _span(release: Release) -> Span:
    return Span(release.question["from"], release.question["to"])


def _named(release: Release) -> dict[str, Any]:
    return {"release": release.id, "periods": list(release.question["periods"])}


def _total(found: Comparison) -> dict[str, float | None]:
    ratio, low, high = (None if np.isnan(part[0]) else float(part[0]) for part in found.total)
    return {"before": found.before, "after": found.after, "ratio": ratio, "low": low, "high": high}


def _clearest(found: Comparison, offset: int) -> list[dict[str, Any]]:
    """Return the distinguishable rows whose differences are largest, compared with their noise."""
    rows = found.rows.filter(pa.array([v == DISTINGUISHABLE for v in found.rows["verdict"].to_pylist()]))
    difference, high = (rows[name].to_numpy() for name in ("difference", "high"))
    order = np.argsort(-np.abs(difference) / np.maximum(high - difference, 1e-9), kind="stable")
    return export.records(rows.take(pa.array(order[:_SAMPLE])), offset)
