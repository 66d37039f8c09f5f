"""Who withdrew before an order was verified is not in it; after that the hold wins."""

from __future__ import annotations

from typing import Any

from disclosure.opened import unsealed
from disclosure.scene import ANA, BEA, Bench
from passersby.deployment import holders
from passersby.deployment import subjects as parts_of
from passersby.model.period import DAY
from passersby.subjects import shown


def withdraw(full: Bench, name: str = ANA) -> None:
    holders.withdraw(full.d, [name], actor=full.actor("custodian"), now=full.now)


def erase(full: Bench, name: str = ANA) -> Any:
    return holders.erase(full.d, [name], actor=full.actor("custodian"), now=full.now)


def both(full: Bench) -> bytes:
    return full.document(full.order(devices=(ANA, BEA)))


def found(full: Bench, number: int) -> dict[str, int]:
    """Carry an order out; return how many pings of each device it gave."""
    return {each["device"]: each["pings"] for each in unsealed(full.disclose(number)).manifest["results"]}


def test_who_withdrew_before_the_order_is_left_out(full: Bench) -> None:
    withdraw(full)
    assert found(full, full.approved(both(full))) == {ANA: 0, BEA: 48}


def test_who_withdrew_after_it_was_verified_is_not(full: Bench) -> None:
    number = full.approved(both(full))
    withdraw(full)
    assert found(full, number) == {ANA: 48, BEA: 48}


def test_what_was_erased_after_it_was_verified_is_held_for_it_alone(full: Bench) -> None:
    number = full.approved(both(full))
    assert erase(full).receipt
    assert full.entries("order.held")[-1]["order"] == number
    assert found(full, number) == {ANA: 48, BEA: 48}
    assert found(full, full.approved(full.document(full.order(devices=(ANA, BEA), reference="second")))) == {
        ANA: 0,
        BEA: 48,
    }


def test_what_was_withdrawn_before_is_not_held_when_it_expires(full: Bench) -> None:
    withdraw(full)
    number = full.approved(both(full))
    full.d.expire(now=full.now + 40 * DAY)
    opened = unsealed(full.disclose(number, at=full.now + 40 * DAY))
    assert {each["device"]: each["pings"] for each in opened.manifest["results"]} == {ANA: 0, BEA: 48}


def test_recipients_name_the_court_unless_a_dated_order_delays_it(full: Bench) -> None:
    found(full, full.approved(both(full)))
    delayed = full.order(devices=(ANA,), reference="secret", delay_until=full.now + 30 * DAY)
    found(full, full.approved(full.document(delayed)))
    parts = parts_of.parts(full.d)
    told = shown.recipients(parts, ANA, now=full.now + 1)
    assert [(each["court"], each["order"]) for each in told.courts] == [("court", 1)]
    later = shown.recipients(parts, ANA, now=full.now + 31 * DAY)
    assert [each["order"] for each in later.courts] == [1, 2]
    assert shown.recipients(parts, "00001111-2222-4a06-9d13-7e21c04ab0ff", now=full.now + 1).courts == ()
