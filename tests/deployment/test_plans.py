"""Choosing epsilon: the cheapest question for an error, from public facts and earlier releases alone."""

from __future__ import annotations

import dataclasses
import shlex
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import worlds
from passersby.cli import main
from passersby.deployment import plans
from passersby.errors import Refusal, UsageError
from passersby.gate import prior, worth
from passersby.lake.lake import Lake
from passersby.measures.catalogue import CATALOGUE
from passersby.measures.presence import PRESENCE
from passersby.model.bins import histogram
from passersby.model.cost import MicroRho
from passersby.privacy.accounting import epsilon_for, epsilon_to_ask, micro_rho_for
from passersby.privacy.hierarchy.plan import cheapest, make_plan

pytestmark = pytest.mark.slow

DELTA = 1e-7


@pytest.fixture(autouse=True)
def _declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "declared_devices", lambda *_: 100_000)


def _choose(
    asker: worlds.Asker,
    target: str = "5%",
    *,
    measure: str = "presence",
    resolution: int | None = None,
    every: str | None = None,
    **changed: Any,
) -> dict[str, Any]:
    def form(r: int, grain: str, epsilon: float) -> Any:
        return asker.request(measure=measure, resolution=r, every=grain, epsilon=epsilon, **changed)

    wish = plans.Wish(measure, resolution, every, worth.parse_target(target), form)
    return plans.choose(asker.d, wish, asker.actor(), now=worlds.now())


@pytest.mark.parametrize(
    ("text", "value", "relative"), [("5%", 0.05, True), (" 0.5 % ", 0.005, True), ("100", 100, False)]
)
def test_a_target_is_a_share_or_a_number_of_units(text: str, value: float, relative: bool) -> None:
    found = worth.parse_target(text)
    assert found.value == pytest.approx(value)
    assert found.relative == relative


@pytest.mark.parametrize("text", ["", "0%", "-5%", "five", "5%%", "nan", "1e3", "%"])
def test_other_targets_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="target"):
        worth.parse_target(text)


@pytest.mark.parametrize("micro", [100, 101, 999, 20_187, 266_312])
def test_an_epsilon_to_ask_with_pays_for_the_cost_and_little_more(micro: int) -> None:
    epsilon = epsilon_to_ask(MicroRho(micro), DELTA, 20)
    assert f"{epsilon:.4g}" == f"{epsilon:g}"
    paid = micro_rho_for(epsilon, DELTA)
    assert micro <= paid.value <= micro * 1.005 + 1
    assert epsilon_to_ask(MicroRho(micro), DELTA, 0.01) == 0.01


@pytest.mark.parametrize("kind", ["additive", "levels"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.99, 1.0])
def test_no_cheaper_plan_reaches_the_error(asker: worlds.Asker, kind: Any, share: float) -> None:
    area = asker.d.plan(asker.request(resolution=6), asker.actor()).question.area
    common = {"resolution": 6, "buckets": 7, "squared_bound": 4032, "kind": kind}

    def error(cost: int) -> float:
        return make_plan(area, measure="x", cost=MicroRho(cost), **common).levels[-1].error

    wanted = error(round(20_187 * share))
    found = cheapest(area, error=wanted, between=(MicroRho(100), MicroRho(20_187)), **common)
    assert found is not None
    assert error(found.value) <= wanted < error(found.value - 1)
    assert found.value == pytest.approx(20_187 * share, rel=1e-3)
    dear = error(20_187) * 0.999
    assert cheapest(area, error=dear, between=(MicroRho(100), MicroRho(20_187)), **common) is None
    cheap = error(50)
    assert cheapest(area, error=cheap, between=(MicroRho(100), MicroRho(20_187)), **common) == MicroRho(100)


def test_the_cheapest_form_reaches_the_error_and_no_dearer_one_is_named(asker: worlds.Asker) -> None:
    view = _choose(asker, "2%", every="day")
    assert [row["resolution"] for row in view["forms"]] == [4, 5, 6, 7]
    best = view["cheapest"]
    assert best["micro_rho"] == min(row["micro_rho"] for row in view["forms"] if row["reached"])
    planned = asker.d.plan(
        asker.request(every="day", resolution=best["resolution"], epsilon=best["epsilon"]), asker.actor()
    )
    assert planned.question.cost.value == best["micro_rho"]
    assert planned.plan.levels[-1].error == best["standard_error"] <= 0.02 * best["typical"]
    assert best["error"] == best["standard_error"] / best["typical"]
    cap = micro_rho_for(asker.d.config.epsilon_cap, DELTA)
    assert best["share_of_cap"] == best["micro_rho"] / cap.value


