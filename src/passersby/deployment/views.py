"""Plain objects that commands print: answers, releases, budgets. Noisy or public numbers only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rfc8785
from sqlalchemy import select

from passersby.deployment.opened import Deployment
from passersby.errors import IntegrityError, UnknownName
from passersby.gate.gate import Answer
from passersby.gate.request import REVISION_DAYS
from passersby.measures.catalogue import get as get_measure
from passersby.measures.weighted import unit_of
from passersby.model.cost import MicroRho
from passersby.model.period import Span, day_name, day_of
from passersby.model.question import WHOLE
from passersby.model.release import SUPPRESSED, Release
from passersby.model.schema import WEIGHTED
from passersby.policy import licence as licences
from passersby.privacy import answers
from passersby.privacy.accounting import epsilon_for
from passersby.privacy.label import to_yaml
from passersby.render import export, sdmx
from passersby.render.caption import Caption
from passersby.render.sdmx import About
from passersby.store.tables import LogEntry
from passersby.trustlog.entries import COMMITMENTS

_SAMPLE = 12
_LARGE = 10_000
"""From here on a decimal is noise, and takes room in a terminal."""
_RATIOS = {field.name for field in WEIGHTED}


def answer(d: Deployment, found: Answer, path: Path | None) -> dict[str, Any]:
    """Return what an answer came to."""
    release = found.release
    return {
        "release": release.id,
        "new": found.new,
        "path": None if path is None else str(path),
        "cost": cost(d, MicroRho(release.micro_rho), list(release.question["periods"])),
        "rows": release.rows.num_rows,
        **shown(release),
        "weights": release.label.get("weights"),
        "log_index": release.log_index,
    }


def shown(release: Release) -> dict[str, Any]:
    """Return how many rows are shown, and the part of the consistent total that they cover.

    The part is that of the label: over the released total, suppressed cells included; noisy, as both are.
    """
    flags = np.array(release.rows["flag"].to_pylist(), dtype=object)
    suppressed = int((flags == SUPPRESSED).sum())
    return {
        "shown": len(flags) - suppressed,
        "suppressed": suppressed,
        "covered": float(release.label["shown_mass"]),
    }


def cost(d: Deployment, spent: MicroRho, periods: list[str]) -> dict[str, Any]:
    """Return a cost in both units."""
    return {
        "micro_rho": spent.value,
        "epsilon": round(epsilon_for(spent, d.config.delta), 4),
        "delta": d.config.delta,
        "periods": periods,
    }


def releases(d: Deployment) -> list[dict[str, Any]]:
    """Return the stored answers, oldest first."""
    return [
        {
            "release": entry.id,
            "measure": entry.question["measure"],
            "periods": ", ".join(entry.question["periods"]),
            "every": entry.question["every"],
            "resolution": entry.question["resolution"],
            "epsilon": round(epsilon_for(MicroRho(entry.micro_rho), d.config.delta), 3),
            "log": entry.log_index,
            "created": entry.created,
            "withdrawn": entry.withdrawn,
        }
        for entry in d.releases()
    ]


def release(d: Deployment, found: Release) -> dict[str, Any]:
    """Return a stored answer with its label and its first rows that are shown."""
    first = found.rows.filter(found.rows["estimate"].is_valid()).slice(0, _SAMPLE)
    return {
        "release": found.id,
        "question": _short_question(found),
        "rows": found.rows.num_rows,
        **shown(found),
        "label": dict(found.label),
        "columns": first.schema.names,
        "sample": [
            [_ratio(v) if name in _RATIOS else _short(v) for name, v in row.items()]
            for row in export.records(first, d.config.offset)
        ],
        "log_index": found.log_index,
    }


def _short_question(found: Release) -> dict[str, Any]:
    """Return the canonical question with the number of its area's and zones' cells instead of their names."""
    question = {**found.question, "area": f"{len(found.question['area']):,} compacted cells"}
    if "zones" in question:
        question["zones"] = {name: f"{len(own):,} compacted cells" for name, own in question["zones"].items()}
    return question


def label_text(found: Release) -> str:
    """Return the label as YAML."""
    return to_yaml(found.label)


def write(d: Deployment, found: Release, path: Path) -> None:
    """Write a release's rows to a file whose ending chooses the format. See `render.export`."""
    export.write(found.rows, path, about(d, found))


def about(d: Deployment, found: Release) -> About:
    """Return what a release's rows do not say themselves."""
    question = found.question
    return About(
        release=found.id,
        measure=question["measure"],
        unit=unit(found),
        every=question["every"],
        span=Span(question["from"], question["to"]),
        revisions=_revisions(found, d.config.offset),
        final=len(REVISION_DAYS),
        offset=d.config.offset,
        zones=question.get("zones", {}),
        resolution=question["resolution"],
    )


def unit(found: Release) -> str:
    """Return the unit of a release's estimates."""
    measure = get_measure(found.question["measure"])
    return unit_of(measure) if "weights" in found.question else measure.unit


def _revisions(found: Release, offset: int) -> tuple[int, ...]:
    """Return the data revision of each period of the question's span: of more it may read homes."""
    known = dict(zip(found.question["periods"], found.question["revisions"], strict=True))
    span = Span(found.question["from"], found.question["to"])
    return tuple(known[period.name] for period in span.periods(offset))


