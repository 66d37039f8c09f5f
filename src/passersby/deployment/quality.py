"""The quality report of a release, in the headings of the European Statistical System.

Headings follow the ESS Handbook for Quality and Metadata Reports (Eurostat, re-edition 2021). Every
fact is from the label, the rows, the question, contracts, settings and the public log: nothing of the lake is
read. What the system does not hold is said to be not measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import h3.api.numpy_int as h3i
import numpy as np
import pyarrow as pa

from passersby.deployment import views
from passersby.deployment.opened import Deployment
from passersby.deployment.studied import Studied, classes, places_of
from passersby.gate.request import REVISION_DAYS
from passersby.model.cost import MicroRho
from passersby.model.period import DAY, day_name, day_of
from passersby.model.release import COARSE, LOW_PRECISION, SUPPRESSED, Release
from passersby.model.weights import PARTS
from passersby.privacy.accounting import epsilon_for, micro_rho_for
from passersby.render.report import Bars, Fact, Report, Section, known, unknown

_FITS = {
    "additive": "children add up to their parent, estimates and counts alike",
    "levels": "no child is above its parent and children together are not below it, in `count`",
    "pairs": "each resolution is measured by itself; no pair is above its parent in `count`",
}
"""How levels of cells fit together, by the measure's kind."""

_FITS_OF_ZONES = {
    "additive": "zones add up to all of them together, estimates and counts alike",
    "levels": "each zone is measured by itself, and not their union: a device may be in several",
    "pairs": "each pair of zones is measured by itself",
}


def report(d: Deployment, found: Release) -> Report:
    """Return the quality report of a stored answer."""
    it = Studied(d, found)
    return Report(
        title=f"Quality report: {found.label['name']}",
        subtitle=f"Release {found.id} of {', '.join(found.label['data_curators'])}, {it.day(found.created)}",
        note="Headings of the ESS Handbook for Quality and Metadata Reports (Eurostat, re-edition 2021). "
        "Made from label, rows, contracts, settings and the public log. All numbers are noisy or public.",
        sections=tuple(
            make(it)
            for make in (
                _presentation,
                _relevance,
                _accuracy,
                _timeliness,
                _accessibility,
                _comparability,
                _coherence,
                _cost,
                _confidentiality,
            )
        ),
    )


def _presentation(it: Studied) -> Section:
    question, label = it.release.question, it.release.label
    filters = "; ".join(f"{name} {', '.join(values)}" for name, values in question["filters"].items())
    return Section(
        "Statistical presentation",
        (
            known("What is counted", label["description"]),
            known("Reference area", label["data_product_region"]),
            known("Reference time", views.span_text(it.span, it.d.config.offset)),
            known("Breakdown", f"{_breakdown(question)}, every {question['every']}"),
            known("Hours", filters or "all"),
            known("Unit", views.unit(it.release)),
            known("Statistical unit", "a device of a supplier's panel, by its pseudonym"),
            known("Contact", ", ".join(label["data_curators"])),
        ),
    )


def _relevance(it: Studied) -> Section:
    places = places_of(it.release.rows)
    shown = places_of(it.release.rows.filter(pa.array(it.flags != SUPPRESSED)))
    return Section(
        "Relevance",
        (
            known("Purpose", it.release.label["intended_use"]),
            known(
                "Completeness: places",
                f"{_share(len(shown), len(places))} of {len(places):,} cells, pairs or zones have a value",
                len(shown) / max(1, len(places)),
            ),
            known(
                "Completeness: mass",
                f"{it.release.label['shown_mass']:.1%} of the estimated total lies in shown rows",
                it.release.label["shown_mass"],
            ),
            unknown("User needs and satisfaction", "no users were asked"),
        ),
    )


def _accuracy(it: Studied) -> Section:
    flags, errors, total = it.flags, it.errors, len(it.flags)
    shown = int((flags != SUPPRESSED).sum())
    facts = [
        known("Rows", f"{total:,}, of which {shown:,} shown", total),
        *(
            known(
                name,
                f"{_share(int((flags == flag).sum()), total)} of the rows",
                float((flags == flag).mean()),
            )
            for name, flag in (
                ("Suppressed", SUPPRESSED),
                ("Low precision", LOW_PRECISION),
                ("Coarser than asked for", COARSE),
            )
        ),
    ]
    bars = None
    if len(errors):
        low, middle, high = (float(q) for q in np.quantile(errors, (0.1, 0.5, 0.9)))
        facts.append(
            known(
                "Relative standard error",
                f"median {middle:.1%}; a tenth of the shown rows has at most {low:.1%}, "
                f"a tenth at least {high:.1%}",
                middle,
            )
        )
        bars = Bars("Relative standard error of shown rows with an estimate above 0", classes(errors))
    adjusted = "" if it.weights else ", and nothing was adjusted"
    facts += [
        known("Noise", _noise(it)),
        known("Intervals", _intervals(it)),
        known("Clipping", it.release.label["contribution_bound"]),
        known("Bias", f"estimates {_bias(it)}; counts biased upwards in nearly empty cells"),
        known("Coverage", it.release.label["sample_coverage"]),
        *_weights(it),
        unknown("Sampling error", "a panel is no random sample of the population" + adjusted),
        unknown("Non-response", "who is not in a supplier's panel is not known"),
        unknown("Measurement error", "positions are taken as delivered, by their stated accuracy"),
        known("Reliability", _revision(it)),
        unknown("Size of revisions", "revisions differ by their noise too, and are not compared"),
    ]
    return Section("Accuracy and reliability", tuple(facts), bars)


