"""An assessment as JSON, and as one HTML file that needs nothing else: no request, no script."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from passersby.model.period import instant_text
from passersby.risk import charts, linking, words
from passersby.risk.advice import advise
from passersby.risk.assess import GROUPS, HEADLINE, POINTS, Assessment, Options, days
from passersby.risk.grid import EDGE, RESOLUTIONS, TIMES, Step
from passersby.risk.linking import Linked
from passersby.risk.templates import filled
from passersby.risk.uniqueness import POINTS as MOST_POINTS
from passersby.risk.worst import FACTS

GROUP_NAMES = ("alone", "2 to 4", "5 to 19", "20 to 99", "100 or more")
"""Names of the sizes from each of `assess.GROUPS`."""


def to_json(found: Assessment) -> dict[str, Any]:
    """Return all figures for programs; a masked share has the rate null and the bounds that are known."""
    return {
        **_mark(found),
        "verdict": words.verdict(found),
        "warnings": list(words.warnings(found)),
        found.what: _source(found),
        "method": {
            "drawn": found.drawn,
            "seed": found.options.seed,
            "smallest_group": 20,
            "interval": "Wilson, 95%",
            "version": version("passersby"),
        },
        "headline": {**_step(HEADLINE), "points": POINTS, **found.headline.to_json()},
        "uniqueness": [{"points": s.points, **_step(s.step), **s.rate.to_json()} for s in found.uniqueness],
        "sets_of_four_points": _groups(found.groups),
        "fewer_points": found.few.to_json(),
        "anchors": [
            {
                "kind": a.kind,
                "resolution": a.resolution,
                "have": a.have.to_json(),
                "sets": _groups(a.groups),
            }
            for a in found.anchors
        ],
        "linkability": {
            "halves": _linked(found.halves),
            "other": None if found.others is None else _linked(found.others),
        },
        "exposure": [
            {"category": e.category, "places": e.places, **e.rate.to_json()} for e in found.exposure
        ],
        "worst_case": [{"kind": w.kind, "facts": FACTS, **w.rate.to_json()} for w in found.worst],
        "membership_in_counts": [
            {
                **_step(g.step),
                "published": g.way,
                "auc": round(g.auc, 3),
                "low": round(g.low, 3),
                "high": round(g.high, 3),
                "error": round(g.error, 3),
            }
            for g in found.counts
        ],
        "cells_a_day": round(found.cells_a_day, 1),
        "advice": [{"limit": a.limit, "steps": [_step(step) for step in a.steps]} for a in advise(found)],
        "reproduce": reproduce(found),
    }


def _mark(found: Assessment) -> dict[str, Any]:
    return {} if found.lake is None else {"publication": words.BANNER.lower()}


def _source(found: Assessment) -> dict[str, Any]:
    """Return what was looked at."""
    facts = found.facts
    first, last = days(facts, found.options.offset)
    rows = {"rows": facts.rows, "devices": facts.devices, "first_day": first, "last_day": last}
    if found.lake is not None:
        return {**asdict(found.lake), **rows}
    return {
        "names": [name for name, _ in facts.files],
        "sha256": [sha256 for _, sha256 in facts.files],
        "schemas": list(facts.schemas),
        "bytes": facts.bytes,
        "rejected": dict(facts.rejected),
        **rows,
    }


def _step(step: Step) -> dict[str, Any]:
    return {"resolution": step.resolution, "time": step.time}


def _groups(groups: tuple[Any, ...]) -> list[dict[str, Any]]:
    edges = [*GROUPS[1:], None]
    return [
        {"from": low, "before": high, **rate.to_json()}
        for low, high, rate in zip(GROUPS, edges, groups, strict=True)
    ]


def _linked(linked: Linked) -> dict[str, Any]:
    return {"devices": linked.devices, "rate": linked.rate, "masked": linked.masked}


def reproduce(found: Assessment) -> str | None:
    """Return the command that gives the same figures again; None of a lake, where two agree to each run."""
    if found.lake is not None:
        return None
    options = found.options
    words_ = reproduced([name for name, _ in found.facts.files], options)
    if options.sensitive is not None:
        words_ += ["--sensitive", options.sensitive.name]
    for path in options.other:
        words_ += ["--other", path.name]
    return shlex.join(words_)


def reproduced(names: Sequence[str], options: Options) -> list[str]:
    """Return the words of a command over files that all reports have in common."""
    words_ = ["passersby", "risk", *names, "--seed", str(options.seed), "--sample", str(options.sample)]
    if options.offset:
        words_ += ["--utc-offset", instant_text(0, options.offset)[19:]]
    if options.schema:
        words_ += ["--schema", options.schema]
    return words_


def html(found: Assessment) -> str:
    """Return the report as HTML: light or dark as the reader has it, and made to be printed."""
    first, last = days(found.facts, found.options.offset)
    resolutions = [r for r in RESOLUTIONS if r >= 5]
    return filled(
        "report.html.j2",
        found=found,
        banner=words.BANNER,
        why_banner=words.WHY_BANNER,
        verdict=words.verdict(found),
        warnings=words.warnings(found),
        link_resolution=linking.RESOLUTION,
        advice=advise(found),
        curve=charts.curve(found.rate, resolutions),
        points=range(1, MOST_POINTS + 1),
        times=list(TIMES),
        resolutions=RESOLUTIONS,
        edge=EDGE,
        step=Step,
        four=POINTS,
        shade=charts.shade,
        cell=charts.cell,
        group_names=GROUP_NAMES,
        link_text=words.link_text,
        first=first,
        last=last,
        reproduce=reproduce(found),
        version=version("passersby"),
        rejected=found.facts.rejected.most_common(),
    )
