"""The label of a release: what is guaranteed, for whom, at what cost, and what is not.

Fields follow the registry of deployments of differential privacy that the OpenDP project keeps (Dwork,
Kohli & Mulligan 2019, "Differential Privacy in Practice: Expose your Epsilons!"), with ours added: the
log's origin, what the periods have cost so far in all, the data revision, how the sample relates to the
population, timing, invariants, bounds and the definitions of the views.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from passersby.model.cost import MicroRho
from passersby.privacy.accounting import PERIODS, composed
from passersby.privacy.hierarchy.plan import Plan, level_name
from passersby.privacy.label_fields import validate
from passersby.privacy.noise import UNIT, implementation

Label = dict[str, Any]

NOT_AUDITED = "not audited: no audit of the software's version that made this answer is on record"

UNIT_TEXT = (
    "one device over one period (an ISO week): all that the device does in the week, or its absence. "
    "The unit is the pseudonym: a person with two phones counts twice"
)

VIEWS = {
    "estimate": "nearly unbiased; may be negative; null where the cell is suppressed",
    "low, high": "95% interval of the estimate (1.96 standard errors; the upper end also allows for what "
    "`contribution_bound` says), cut off below 0",
    "count": "non-negative integers made to fit together over coarser cells; biased upwards in empty cells",
    "smooth": "if present: shrunk towards usual times of day and week; not for detecting unusual events",
    "flag": "suppressed: below the floor or too imprecise, pooled over the question; low_precision: this "
    "row's interval is wider than its estimate; coarse: the cell stands for all its children in the area",
}

NOT_ADJUSTED = (
    "Counts are devices of the suppliers' panels, not people, and are not adjusted to a population."
)

WEIGHTS_HOW = (
    "A device counts for the people of its home stratum over the devices that the named release counts "
    "there, at most for the cap, in whole thousandths of the largest weight. Cells that the release does not "
    "count to within a tenth are joined into one stratum; in cells that it suppresses, and without a home, a "
    "device weighs nothing. Intervals hold the error of the weights: the largest relative standard error of "
    "a stratum, as if all of a row's people lived there (delta method; an upper limit). The noise of the "
    "mechanisms above is in thousandths of the largest weight."
)

WEIGHTS_WARNING = (
    "A panel is no sample: those of a stratum with an observed device may move unlike those without, and no "
    "weight mends that. Who has two devices counts twice. Estimated are residents of the census table; "
    "nobody else is in it."
)

LIMITS = (
    "Suppression is a mark of quality: other answers may recover a suppressed value, with its noise.",
    NOT_ADJUSTED,
    "A cell's children belong to it by index; their outlines may cross its border.",
    "Epsilons of other units (a row, a day, a person) cannot be compared with this one.",
    "Who holds the raw files is bound by access control and retention, not by differential privacy.",
    "The ledger knows this deployment only; the same data in a second one would be charged there.",
)


@dataclass(frozen=True)
class Facts:
    """What a label is made from.

    Args:
        name: title of the release.
        curators: who runs the deployment.
        purpose: what the licence allows it to be used for.
        region: where the area lies, in words or cells.
        published: ISO date.
        definition: the measure's definition and unit.
        plan: the plan that was carried out.
        periods: names of the periods that were read.
        delta: of the deployment.
        spent: what each of the periods has cost so far over all licences, this release included, by name.
        cap: most that a period may cost.
        log_origin: of the transparency log.
        revision: data revision of the periods.
        sample: how the devices relate to the population, in words.
        clips: what the bound cuts of a device's contribution, in words; "" if no device can exceed it.
        joint: whether it joins what a device did in different periods.
        border: what is lost at the borders of zones, in words; "" for cells.
        witnesses: what outside witnesses of the log signed, in words.
        sharing: most periods that are counted together in one number.
        filters: the question's filters, in words; empty for none.
        sampler: name of what drew the noise.
        weights: numbers of the field `weights`, where devices are weighted by their homes.
        audit: the field `audit`, where an audit of this version is on record.
        shown_mass: share of the released total that lies in shown rows, from noisy values.
        suppliers: kinds of data sources.
    """

    name: str
    curators: tuple[str, ...]
    purpose: str
    region: str
    published: str
    definition: str
    plan: Plan
    periods: tuple[str, ...]
    delta: float
    spent: Mapping[str, MicroRho]
    cap: MicroRho
    log_origin: str
    revision: int
    sample: str
    clips: str
    joint: bool
    border: str
    witnesses: str
    sampler: str
    shown_mass: float
    weights: Mapping[str, Any] | None = None
    audit: Mapping[str, Any] | None = None
    filters: str = ""
    sharing: int = 1
    suppliers: str = field(default="location pings of mobile apps, delivered under contract")


def build(facts: Facts) -> Label:
    """Return the label: plain values in the order of `FIELDS`.

    Raises:
        BadRecord: a text that the label needs is empty.
    """
    label: Label = {
        "name": facts.name,
        "data_curators": list(facts.curators),
        "description": facts.definition,
        "intended_use": facts.purpose,
        "data_product_type": f"table of counts by {_place(facts)} and time",
        "data_product_region": facts.region,
        "data_product_sector": "mobility",
        "publication_date": facts.published,
        "dp_variant": _variant(facts),
        "privacy_loss": _loss(facts),
        "deployment_model": _model(facts),
        "accounting": _accounting(facts),
        "implementation": _implementation(facts),
        "log_origin": facts.log_origin,
        "total_spend": _total_spend(facts),
        "revision": facts.revision,
        "shown_mass": round(facts.shown_mass, 4),
        "sample_coverage": facts.sample,
        "contribution_bound": _bound(facts),
        "invariants": "none: no count, total or number of devices is released without noise",
        "residual_timing": "a new answer appears on a whole multiple of two seconds after its question; "
        "how many of them it took, and when each step was named to the asker, may still depend on the data "
        "and is not covered by the guarantee",
        "views": dict(VIEWS),
        "limits": [*LIMITS, facts.witnesses, *([facts.border] if facts.border else [])],
        "audit": NOT_AUDITED if facts.audit is None else dict(facts.audit),
    }
    if facts.weights is not None:
        label["limits"][LIMITS.index(NOT_ADJUSTED)] = WEIGHTS_WARNING
        label["weights"] = {**facts.weights, "how": WEIGHTS_HOW, "warning": WEIGHTS_WARNING}
    validate(label)
    return label


def to_yaml(label: Mapping[str, Any]) -> str:
    """Return the label as YAML, fields in their order."""
    return yaml.safe_dump(dict(label), sort_keys=False, allow_unicode=True, width=100)


def to_json(label: Mapping[str, Any]) -> str:
    """Return the label as indented JSON, fields in their order."""
    return json.dumps(label, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _place(facts: Facts) -> str:
    if facts.plan.kind == "pairs":
        return "pair of zones" if facts.border else "pair of H3 cells"
    return "zone" if facts.border else "H3 cell"


def _variant(facts: Facts) -> Label:
    return {
        "variant_name": "zero-concentrated differential privacy, central model",
        "data_domain": f"where devices were, by time and cell, in {', '.join(facts.periods)}"
        + (f"; {facts.filters}" if facts.filters else ""),
        "unprotected_quantities": [
            "the question itself: measure, area, periods, grain and filters",
            "the set of cells that could be measured",
            "that the question was asked, and when",
        ],
    }


def _loss(facts: Facts) -> Label:
    cost = facts.plan.cost
    return {
        "privacy_unit": UNIT_TEXT,
        "privacy_parameters": {
            "micro_rho": cost.value,
            "epsilon": composed(cost, facts.delta, (1,))[1],
            "delta": facts.delta,
        },
        "details": "neighbouring data sets differ in all rows of one device in one period; each period that "
        "the question reads is charged in full",
    }


def _model(facts: Facts) -> Label:
    return {
        "model_name": "central",
        "actors": ["suppliers deliver pings", *(f"{curator} holds them" for curator in facts.curators)],
        "release_type": "one answer, stored; asked again it is the same answer",
        "data_source_type": facts.suppliers,
        "access_type": "by licence, for stated purposes; every question and refusal is in the log",
    }


def _accounting(facts: Facts) -> Label:
    """Return losses over several periods: for a device that is there in all of them, at this cost each."""
    epsilons = composed(facts.plan.cost, facts.delta)
    return {
        "post_processing": "least squares, rounding, suppression, flags and the choice of cells to split use "
        "noisy values and public facts only",
        "composition": {
            "rule": "costs in rho add up over questions and periods, then OpenDP converts to epsilon",
            **{f"epsilon_over_{n}_periods": epsilons[n] for n in PERIODS},
        },
    }


def _implementation(facts: Facts) -> Label:
    levels = [
        {
            "mechanism": f"discrete Gaussian, {facts.plan.measure} at {level_name(level.resolution)}",
            "squared_sensitivity": level.squared_bound,
            "standard_deviation": level.scale / UNIT,
            "micro_rho": level.cost.value,
            "drawn_by": f"{facts.sampler}: {implementation()}",
        }
        for level in facts.plan.levels
    ]
    return {
        "preprocessing_and_hyperparameter_tuning": "duplicates removed; each device and hour assigned to one "
        "dominant cell; no parameter was chosen by looking at the data",
        "mechanisms": levels,
        "justification": "integers until after the noise; every key of every measured cell is noised, empty "
        "ones too; cells are split from the top by noisy values",
    }


def _total_spend(facts: Facts) -> Label:
    """Return what everything released about each period costs, by name of the period."""
    return {
        "cap": {"micro_rho": facts.cap.value, "epsilon": composed(facts.cap, facts.delta, (1,))[1]},
        **{
            name: {"micro_rho": spent.value, "epsilon": composed(spent, facts.delta, (1,))[1]}
            for name, spent in sorted(facts.spent.items())
        },
    }


def _bound(facts: Facts) -> str:
    """Say what a device is held to, at the asked resolution and at coarser ones, and what that cuts."""
    asked = facts.plan.levels[-1].squared_bound
    bound = f"a device's squared contribution in a period is at most {asked}"
    if facts.weights is not None:
        bound = (
            f"a device's squared contribution over all periods is at most {asked // (1 + facts.joint)}, in "
            "thousandths of the largest weight"
        )
        bound += f"; one period can change the counts by {asked} at most, squared" if facts.joint else ""
    elif facts.joint:
        bound = (
            f"a device's squared contribution over all periods is at most {asked // 2}; what it does in "
            f"one period can move it elsewhere, which changes the counts by {asked} at most, squared"
        )
    elif facts.sharing > 1:
        bound = (
            f"a device's squared contribution in a period is at most {asked // facts.sharing}; "
            f"{facts.sharing} periods are counted together, with noise for {asked}, so that costs add up "
            "over periods"
        )
    others = [level for level in facts.plan.levels[:-1] if level.squared_bound != asked]
    if others:
        parts = (f"{each.squared_bound} at {level_name(each.resolution)}" for each in reversed(others))
        bound = f"{bound}; noise of other levels is made for {', '.join(parts)}"
    if not facts.clips:
        capped = "; weights are capped (`weights`)" if facts.weights is not None else ""
        return f"{bound}, which no device can exceed: nothing is clipped{capped}"
    lost = facts.plan.lost
    said = f"intervals reach higher for up to {lost:.0%} lost" if lost else "intervals do not allow for it"
    return f"{bound}; {facts.clips}, so that estimates are biased low; {said}"
