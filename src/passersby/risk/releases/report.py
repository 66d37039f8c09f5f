"""An assessment of releases as JSON, and as one HTML file that needs nothing else."""

from __future__ import annotations

import math
import shlex
from importlib.metadata import version
from typing import Any

from passersby.model.period import instant_text
from passersby.risk.charts import cell, shade
from passersby.risk.grid import EDGE
from passersby.risk.releases import words
from passersby.risk.releases.assess import Assessment, Described
from passersby.risk.releases.bounds import FEW
from passersby.risk.releases.membership import KNOWS, Guessed
from passersby.risk.releases.overlaps import BAND_NAMES, BANDS
from passersby.risk.report import reproduced
from passersby.risk.templates import filled

Json = dict[str, Any]


def to_json(found: Assessment) -> Json:
    """Return all figures for programs; a masked share has the rate null and the bounds that are known."""
    return {
        "verdict": words.verdict(found),
        "warnings": list(words.warnings(found)),
        "releases": [_described(release, found.options.offset) for release in found.releases],
        "raw": None
        if found.raw is None
        else {
            "names": [name for name, _ in found.raw.files],
            "sha256": [sha256 for _, sha256 in found.raw.files],
            "rows": found.raw.rows,
            "devices": found.raw.devices,
        },
        "method": {"seed": found.options.seed, "smallest_group": 20, "version": version("passersby")},
        "differences": None
        if found.differences is None
        else {"common": found.differences.common, "few": found.differences.few.to_json(),
              "bands": _bands(found.differences.bands)},
        "untold": [
            {
                "counts": b.hidden,
                "exact": b.exact.to_json(),
                "few": {"most": FEW, **b.few.to_json()},
                "smallest_told": b.smallest,
                "wholes": b.wholes,
                "checked": b.checked,
                "add_up": None if b.agree is None else round(b.agree, 4),
            }
            for b in found.bounds
        ],
        "averaged": None
        if found.averaged is None
        else {
            "releases": found.averaged.releases,
            "common": found.averaged.common,
            "noise": round(found.averaged.noise, 3),
            "low": round(found.averaged.low, 3),
            "high": round(found.averaged.high, 3),
            "left": round(found.averaged.left, 3),
        },
        "membership": [
            {
                "release": played.name,
                "resolution": played.resolution,
                "counted_as": played.measure,
                "differs": round(played.near, 4),
                "games": [_guessed(game) for game in played.games],
            }
            for played in found.played
        ],
        "equal_error": [
            {
                "floor": c.floor,
                "published": c.way,
                "error": round(c.error, 4),
                "noise": round(c.noise, 3),
                "games": [_guessed(game) for game in c.games],
            }
            for c in found.compared
        ],
        "tracks": None
        if found.recovered is None
        else {
            "devices": found.recovered.devices,
            "steps": found.recovered.steps,
            "accuracy": round(found.recovered.accuracy, 3),
            "low": round(found.recovered.low, 3),
            "high": round(found.recovered.high, 3),
            "chance": round(found.recovered.chance, 3),
            "median_metres": round(found.recovered.metres),
        },
        "left_out": list(found.left_out),
        "reproduce": reproduce(found),
    }  # fmt: skip


def _described(release: Described, offset: int) -> Json:
    return {
        "name": release.name,
        "sha256": release.sha256,
        "counts": release.counts,
        "places": release.places,
        "resolutions": list(release.resolutions),
        "minutes": release.step if release.timed else None,
        "first": instant_text(release.first * 60, offset) if release.timed else None,
        "last": instant_text(release.last * 60, offset) if release.timed else None,
        "noise": release.noisy,
        "interval_half_width": None if math.isnan(release.half) else round(release.half, 2),
        "not_told": release.small.untold.to_json(),
        "bands": _bands(release.small.bands),
        "made_up": None if release.made_up is None else _guessed(release.made_up),
    }


def _bands(bands: tuple[Any, ...]) -> list[Json]:
    edges = [*BANDS[1:], None]
    return [
        {"from": low, "before": high, **rate.to_json()}
        for low, high, rate in zip(BANDS, edges, bands, strict=True)
    ]


def _guessed(game: Guessed) -> Json:
    return {
        "attacker_knows": game.knows,
        "targets": game.targets,
        "right": round(game.right, 3),
        "low": round(game.low, 3),
        "high": round(game.high, 3),
    }


def reproduce(found: Assessment) -> str:
    """Return the command that gives the same figures again."""
    raw = [word for name, _ in (found.raw.files if found.raw else ()) for word in ("--raw", name)]
    return shlex.join([*reproduced([release.name for release in found.releases], found.options), *raw])


def html(found: Assessment) -> str:
    """Return the report as HTML: light or dark as the reader has it, and made to be printed."""
    return filled(
        "releases/report.html.j2",
        found=found,
        verdict=words.verdict(found),
        warnings=words.warnings(found),
        words=words,
        knows=KNOWS,
        band_names=BAND_NAMES,
        cell=cell,
        shade=shade,
        edge=EDGE,
        step=step_text,
        span=lambda release: span_text(release, found.options.offset),
        reproduce=reproduce(found),
        version=version("passersby"),
    )


def step_text(minutes: int) -> str:
    """Return the length of a step of time in words."""
    for unit, length in (("day", 1440), ("hour", 60), ("minute", 1)):
        if minutes % length == 0:
            number = minutes // length
            return unit if number == 1 else f"{number} {unit}s"
    raise AssertionError


def span_text(release: Described, offset: int) -> str:
    """Return the times of a release in words."""
    if not release.timed:
        return "without times"
    first, last = (instant_text(at * 60, offset)[:10] for at in (release.first, release.last))
    return f"by the {step_text(release.step)}, {first}" + ("" if first == last else f" to {last}")
