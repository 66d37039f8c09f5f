"""What overseers do in a deployment: review drawn questions, close alerts."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import select

from passersby.deployment import acts
from passersby.deployment.opened import Deployment
from passersby.keys.signed import Actor
from passersby.model.period import instant_text
from passersby.policy import alerts, cases, programme, reviews
from passersby.policy.reviews import Review
from passersby.policy.watch import watch
from passersby.store.tables import LogEntry, LogSalt, StoredRelease


def review(d: Deployment, number: int, *, result: str, note: str, actor: Actor, now: int) -> Review:
    """Record a review of a drawn question. See `policy.reviews.do`; a concern raises an alert at once."""
    with acts.refusals_logged(d, "review", actor=actor, now=now), d.writing() as session:
        done = reviews.do(session, number, result=result, note=note, actor=actor, now=now)
    watch(d.database, d.config, now=now)
    d.publisher.publish(d.database)
    return done


def close_alert(d: Deployment, number: int, *, note: str, actor: Actor, now: int) -> None:
    """Close an alert. See `policy.alerts.close`."""
    with acts.refusals_logged(d, "alert.close", actor=actor, now=now), d.writing() as session:
        alerts.close(session, number, note=note, actor=actor, now=now)


def review_programme(d: Deployment, document_sha256: str, *, note: str, actor: Actor, now: int) -> int:
    """Record the yearly review; return when it is due again. See `policy.programme.review`."""
    with acts.refusals_logged(d, "programme.review", actor=actor, now=now), d.writing() as session:
        return programme.review(session, document_sha256=document_sha256, note=note, actor=actor, now=now)


def asked(d: Deployment, number: int) -> dict[str, Any]:
    """Return what a reviewer judges: who asked what, when, for which case and purpose.

    Raises:
        UnknownName: there is no review of that number.
    """
    with d.database.read() as session:
        found = reviews.get(session, number)
        body = session.scalars(select(LogEntry.body).where(LogEntry.index == found.entry)).one()
        salts = session.scalars(select(LogSalt).where(LogSalt.index == found.entry))
        hidden = {salt.name: salt.value for salt in salts}
        entry, case = json.loads(body), json.loads(hidden["case"])
        titles = {(each.licence, each.name): each for each in cases.list_all(session)}
        stored = select(StoredRelease.question).where(StoredRelease.id == entry["release"])
        question = json.loads(session.scalars(stored).one())
    about = titles[(found.licence, case)]
    return {
        "licence": found.licence,
        "asked by": found.asked_by,
        "at": instant_text(entry["time"], d.config.offset),
        "case": case,
        "title": about.title,
        "purpose": about.purpose,
        "owner": about.owner,
        "release": entry["release"],
        "measure": question["measure"],
        "periods": ", ".join(question["periods"]),
        "every": question["every"],
        "resolution": question["resolution"],
        "area": f"{len(question['area']):,} compacted cells",
        "result": found.result or "waits",
    }