def _timeliness(it: Studied) -> Section:
    made, end = it.release.created, it.span.end
    days = (made - end) // DAY
    newer = [it.closed + n * DAY for n in REVISION_DAYS if it.closed + n * DAY > made]
    return Section(
        "Timeliness and punctuality",
        (
            known("End of the reference time", it.day(end - 1)),
            known("Open to questions from", it.day(it.closed)),
            known("Released", it.day(made)),
            known("Timeliness", f"{days:,} days from the end of the reference time to the release", days),
            known(
                "Next data revision",
                f"from {it.day(newer[0])} on" if newer else "none: the data revision is the last one",
            ),
            unknown("Punctuality", "answers are made when they are asked for; there is no release calendar"),
        ),
    )


def _accessibility(it: Studied) -> Section:
    repeated = sum(
        entry["release"] == it.release.id
        for entry in views.log_entries(it.d, last=it.release.log_index + 10**9, kind="release.repeated")
    )
    return Section(
        "Accessibility and clarity",
        (
            known("Access", it.release.label["deployment_model"]["access_type"]),
            known("Formats", "GeoParquet, CSV, GeoJSON, SDMX-CSV, a map as PNG"),
            known("Handed out again", f"{repeated:,} times, free", repeated),
            known("Metadata", "a label with the guarantee, the noise, its cost and its limits"),
            known(
                "Check",
                f"entry {it.release.log_index} of the log {it.release.label['log_origin']} holds the hashes "
                "of rows and label",
            ),
            unknown("Users", "who reads a file after it was written is not known"),
        ),
    )


def _comparability(it: Studied) -> Section:
    question, offset = it.release.question, it.d.config.offset
    first, last = (day_of(t, offset) for t in (it.span.start, it.span.end - 1))
    joined = [f"{c.id} ({day_name(c.dates_from)})" for c in it.contracts if c.dates_from > first]
    left = [f"{c.id} ({day_name(c.dates_to)})" for c in it.contracts if c.dates_to < last]
    sizes = [h3i.cell_area(cell, "km^2") for cell in it.cells]
    keys = len({it.d.ring.epoch_of(period) for period in it.periods})
    form = ("resolution", "every", "filters", "area", "zones", "weights")
    series = [e.id for e in it.others if all(e.question.get(name) == question.get(name) for name in form)]
    return Section(
        "Comparability",
        (
            known(
                "Geographical",
                f"the same grid everywhere (H3); cells here have {min(sizes):,.1f} to {max(sizes):,.1f} km2",
            ),
            known("Definition", f"version {question['definition']}", question["definition"]),
            known("Mechanism", question["mechanism"]),
            known(
                "Over time",
                f"{len(series)} other release(s) of the same form, definition and mechanism"
                + (f": {', '.join(series)}" if series else ""),
                series,
            ),
            known("Suppliers that joined in the reference time", ", ".join(joined) or "none", joined),
            known("Suppliers that left in it", ", ".join(left) or "none", left),
            known(
                "Pseudonym keys",
                f"{keys}" if keys == 1 else f"{keys}: a device has another name in each",
                keys,
            ),
            unknown("Size of the panel over time", "contracts declare one number for all of their time"),
            unknown("Between populations", "panels are not adjusted to the population of an area")
            if it.weights is None
            else known("Between populations", "estimates stand for the people of the census in its strata"),
        ),
    )


def _coherence(it: Studied) -> Section:
    question, measure = it.release.question, it.measure
    fits = (_FITS_OF_ZONES if "zones" in question else _FITS)[measure.kind]
    facts = [known("Between resolutions", fits), _partition(it)]
    if "bin" not in it.release.rows.schema.names:
        shown = it.release.rows.filter(pa.array(it.flags != SUPPRESSED))
        sums = [
            float(np.sum(np.array(shown[name].to_pylist(), dtype=float))) for name in ("count", "estimate")
        ]
        ratio = sums[0] / sums[1] if sums[1] > 0 else None
        facts.append(
            known("Between views", f"shown counts add up to {ratio:.1%} of the shown estimates", ratio)
            if ratio
            else unknown("Between views", "no shown estimate is above 0")
        )
    same = [e.id for e in it.others if set(e.question["periods"]) & set(question["periods"])]
    facts += [
        known(
            "Between releases",
            (
                f"{', '.join(same)} read the same weeks"
                if same
                else "no other release of the measure reads these weeks"
            )
            + "; each question has noise of its own, so that totals differ by it",
            same,
        ),
        unknown("With other statistics", "nothing was compared"),
    ]
    return Section("Coherence", tuple(facts))