def test_everything_is_tried_that_was_left_open(asker: worlds.Asker) -> None:
    view = _choose(asker, "1000000")
    assert {(row["resolution"], row["every"]) for row in view["forms"]} == {
        (resolution, every) for resolution in (4, 5, 6, 7) for every in PRESENCE.grains
    }
    assert all(row["reached"] and row["asked"] for row in view["forms"])
    assert {row["micro_rho"] for row in view["forms"]} >= {
        micro_rho_for(view["cheapest"]["epsilon"], DELTA).value
    }


def test_what_cannot_be_reached_is_said_with_what_can(asker: worlds.Asker) -> None:
    view = _choose(asker, "3%", resolution=7, every="hour")
    assert view["cheapest"] is None
    (asked,) = (row for row in view["forms"] if row["asked"])
    assert (asked["reached"], asked["epsilon"]) == (False, 1.0)
    assert asked["error"] > 0.03
    assert any(row["reached"] for row in view["forms"])


def test_planning_reads_nothing_spends_nothing_and_logs_nothing(
    asker: worlds.Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError

    logged = asker.entries()
    monkeypatch.setattr(Lake, "snapshot", fail)
    _choose(asker)
    assert (asker.spent(), asker.entries()) == ({}, logged)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"measure": "devices"}, "device-level-request"),
        ({"measure": "nonsense"}, "unknown-measure"),
        ({"licence": "nobody"}, "unknown-licence"),
        ({"resolution": 8, "every": "day"}, "resolution-too-fine"),
        ({"every": "century"}, "bad-grain"),
        ({"measure": "visitors", "every": "hour"}, "bad-grain"),
        ({"resolution": 9}, "resolution-too-fine"),
        ({"period": "2099-W01"}, "purpose-not-in-notice"),
    ],
)
def test_refusals_are_those_of_a_question_and_logged_once(
    asker: worlds.Asker, changed: dict[str, Any], code: str
) -> None:
    before = len(asker.entries())
    with pytest.raises(Refusal) as caught:
        _choose(asker, **changed)
    assert caught.value.code == code
    assert [entry["code"] for entry in asker.entries()[before:]] == [code]


def test_forms_that_the_licence_does_not_allow_are_left_out(asker: worlds.Asker) -> None:
    coarse = asker.licence("coarse", resolution=5)
    before = len(asker.entries())
    view = _choose(asker, licence=coarse)
    assert {row["resolution"] for row in view["forms"]} == {4, 5}
    assert len(asker.entries()) == before


