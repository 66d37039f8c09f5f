"""Devices are counted once for each court, over 12 months."""

from __future__ import annotations

from disclosure.scene import ANA, BEA, NOBODY, Bench
from passersby.disclosure import counterparties
from passersby.model.period import DAY


def counted(full: Bench, at: int) -> dict[str, int]:
    with full.d.database.read() as session:
        return counterparties.disclosed(session, full.d.ring, now=at)


def test_devices_are_counted_once_for_each_court_over_12_months(full: Bench) -> None:
    assert counted(full, full.now) == {}
    for reference, devices in (("one", (ANA,)), ("two", (ANA, BEA)), ("three", (NOBODY,))):
        number = full.approved(full.document(full.order(reference=reference, devices=devices)))
        if reference != "three":
            full.disclose(number)
    assert counted(full, full.now) == {"court": 2}
    assert counted(full, full.now + 364 * DAY) == {"court": 2}
    assert counted(full, full.now + 366 * DAY) == {}
