"""Everything that people must have done by a date, in one list: `passersby status` shows it.

A new kind of duty is one function and its line in `SOURCES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from passersby.model.duty import Duty
from passersby.policy import impact, programme, reviews
from passersby.sensitive import duties as places
from passersby.store.tables import File
from passersby.subjects import requests
from passersby.suppliers import registry, samples


def all_duties(session: Session) -> tuple[Duty, ...]:
    """Return every duty, the most urgent first."""
    found = (duty for source in SOURCES for duty in source(session))
    return tuple(sorted(found, key=lambda duty: (duty.due, duty.what)))


def _impact(session: Session) -> Iterator[Duty]:
    newest = impact.latest(session)
    what = "impact assessment: review it" if newest else "impact assessment: none is approved"
    due = newest.due if newest else 0
    yield Duty(what, "passersby impact draft", due, "deliveries, licences, questions", "privacy")


def _suppliers(session: Session) -> Iterator[Duty]:
    for supplier in registry.list_all(session):
        name, due = supplier.contract.id, supplier.latest.due if supplier.latest else 0
        what, locks = f"supplier {name}: assess it", f"deliveries of {name}"
        yield Duty(what, f"passersby supplier assess {name}", due, locks, "custodian, legal, privacy")


def _samples(session: Session) -> Iterator[Duty]:
    for supplier in registry.list_all(session):
        name, due = supplier.contract.id, samples.due(session, supplier.number)
        if due is not None:
            locks = f"deliveries of {name}" if supplier.contract.needs_consent else ""
            what = f"supplier {name}: check a sample of its consent records"
            yield Duty(what, f"passersby supplier sample {name}", due, locks, "custodian, legal, privacy")


def _reviews(session: Session) -> Iterator[Duty]:
    for review in reviews.waiting(session):
        what = f"review {review.number}: a question of licence {review.licence}"
        command = f"passersby review do {review.number}"
        yield Duty(what, command, review.due, f"licence {review.licence}", "overseer")


def _programme(session: Session) -> Iterator[Duty]:
    due = programme.due(session)
    if due is not None:
        yield Duty("programme: review it as a whole", "passersby programme review", due, who="overseer")


def _deletion(session: Session) -> Iterator[Duty]:
    first = session.scalar(select(func.min(File.until)).where(File.removed.is_(None)))
    if first is not None:
        yield Duty("deletion: files reach their date", "passersby expire", first, who="custodian")


SOURCES: tuple[Callable[[Session], Iterable[Duty]], ...] = (
    _impact,
    _suppliers,
    _samples,
    places.duties,
    requests.duties,
    _reviews,
    _programme,
    _deletion,
)
"""Each returns its duties, overdue or not, however far ahead."""