def test_an_earlier_release_says_how_large_counts_are(
    asker: worlds.Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = asker.ask(every="day", resolution=4).release
    counts = pa.array([5000] * made.rows.num_rows, pa.int64())
    full = made.rows.set_column(made.rows.schema.get_field_index("count"), "count", counts)
    monkeypatch.setattr(plans, "_earlier", lambda *_: dataclasses.replace(made, rows=full))
    by = {row["resolution"]: row for row in _choose(asker, every="day")["forms"]}
    assert made.id in by[4]["basis"]
    assert by[4]["typical"] == pytest.approx(5000)
    assert "contracts declare" in by[5]["basis"]  # finer than the release


def test_an_earlier_release_has_the_same_grain_and_filters(asker: worlds.Asker) -> None:
    made = asker.ask(every="day", resolution=4).release
    for changed, found in (
        ({"every": "day"}, True),
        ({"every": "day", "resolution": 6, "epsilon": 0.5}, True),
        ({"every": "week"}, False),
        ({"every": "day", "filters": ("hour=7",)}, False),
        ({"every": "day", "measure": "visitors"}, False),
    ):
        planned = asker.d.plan(asker.request(**changed), asker.actor())
        earlier = plans._earlier(asker.d, planned)
        assert (earlier is not None and earlier.id == made.id) == found, changed


def test_what_is_left_of_the_budget_is_looked_at(asker: worlds.Asker) -> None:
    poor = asker.licence("poor", epsilon_per_period=0.6)
    assert all(row["payable"] for row in _choose(asker, "1000000", licence=poor)["forms"])
    asker.ask(every="week", resolution=4, epsilon=0.55, licence=poor)
    dear = _choose(asker, "1%", every="week", resolution=4, licence=poor)["forms"]
    assert not any(row["payable"] for row in dear if row["epsilon"] == 1.0)
    assert all(row["payable"] for row in _choose(asker, every="week", resolution=4)["forms"])


def test_bins_and_pairs_have_no_typical_count(asker: worlds.Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    binned = dataclasses.replace(PRESENCE, bins=histogram(0, 1, unit="km"))
    monkeypatch.setitem(CATALOGUE, "presence", binned)
    view = _choose(asker, every="week", resolution=5)
    assert view["cheapest"] is None
    assert "bins" in view["missing"]
    assert [row["reached"] for row in view["forms"]] == [None]
    units = _choose(asker, "1000", every="week", resolution=5)
    assert units["cheapest"]["standard_error"] <= 1000


def test_what_public_figures_do_not_say_is_named(asker: worlds.Asker) -> None:
    view = _choose(asker, measure="outflows", every="week", resolution=5)
    assert view["cheapest"] is None
    assert "how large counts of `outflows` are" in view["missing"]


def test_the_error_of_a_bin_in_parts_is_that_of_what_it_stands_for(asker: worlds.Asker) -> None:
    """A device-week counts as a hundred parts: an error of twenty is one of 2,000 parts."""
    view = _choose(asker, "20", measure="introversion", resolution=5, every="week")
    best = view["cheapest"]
    asked = asker.request(measure="introversion", resolution=5, every="week", epsilon=best["epsilon"])
    plan = asker.d.plan(asked, asker.actor()).plan
    assert 20 * 0.99 < plan.levels[-1].error / 100 <= 20


@pytest.mark.parametrize(
    ("measure", "every", "times"),
    [
        ("presence", "week", 168),
        ("visitors", "week", 1),
        ("residents", "whole", 1),
        ("outflows", "week", None),
    ],
)
def test_public_figures_say_where_people_live_and_not_what_they_do(
    asker: worlds.Asker, measure: str, every: str, times: int | None
) -> None:
    planned = asker.d.plan(asker.request(measure=measure, every=every, resolution=5), asker.actor())
    found = {w.resolution: w.typical for w in worth.of(planned, finest=5, known=worth.Known(100_000, None))}
    counts = prior.expected_counts(planned.question.area, 5, 100_000) * prior.OBSERVED_SHARE
    expected = None if times is None else pytest.approx(times * float(np.sqrt(np.mean(counts**2))))
    assert found[5] == expected


def test_a_contract_without_a_panel_is_named(asker: worlds.Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "declared_devices", lambda *_: None)
    view = _choose(asker)
    assert view["cheapest"] is None
    assert "expected_devices" in view["missing"]


def test_the_printed_line_asks_what_was_planned(
    asker: worlds.Asker, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["-d", str(asker.d.layout.root), "--key", str(asker.d.layout.people / "anna.key")]
    words = [
        "--period",
        "2026-W20",
        "--licence",
        worlds.LICENCE,
        "--purpose",
        worlds.PURPOSE,
        "--case",
        worlds.CASE,
    ]
    words += ["--area", "6.8,46.8,8.9,47.6", "--filter", "weekday=mon,tue", "--filter", "hour=7,8"]
    assert main.call(["plan", "visitors", "--target-error", "500", "--resolution", "5", *words, *where]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert shlex.split(line)[:3] == ["passersby", "ask", "visitors"]
    assert main.call(shlex.split(line)[1:]) == 0
    (made,) = asker.d.releases()
    assert made.question["resolution"] == 5
    assert made.question["filters"] == {"hour": ["7", "8"], "weekday": ["mon", "tue"]}
    assert epsilon_for(MicroRho(made.micro_rho), DELTA) < 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "said"),
    [("0.01%", "is not reachable"), ("7%", "The cheapest question"), ("x", "target error")],
)
def test_people_read_what_to_do(
    asker: worlds.Asker, capsys: pytest.CaptureFixture[str], target: str, said: str
) -> None:
    words = [
        "--period",
        "2026-W20",
        "--licence",
        worlds.LICENCE,
        "--purpose",
        worlds.PURPOSE,
        "--case",
        worlds.CASE,
    ]
    where = ["-d", str(asker.d.layout.root), "--key", str(asker.d.layout.people / "anna.key")]
    code = main.call(["plan", "presence", "--target-error", target, *words, *where])
    printed = capsys.readouterr()
    assert code == (2 if target == "x" else 0)
    assert said in printed.out + printed.err


def test_towns_are_spread_over_the_cells_of_their_disc(asker: worlds.Asker) -> None:
    area = asker.d.plan(asker.request(resolution=5), asker.actor()).question.area
    found = prior.expected_counts(area, 5, 1000)
    assert found.sum() == pytest.approx(1000)
    assert (found >= 0).all()
    assert found.max() > 5 * np.median(found)
