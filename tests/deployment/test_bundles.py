"""Bundles: several questions for one epsilon, all or none, split by what each needs."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import worlds
from passersby.cli import main
from passersby.cli.asked import read_census, read_zone_file
from passersby.deployment import bundles, plans
from passersby.errors import BadRecord, EngineFailed, Refusal, UsageError
from passersby.gate import running
from passersby.model.cost import MicroRho
from passersby.privacy.accounting import epsilon_for, epsilon_within, micro_rho_for

pytestmark = pytest.mark.slow

DELTA = 1e-7
HEAD = f"""
epsilon = 0.8
period = "2026-W20"
licence = "{worlds.LICENCE}"
purpose = "{worlds.PURPOSE}"
case = "timetable-2027"
every = "week"
resolution = 4
"""
THREE = """
[[question]]
measure = "presence"

[[question]]
measure = "visitors"

[[question]]
measure = "visitors"
every = "day"
resolution = 5
"""


def _parse(text: str) -> bundles.Bundle:
    return bundles.parse(text, lambda _text, _resolution: None, lambda _path, _name: None)


def _split(asker: worlds.Asker, text: str) -> list[Any]:
    return bundles.split(asker.d, _parse(text), asker.actor(), now=worlds.now())


@pytest.mark.parametrize("micro", [100, 373, 5_427, 20_187])
def test_an_epsilon_within_a_cost_never_costs_more(micro: int) -> None:
    epsilon = epsilon_within(MicroRho(micro), DELTA)
    assert f"{epsilon:.4g}" == f"{epsilon:g}"
    assert micro * 0.995 - 1 <= micro_rho_for(epsilon, DELTA).value <= micro


def test_the_parts_cost_the_total_and_no_more(asker: worlds.Asker) -> None:
    planned = _split(asker, HEAD + THREE)
    spent = sum(each.question.cost.value for each in planned)
    total = micro_rho_for(0.8, DELTA).value
    assert total * 0.99 < spent <= total


def test_no_other_split_has_a_smaller_sum_of_squared_errors(asker: worlds.Asker) -> None:
    planned = _split(asker, HEAD + THREE)
    view = bundles.view(asker.d, _parse(HEAD + THREE), planned)
    costs = np.array([row["micro_rho"] for row in view["questions"]], dtype=float)
    needs = np.array([row["error"] for row in view["questions"]]) ** 2 * costs  # of one micro-rho
    best = (needs / costs).sum()
    for i, j in itertools.permutations(range(3), 2):
        other = costs.copy()
        moved = 0.05 * min(costs)
        other[i] += moved
        other[j] -= moved
        assert (needs / other).sum() > best * (1 - 1e-3)


def test_together_is_more_exact_than_one_by_one(asker: worlds.Asker) -> None:
    text = HEAD + THREE
    view = bundles.view(asker.d, _parse(text), _split(asker, text))
    together, alone = (sum(row[name] ** 2 for row in view["questions"]) for name in ("error", "error_alone"))
    assert together < alone / 2
    assert view["epsilon_alone"] == pytest.approx(0.8 / 3, abs=1e-4)


def test_a_weight_moves_budget(asker: worlds.Asker) -> None:
    plain = _split(asker, HEAD + THREE)
    heavy = _split(asker, HEAD + THREE.replace('"presence"', '"presence"\nweight = 3'))
    assert heavy[0].question.cost.value > 2 * plain[0].question.cost.value
    assert heavy[1].question.cost.value < plain[1].question.cost.value


def test_without_a_typical_count_the_parts_follow_their_weights(
    asker: worlds.Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundles, "declared_devices", lambda *_: None)
    planned = _split(asker, HEAD + THREE.replace('"presence"', '"presence"\nweight = 2'))
    first, *others = (each.question.cost.value for each in planned)
    assert [first / other for other in others] == pytest.approx([2, 2], rel=0.01)
    assert not bundles.view(asker.d, _parse(HEAD + THREE), planned)["by_error"]


def test_a_bundle_is_answered_as_releases_of_its_own_and_free_again(asker: worlds.Asker) -> None:
    requests = [each.request for each in _split(asker, HEAD + THREE)]
    steps: list[str] = []
    first = asker.d.ask_together(requests, asker.actor(), step=steps.append)
    assert [answer.new for answer in first] == [True] * 3
    assert [step[0] for step in steps] == list("12" + "3456" * 3 + "7")
    spent = asker.spent()
    assert spent == {"2026-W20": sum(answer.release.micro_rho for answer in first)}
    assert [e["kind"] for e in asker.entries()[-6:]] == ["question.reserved"] * 3 + ["release.made"] * 3
    again = asker.d.ask_together([each.request for each in _split(asker, HEAD + THREE)], asker.actor())
    assert [answer.new for answer in again] == [False] * 3
    assert [a.release.id for a in again] == [a.release.id for a in first]
    assert asker.spent() == spent
    asker.d.verify_ledger()


def test_only_what_is_not_stored_is_paid_for(asker: worlds.Asker) -> None:
    requests = [each.request for each in _split(asker, HEAD + THREE)]
    one = asker.d.ask(requests[1], asker.actor())
    answers = asker.d.ask_together(requests, asker.actor())
    assert [answer.new for answer in answers] == [True, False, True]
    assert answers[1].release.id == one.release.id


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_refused_part_refuses_all_and_nothing_is_spent(asker: worlds.Asker, place: int) -> None:
    requests = [asker.request(every="week", resolution=4, epsilon=e) for e in (0.2, 0.25, 0.3)]
    requests[place] = asker.request(every="week", resolution=9, epsilon=0.2)
    before = len(asker.entries())
    with pytest.raises(Refusal) as caught:
        asker.d.ask_together(requests, asker.actor())
    assert caught.value.code == "resolution-too-fine"
    assert [entry["kind"] for entry in asker.entries()[before:]] == ["question.refused"]
    assert asker.spent() == {}


def test_a_budget_that_pays_for_some_pays_for_none(asker: worlds.Asker) -> None:
    poor = asker.licence("poor", epsilon_per_period=0.5)
    requests = [asker.request(every="week", resolution=4, epsilon=e, licence=poor) for e in (0.3, 0.31, 0.32)]
    with pytest.raises(Refusal) as caught:
        asker.d.ask_together(requests, asker.actor())
    assert caught.value.code == "budget-spent"
    assert set(asker.spent().values()) <= {0}
    assert asker.d.releases() == []
    assert not any(entry["kind"] == "question.reserved" for entry in asker.entries())
    assert asker.d.ask(requests[0], asker.actor()).new


def test_together_they_cost_no_more_than_one_question_may(asker: worlds.Asker) -> None:
    requests = [asker.request(every="week", resolution=4, epsilon=e) for e in (0.8, 0.81)]
    with pytest.raises(Refusal) as caught:
        asker.d.ask_together(requests, asker.actor())
    assert caught.value.code == "epsilon-over-question-cap"
    assert asker.spent() == {}


def test_the_same_question_twice_is_refused(asker: worlds.Asker) -> None:
    same = asker.request(every="week", resolution=4, epsilon=0.2)
    with pytest.raises(UsageError, match="twice"):
        asker.d.plan_together([same, same], asker.actor())


@pytest.mark.slow
def test_a_failure_keeps_what_was_stored_and_lets_the_rest_be_asked_again(
    asker: worlds.Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [each.request for each in _split(asker, HEAD + THREE)]
    run, runs = running.run, []

    def second_fails(*args: Any, **more: Any) -> Any:
        runs.append(1)
        if len(runs) == 2:
            raise EngineFailed("It failed.", "Ask again.")
        return run(*args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(running, "run", second_fails)
        with pytest.raises(EngineFailed):
            asker.d.ask_together(requests, asker.actor())
    assert len(asker.d.releases()) == 1
    spent = asker.spent()["2026-W20"]
    answers = asker.d.ask_together(requests, asker.actor())
    assert [answer.new for answer in answers] == [False, True, True]
    paid = sum(answer.release.micro_rho for answer in answers[1:])
    assert asker.spent() == {"2026-W20": spent + paid}  # what failed stays spent
    asker.d.verify_ledger()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (HEAD, "question"),
        (HEAD + "question = 3", "question"),
        (HEAD + '[[question]]\nevery = "day"', "measure"),
        (HEAD + THREE + "wieght = 2", "wieght"),
        (HEAD + THREE + "weight = 0", "weight"),
        (HEAD.replace("0.8", "0") + THREE, "epsilon"),
        (HEAD.replace("case =", "kase =") + THREE, "case"),
    ],
)
def test_a_wrong_file_names_the_field(text: str, named: str) -> None:
    with pytest.raises(BadRecord, match=named):
        _parse(text)


def test_a_part_that_is_too_small_is_named(asker: worlds.Asker) -> None:
    small = HEAD.replace("0.8", "0.06") + THREE
    with pytest.raises(UsageError, match="too little"):
        _split(asker, small)


@pytest.mark.slow
def test_the_command_plans_asks_and_writes(
    asker: worlds.Asker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["-d", str(asker.d.layout.root), "--key", str(asker.d.layout.people / "anna.key")]
    file, rows = tmp_path / "b.toml", tmp_path / "rows.csv"
    file.write_text(HEAD + THREE + f"out = {json.dumps(str(rows))}\n", encoding="utf-8")
    assert main.call(["bundle", str(file), "--dry-run", *at]) == 0
    assert "Nothing was spent." in capsys.readouterr().out
    assert asker.spent() == {}
    assert main.call(["bundle", str(file), "--json", *at]) == 0
    told = json.loads(capsys.readouterr().out)
    assert rows.stat().st_size > 0
    assert [q["answer"]["release"] for q in told["questions"]] == [r.id for r in asker.d.releases()]
    assert told["epsilon"] <= 0.8
    assert epsilon_for(MicroRho(told["micro_rho"]), DELTA) <= 0.8
    assert main.call(["bundle", str(tmp_path / "none.toml"), *at]) == 3
    assert plans.declared_devices(asker.d, _split(asker, HEAD + THREE)[0]) is not None


def test_a_bundle_is_weighted_as_a_whole(tmp_path: Path) -> None:
    census = tmp_path / "census.csv"
    census.write_text("cell,population\n841f8d7ffffffff,100\n", encoding="utf-8")
    weights = f'[weights]\ncensus = "{census}"\nresidents = "0123456789ab"\ncap = 500\n'
    bundle = bundles.parse(
        HEAD + weights + THREE, lambda _text, _resolution: None, read_zone_file, read_census
    )
    wishes = [part.request.weighting for part in bundle.parts]
    assert {(wish.residents, wish.cap, wish.census.total) for wish in wishes if wish} == {
        ("0123456789ab", 500, 100)
    }
    assert len(wishes) == 3
    for wrong in (weights.replace("500", "0"), weights.replace("census =", "sensus =")):
        with pytest.raises(BadRecord, match=r"`(cap|census)`"):
            bundles.parse(HEAD + wrong + THREE, lambda _text, _resolution: None, read_zone_file, read_census)