def _cost(it: Studied) -> Section:
    delta, cost = it.d.config.delta, MicroRho(it.release.micro_rho)
    cap = micro_rho_for(it.d.config.epsilon_cap, delta)
    methods = sorted({c.collection_method for c in it.contracts})
    return Section(
        "Cost and burden",
        (
            known(
                "Cost in privacy",
                f"epsilon {epsilon_for(cost, delta):.3f} at delta {delta:g} ({cost.value:,} micro-rho), for "
                f"one device and each of {len(it.periods)} week(s)",
                cost.value,
            ),
            known("Part of a week's cap", f"{cost.value / cap.value:.1%}", cost.value / cap.value),
            known(
                "Source", f"{len(it.contracts)} supplier(s); collected by: {', '.join(methods) or 'nobody'}"
            ),
            known("Burden on respondents", "no questionnaire: data is delivered under contract"),
            unknown("Cost in money and time", "the system keeps no accounts of either"),
        ),
    )


def _confidentiality(it: Studied) -> Section:
    label, config = it.release.label, it.d.config
    return Section(
        "Confidentiality",
        (
            known("Protection", label["dp_variant"]["variant_name"]),
            known("Unit of protection", label["privacy_loss"]["privacy_unit"]),
            known("Without noise", label["invariants"]),
            known("Not protected", "; ".join(label["dp_variant"]["unprotected_quantities"])),
            known(
                "Suppression",
                f"below {config.minimum_devices} devices or too imprecise: for quality, not secrecy",
            ),
            known("Legal bases", ", ".join(sorted({c.basis for c in it.contracts})) or "none"),
            known(
                "Unit-level data",
                f"raw {config.raw_days} days and derived {config.derived_days} days at most",
            ),
        ),
    )


def _partition(it: Studied) -> Fact:
    """Return whether the rows cover the question's area, each part once."""
    if it.measure.pairs:
        places = "zones" if "zones" in it.release.question else "cells of the area"
        return known("Rows and area", f"pairs of {places}; each pair once in a bucket of time")
    fits = it.covers_once()
    return known(
        "Rows and area", "cover the area, each part once" if fits else "do NOT cover the area once", fits
    )


def _noise(it: Studied) -> str:
    """Say how large the noise is: counted bins may count in parts of a unit."""
    levels = it.release.label["implementation"]["mechanisms"]
    unit = it.weights["largest"] / PARTS if it.weights else it.measure.factor
    parts = (
        f"{unit * m['standard_deviation']:,.1f} at {m['mechanism'].rsplit(' at ', 1)[-1]}" for m in levels
    )
    return f"discrete Gaussian; standard deviation in units of the measure {', '.join(parts)}"


def _intervals(it: Studied) -> str:
    beside = " and the error of the weights" if it.weights else ""
    beside += f" and up to {it.measure.lost:.0%} lost to the bound" if it.measure.lost else ""
    return f"95% by design (1.96 standard errors); they cover the noise{beside} and nothing else"


def _bias(it: Studied) -> str:
    own = "biased low by what the bound cuts" if it.measure.clips else "nearly unbiased"
    return f"{own}{', but for that of the weights' if it.weights else ''}"


def _weights(it: Studied) -> list[Fact]:
    """Return what is known of how devices were weighted to people; nothing where they were not."""
    own = it.weights
    if own is None:
        return []
    return [
        known(
            "Weights",
            f"census {own['census_sha256']}; devices by home from release {own['residents']}, in "
            f"{own['strata']:,} strata; at most {own['cap']:,} people for a device "
            f"({own['cells_capped']:.1%} of cells capped), {own['mean']:,g} on average. {own['how']}",
        ),
        known("Coverage of the population", f"{own['coverage']:.3%} of people in strata", own["coverage"]),
        known(
            "Bias of weights",
            f"{own['bias']:+.1%} of all residents, by cap, rounding and the {own['people_left_out']:.1%} of "
            "people who live where too few devices were counted; by cell or zone in the column `bias`",
            own["bias"],
        ),
        known(
            "Error of weights", f"{own['error']:.1%} relative standard error, in the intervals", own["error"]
        ),
        known("Selection", own["warning"]),
    ]


def _revision(it: Studied) -> str:
    revisions = it.release.question["revisions"]
    mine = {k: v for k, v in it.release.question.items() if k != "revisions"}
    same = [
        e.id for e in it.d.releases() if {k: v for k, v in e.question.items() if k != "revisions"} == mine
    ]
    others = [name for name in same if name != it.release.id]
    state = "final" if min(revisions) >= len(REVISION_DAYS) else f"provisional until {len(REVISION_DAYS)}"
    found = f"data revision {', '.join(str(n) for n in sorted(set(revisions)))} ({state})"
    return found + (f"; other revisions of the same question: {', '.join(others)}" if others else "")


def _breakdown(question: Mapping[str, Any]) -> str:
    held = f"H3 resolution {question['resolution']}"
    return f"{len(question['zones']):,} zones, held in cells of {held}" if "zones" in question else held


def _share(part: int, whole: int) -> str:
    return f"{part / max(1, whole):.1%}"
