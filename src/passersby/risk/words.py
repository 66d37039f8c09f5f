"""What an assessment says in plain words: a verdict, and warnings."""

from __future__ import annotations

from passersby.risk import linking
from passersby.risk.anchors import KINDS
from passersby.risk.assess import Assessment
from passersby.risk.grid import EDGE, USUAL
from passersby.risk.linking import Linked
from passersby.risk.rates import percent

BANNER = "Not for publication"
"""Stands on every form of a report about a deployment's lake."""

WHY_BANNER = (
    "These figures come from the rows themselves, without noise and without a charge to the privacy budget. "
    "They are for the custodian and the person who approved them; published, they would tell more of the "
    "people in the lake than its releases may."
)

VEHICLE_CELLS = 30
"""Cells of resolution 8 a day from which on devices move like vehicles at work: people see a handful."""

FEW_DEVICES = 1000

_HOME_AND_WORK = KINDS[-1]


def verdict(found: Assessment) -> str:
    """Return one paragraph that can be read on its own."""
    rate = found.headline
    known = f"each known only to the hour and to a cell of about {EDGE[USUAL]}"
    sentences = [
        f"Four moments, {known}, single out {rate.text} of the devices in this {found.what}.",
        _judged(found),
        _home(found),
        _linked(found.halves, f"had the ids been changed in the middle of the {found.what}"),
    ]
    if found.others is not None:
        sentences.append(_linked(found.others, "between the two suppliers or times"))
    return " ".join(sentence for sentence in sentences if sentence)


def _judged(found: Assessment) -> str:
    rate = found.headline
    if rate.low >= 0.5:
        return f"So the {found.what} is not anonymous, whatever was done to its ids."
    if rate.high >= 0.05:
        return "So a part of the people in it can be found by who knows a little about them."
    return "So few people can be found by that alone; finer times and places, or more points, find more."


def _home(found: Assessment) -> str:
    home = next((a for a in found.anchors if a.kind == _HOME_AND_WORK and a.resolution == USUAL), None)
    if home is None or home.groups[0].rate is None:
        return ""
    return (
        f"Home and work alone, known to cells of {EDGE[USUAL]}, single out {home.groups[0].text} of the "
        "devices that have both."
    )


def _linked(linked: Linked, when: str) -> str:
    if linked.rate is None:
        return ""
    return f"Movement alone would find {linked.rate:.0%} of {linked.devices:,} devices again {when}."


def warnings(found: Assessment) -> tuple[str, ...]:
    """Return what a reader must know before using the figures; none for a usual file of phones."""
    said = []
    if found.cells_a_day >= VEHICLE_CELLS:
        said.append(
            f"These devices cross {found.cells_a_day:,.0f} cells of resolution 8 on a usual day; people see "
            "a handful. They move like vehicles at work, such as taxis: many drivers may share one, their "
            "stops are their customers', and 'home' and 'work' mean depots and ranks. Vehicles are not "
            "people: do not carry these figures over to a file of phones."
        )
    if found.facts.devices < FEW_DEVICES:
        said.append(
            f"The {found.what} has {found.facts.devices:,} devices: with so few, anybody is easily the only "
            f"one. In a larger {found.what} of the same kind the rates are lower."
        )
    if found.few.rate is not None and found.few.rate >= 0.2:
        said.append(
            f"{percent(found.few.rate)} of the devices have fewer than four points by the hour in cells of "
            f"{EDGE[USUAL]}: they are known by fewer, and lower the rates."
        )
    if found.facts.rejected.total() * 5 > found.facts.rows:
        part = found.facts.rejected.total() / found.facts.rows
        said.append(f"{part:.0%} of the rows could not be used; see the reasons under 'The file'.")
    return tuple(said)


def link_text(linked: Linked) -> str:
    """Return a linkability result in words."""
    if linked.devices == 0:
        return f"not measured: fewer than {linking.LEAST:,} of the drawn devices are on both sides"
    if linked.rate is None:
        return f"fewer than 20 of {linked.devices:,} devices were found again"
    return f"{linked.rate:.0%} of {linked.devices:,} devices were found again among as many"
