"""The label: every field, the plan's own numbers, and nothing missing."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from passersby.errors import BadRecord
from passersby.model.cost import MicroRho
from passersby.model.place import Area
from passersby.privacy.accounting import epsilon_for, micro_rho_for
from passersby.privacy.hierarchy.plan import make_plan
from passersby.privacy.label import NOT_AUDITED, Facts, build, to_json, to_yaml
from passersby.privacy.label_fields import AUDITED, FIELDS, validate

ONE = micro_rho_for(1.0, 1e-7)


@pytest.fixture
def facts(area: Area) -> Facts:
    return Facts(
        witnesses="No outside witness signs the log.",
        name="Presence in London, 2026-W20",
        curators=("Example Data Trust",),
        purpose="planning of night buses",
        region="one H3 cell of resolution 4 around London",
        published="2026-05-25",
        definition="device-hours by dominant cell",
        plan=make_plan(
            area, measure="presence", resolution=7, buckets=168, squared_bound=168, cost=ONE, kind="additive"
        ),
        periods=("2026-W20",),
        delta=1e-7,
        spent={"2026-W20": MicroRho(2 * ONE.value)},
        cap=micro_rho_for(4.0, 1e-7),
        log_origin="log.example.org/passersby",
        revision=1,
        sample="about 0.4% of residents; not adjusted",
        clips="",
        joint=False,
        border="",
        sampler="opendp",
        shown_mass=0.97531,
    )


def _paths(fields: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, kind in fields.items():
        yield (*above, name)
        if isinstance(kind, Mapping):
            yield from _paths(kind, (*above, name))


def _parent(label: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    for name in path[:-1]:
        label = label[name]
    return label


def test_label_is_complete(facts: Facts) -> None:
    label = build(facts)
    validate(label)
    assert list(label) == list(FIELDS)


@pytest.mark.parametrize("path", list(_paths(FIELDS)), ids=".".join)
def test_a_missing_field_is_named(facts: Facts, path: tuple[str, ...]) -> None:
    label = copy.deepcopy(build(facts))
    del _parent(label, path)[path[-1]]
    with pytest.raises(BadRecord, match=".".join(path)):
        validate(label)


@pytest.mark.parametrize("path", list(_paths(FIELDS)), ids=".".join)
def test_a_field_of_the_wrong_type_is_named(facts: Facts, path: tuple[str, ...]) -> None:
    label = copy.deepcopy(build(facts))
    _parent(label, path)[path[-1]] = None
    with pytest.raises(BadRecord, match=".".join(path)):
        validate(label)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("name",), "  "),
        (("revision",), True),
        (("privacy_loss", "privacy_parameters", "epsilon"), math.nan),
        (("privacy_loss", "privacy_parameters", "delta"), "1e-7"),
        (("surprise",), "x"),
        (("dp_variant", "surprise"), "x"),
    ],
)
def test_a_field_that_says_nothing_is_named(facts: Facts, path: tuple[str, ...], value: object) -> None:
    label = copy.deepcopy(build(facts))
    _parent(label, path)[path[-1]] = value
    with pytest.raises(BadRecord, match=".".join(path)):
        validate(label)


AUDIT = {name: kind(1) for name, kind in AUDITED["audit"].items()}


def test_an_audit_is_whole_or_said_to_be_missing(facts: Facts) -> None:
    assert build(facts)["audit"] == NOT_AUDITED
    label = build(dataclasses.replace(facts, audit=AUDIT))
    assert label["audit"] == AUDIT
    assert list(label) == list(FIELDS)
    for name in AUDIT:
        less = {key: value for key, value in AUDIT.items() if key != name}
        with pytest.raises(BadRecord, match=f"audit.{name}"):
            build(dataclasses.replace(facts, audit=less))
    with pytest.raises(BadRecord, match=r"audit\.more"):
        build(dataclasses.replace(facts, audit={**AUDIT, "more": 1}))


def test_an_empty_fact_is_refused(facts: Facts) -> None:
    with pytest.raises(BadRecord, match="sample_coverage"):
        build(dataclasses.replace(facts, sample=""))


def test_losses_are_the_plans_and_rounded_up(facts: Facts) -> None:
    label = build(facts)
    parameters = label["privacy_loss"]["privacy_parameters"]
    assert parameters == {"micro_rho": ONE.value, "epsilon": 1.0, "delta": 1e-7}
    composition = label["accounting"]["composition"]
    for periods in (1, 4, 52):
        shown = composition[f"epsilon_over_{periods}_periods"]
        assert 0 <= shown - epsilon_for(ONE, 1e-7, periods) < 0.001
    mechanisms = label["implementation"]["mechanisms"]
    assert sum(m["micro_rho"] for m in mechanisms) == ONE.value
    assert [m["standard_deviation"] for m in mechanisms] == [
        level.scale / 1000 for level in facts.plan.levels
    ]
    assert all("opendp" in m["drawn_by"] for m in mechanisms)


def test_total_spend_is_that_of_each_period_and_the_cap(facts: Facts) -> None:
    spend = build(facts)["total_spend"]
    assert spend["2026-W20"]["micro_rho"] == 2 * ONE.value
    assert spend["cap"]["epsilon"] == 4.0


def test_what_is_promised_is_said(facts: Facts) -> None:
    text = to_yaml(build(facts))
    joined = " ".join(text.split())
    for words in (
        "two phones counts twice",
        "nothing is clipped",
        "residual_timing",
        "log.example.org/passersby",
        "upwards in empty cells",
    ):
        assert words in joined


def test_no_label_calls_its_answer_anonymous(facts: Facts) -> None:
    """That is for an audit to say (control D3); tests/controls/test_words.py reads all that is written."""
    assert "anonym" not in to_yaml(build(facts)).lower()


def test_shown_mass_is_a_share_of_four_digits(facts: Facts) -> None:
    assert build(facts)["shown_mass"] == 0.9753


def test_the_kind_of_table_is_said(facts: Facts) -> None:
    pairs = dataclasses.replace(facts, plan=dataclasses.replace(facts.plan, kind="pairs"))
    zones = dataclasses.replace(facts, border="Zones are held in cells.")
    kinds = [build(each)["data_product_type"] for each in (facts, pairs, zones)]
    assert kinds == [
        f"table of counts by {place} and time" for place in ("H3 cell", "pair of H3 cells", "zone")
    ]


def test_clipping_is_said(facts: Facts) -> None:
    text = build(dataclasses.replace(facts, clips="longer ones count less"))["contribution_bound"]
    assert "longer ones count less, so that estimates are biased low" in text
    assert "nothing is clipped" not in text


def test_bounds_of_levels_and_what_intervals_allow_for_them_are_said(facts: Facts, area: Area) -> None:
    bounds = {4: 672, 5: 672, 6: 336, 7: 168}
    plan = make_plan(
        area,
        measure="flows",
        resolution=7,
        buckets=1,
        squared_bound=bounds.__getitem__,
        cost=ONE,
        kind="levels",
        lost=0.02,
    )
    label = build(dataclasses.replace(facts, plan=plan, clips="who moves more counts in part"))
    text = label["contribution_bound"]
    assert "at most 168; noise of other levels is made for 336 at H3 resolution 6, 672 at H3" in text
    assert text.endswith("biased low; intervals reach higher for up to 2% lost")
    assert [m["squared_sensitivity"] for m in label["implementation"]["mechanisms"]] == [672, 672, 336, 168]
    silent = build(dataclasses.replace(facts, clips="who moves more counts in part"))["contribution_bound"]
    assert silent.endswith("biased low; intervals do not allow for it")
    assert "other levels" not in silent


def test_periods_that_are_counted_together_are_said(facts: Facts) -> None:
    text = build(dataclasses.replace(facts, sharing=4))["contribution_bound"]
    assert "at most 42; 4 periods are counted together, with noise for 168" in text
    assert "nothing is clipped" in text


def test_filters_are_said(facts: Facts) -> None:
    label = build(dataclasses.replace(facts, filters="weekday=sat,sun"))
    assert "weekday=sat,sun" in label["dp_variant"]["data_domain"]


def test_both_forms_read_back(facts: Facts) -> None:
    label = build(facts)
    assert yaml.safe_load(to_yaml(label)) == label
    assert json.loads(to_json(label)) == label
    assert list(yaml.safe_load(to_yaml(label))) == list(FIELDS)


def test_building_twice_gives_the_same_text(facts: Facts) -> None:
    assert to_json(build(facts)) == to_json(build(facts))


def test_no_label_shares_its_lists_with_another(facts: Facts) -> None:
    build(facts)["views"].clear()
    assert build(facts)["views"]