def structure(found: Release) -> bytes:
    """Return the SDMX structure that a release's SDMX-CSV refers to."""
    return sdmx.structure(found.rows, found.created).encode()


def picture(d: Deployment, found: Release) -> bytes:
    """Return the map of a release as PNG."""
    from passersby.render.map import draw  # noqa: PLC0415  (Matplotlib takes half a second to import)

    return draw(found.rows, caption(found, d.config.offset))


def caption(found: Release, offset: int) -> Caption:
    """Return the words around a release's map."""
    question, measure = found.question, get_measure(found.question["measure"])
    one = "zone" if "zones" in question else "H3 cell"
    place = f"pair of {one}s" if measure.pairs else one
    held = "" if "zones" in question else f" of resolution {question['resolution']}"
    grain = "in all" if question["every"] == WHOLE else f"every {question['every']}"
    hidden = "Not drawn: pairs" if measure.pairs else "Hatched:"
    loss = found.label["privacy_loss"]["privacy_parameters"]
    when = span_text(Span(question["from"], question["to"]), offset)
    weighted = "Weighted by a census: a panel is no sample. " if "weights" in question else ""
    return Caption(
        title=f"{measure.name.replace('-', ' ').capitalize()}, {when}",
        subtitle=f"{unit(found).capitalize()} per {place}{held}, {grain} · release {found.id}",
        unit=unit(found),
        every=question["every"],
        promise=f"Differentially private: epsilon {loss['epsilon']:g} at delta {loss['delta']:g} for one "
        f"device and week. {hidden} below the floor or too imprecise. Intervals: 95%. {weighted}Borders: "
        "Natural Earth.",
        offset=offset,
        bins=measure.bins,
        derived=measure.derived,
        zones=question.get("zones", {}),
        resolution=question["resolution"],
    )


def budget(d: Deployment, licence: str) -> list[dict[str, Any]]:
    """Return what was spent in each period, in all or by one licence.

    Raises:
        UnknownName: there is no such licence.
    """
    if licence:
        with d.database.read() as session:
            if licences.find(session, licence) is None:
                raise UnknownName("There is no licence of that name.", "`passersby licence list` shows them.")
    rows = d.licence_balances(licence) if licence else d.balances()
    return [
        {
            "period": row.period,
            "key": row.key,
            "micro_rho_spent": row.spent.value,
            "micro_rho_cap": row.cap.value,
            "epsilon_spent": epsilon_for(row.spent, d.config.delta),
            "epsilon_cap": epsilon_for(row.cap, d.config.delta),
            "share": row.spent.value / row.cap.value if row.cap.value else 1.0,
        }
        for row in rows
    ]


def verify_release(d: Deployment, name: str) -> dict[str, Any]:
    """Check a stored answer against its log entry; return what was checked.

    Raises:
        IntegrityError: rows, label or question are not those of the log entry.
    """
    with d.database.read() as session:
        found = d.ledger.by_id(session, name)  # not handed out, so that it can be checked in a freeze, too
    rows_sha256 = hashlib.sha256(answers.rows_parquet(found.rows)).hexdigest()
    label_sha256 = hashlib.sha256(rfc8785.dumps(dict(found.label))).hexdigest()
    question_sha256 = hashlib.sha256(rfc8785.dumps(dict(found.question))).hexdigest()
    with d.database.read() as session:
        body = session.scalar(select(LogEntry.body).where(LogEntry.index == found.log_index))
    said = _entry(body)
    expected = {
        "kind": "release.made",
        "release": found.id,
        "question": question_sha256,
        "rows_sha256": rows_sha256,
        "label_sha256": label_sha256,
    }
    wrong = [field for field, value in expected.items() if said.get(field) != value]
    if wrong:
        raise IntegrityError(
            f"The stored answer does not fit its log entry: {', '.join(wrong)}.",
            "Do not use it; run `passersby log verify`.",
        )
    return {
        "release": found.id,
        "log_index": found.log_index,
        "checked": "rows, label and question fit the log",
    }


def log_entries(d: Deployment, *, last: int, kind: str = "") -> list[dict[str, Any]]:
    """Return the public fields of the newest entries, oldest first."""
    found: list[dict[str, Any]] = []
    with d.database.read() as session:
        query = select(LogEntry.index, LogEntry.body).order_by(LogEntry.index.desc())
        for index, body in session.execute(query):
            entry = {name: value for name, value in json.loads(body).items() if name != COMMITMENTS}
            if not kind or entry["kind"] == kind:
                found.append({"index": index, **entry})
            if len(found) == last:
                break
    return found[::-1]


def span_text(span: Span, offset: int) -> str:
    """Return a span of days for people: `2026-05-11 to 2026-05-17`."""
    first, last = day_name(day_of(span.start, offset)), day_name(day_of(span.end - 1, offset))
    return first if first == last else f"{first} to {last}"


def _entry(body: bytes | None) -> Mapping[str, Any]:

    return json.loads(body) if body else {}


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"


def _short(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= _LARGE else f"{value:,.1f}"
    return value
