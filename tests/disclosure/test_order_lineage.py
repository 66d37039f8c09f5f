"""Disclosures that may hold rows of a bad delivery are listed; whether they do is not told."""

from __future__ import annotations

import pytest

from disclosure import scene
from disclosure.opened import unsealed
from disclosure.scene import Bench
from passersby.deployment import acts, lineages
from passersby.deployment.lineages import Disclosure
from passersby.model.period import DAY, Span
from passersby.store.tables import Delivery

pytestmark = pytest.mark.slow

SIMPLE = 2  # the delivery with the known phones


def disclosures(bench: Bench, named: str = "simple") -> tuple[Disclosure, ...]:
    return lineages.descent(bench.d, named).disclosures


def taint(bench: Bench) -> None:
    made = lineages.propose(bench.d, "simple", reason="forged", actor=bench.actor("lea"), now=bench.now)
    acts.approve(bench.d, made.id, actor=bench.actor("paul"), now=bench.now)


def test_a_disclosure_over_its_days_is_listed_whether_or_not_it_holds_rows_of_it(full: Bench) -> None:
    assert disclosures(full) == ()
    held, nothing = full.order(), full.order(reference="TX/2", devices=(scene.NOBODY,))
    earlier = full.order(reference="TX/3", window=Span(scene.MONDAY - 9 * DAY, scene.MONDAY - 7 * DAY))
    for asked in (held, nothing, earlier):
        full.disclose(full.approved(full.document(asked)))
    assert disclosures(full) == (Disclosure(1, "court", full.now), Disclosure(2, "court", full.now))


def test_its_recipient_can_see_which_rows_are_of_it(full: Bench) -> None:
    pings = unsealed(full.disclose(full.approved())).pings
    assert {row["delivery"] for row in pings} == {str(SIMPLE)}


def test_an_order_carried_out_before_it_was_delivered_is_not_listed(full: Bench) -> None:
    full.disclose(full.approved())
    with full.d.database.write() as session:
        session.get_one(Delivery, SIMPLE).created = full.now + 1
    assert disclosures(full) == ()


def test_what_an_open_order_holds_is_kept_for_it_when_the_delivery_is_deleted(full: Bench) -> None:
    number = full.approved()
    taint(full)
    assert full.entries("order.held")
    assert unsealed(full.disclose(number)).pings
    assert [each.order for each in disclosures(full)] == [number]
