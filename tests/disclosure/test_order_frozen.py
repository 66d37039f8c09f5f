"""A freeze stops disclosures, wherever they are, and copies of what was disclosed."""

from __future__ import annotations

from typing import Any

import pytest

from disclosure.scene import Bench
from passersby.deployment import acts, freezing
from passersby.disclosure import life, lookup, release
from passersby.errors import Refusal

pytestmark = pytest.mark.slow


def frozen(bench: Bench) -> None:
    freezing.stop(bench.d, reason="a leak", actor=bench.actor("olga"), now=bench.now)


def thawed(bench: Bench) -> None:
    made = freezing.propose_thaw(bench.d, reason="mended", actor=bench.actor("olga"), now=bench.now)
    acts.approve(bench.d, made.id, actor=bench.actor("custodian"), now=bench.now)


def refused(bench: Bench, number: int) -> None:
    with pytest.raises(Refusal) as caught:
        bench.disclose(number)
    assert caught.value.code == "frozen"
    last = bench.entries("order.refused")[-1]
    assert (last["code"], last["stage"], last["order"]) == ("frozen", "release", number)


def test_nothing_is_looked_up_in_a_freeze(full: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Submission and approvals go on: what an order asks for must be held, or it is gone after the freeze."""
    looked: list[object] = []
    real = lookup.in_lake

    def in_lake(*arguments: Any, **named: Any) -> Any:
        looked.append(arguments)
        return real(*arguments, **named)

    monkeypatch.setattr(lookup, "in_lake", in_lake)
    frozen(full)
    number = full.approved()
    refused(full, number)
    assert looked == []
    assert life.show(full.d.orders, number)[0].state == "approved"
    thawed(full)
    assert full.disclose(number)
    assert len(looked) == 1


@pytest.mark.parametrize("step", ["_claim", "_look_up", "_sealed"])
def test_a_freeze_stops_a_release_on_its_way(full: Bench, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    number, real = full.approved(), getattr(release, step)

    def freezes_first(*arguments: Any, **named: Any) -> Any:
        frozen(full)
        return real(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(release, step, freezes_first)
        refused(full, number)
    assert full.entries("order.disclosed") == []
    thawed(full)
    assert full.disclose(number)  # the one use was not lost


def test_a_sealed_package_is_not_written_again(full: Bench) -> None:
    number = full.approved()
    full.disclose(number)
    frozen(full)
    with pytest.raises(Refusal) as caught:
        release.again(full.d.orders, number, actor=full.actor("rolf"), now=full.now)
    assert caught.value.code == "frozen"
    thawed(full)
    assert release.again(full.d.orders, number, actor=full.actor("rolf"), now=full.now).package
