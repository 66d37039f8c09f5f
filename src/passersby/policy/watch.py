"""Looks through the log's new entries, once each: draws reviews and raises alerts from what it says.

It runs whenever a deployment is opened and after each answer. What it finds and how far it looked is one
transaction, so that a killed process leaves nothing unseen.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from passersby.config import Config
from passersby.model.period import DAY
from passersby.policy import alerts, reviews
from passersby.store.database import Database
from passersby.store.duty_tables import RefusalCount
from passersby.store.tables import LogEntry, LogSalt, LogState, Setting
from passersby.trustlog.entries import append

_SEEN, _PERCENT = "watched_entries", "review_percent"
_REFUSALS = ("question.refused", "order.refused", "act.refused")
_REVERSE = ("ReverseSearchRefused", "device-level-request")
_NO_CASE = ("case-missing", "case-not-open")


def watch(database: Database, config: Config, *, now: int) -> None:
    """Look through what was logged since the last time."""
    with database.read() as session:
        size = session.scalar(select(LogState.size)) or 0
        percent = int(_setting(session, _PERCENT))
        if not size or (size == int(_setting(session, _SEEN)) and percent == config.review_percent):
            return
    with database.write() as session:
        _make(session, _SEEN, "0")
        seen = session.scalars(select(Setting).where(Setting.name == _SEEN).with_for_update()).one()
        first = int(seen.value)
        _record_percent(session, config.review_percent, first, now=now)
        query = select(LogEntry.index, LogEntry.body, LogEntry.leaf).where(LogEntry.index >= first)
        for index, body, leaf in session.execute(query.order_by(LogEntry.index)).all():
            _look(session, config, (index, json.loads(body), leaf), now=now)
        # what this look has logged itself needs no look
        seen.value = str(session.scalar(select(LogState.size)))


def _look(session: Session, config: Config, found: tuple[int, dict[str, Any], bytes], *, now: int) -> None:
    index, entry, leaf = found
    kind = entry["kind"]
    if kind in reviews.ANSWERED and reviews.is_drawn(leaf, config.review_percent):
        due = entry["time"] + config.review_days * DAY
        asked_by = _account(session, index)
        reviews.draw(session, index, licence=entry["licence"], asked_by=asked_by, due=due, now=now)
    elif kind in _REFUSALS:
        account = _account(session, index)
        _count(session, config, account, entry["time"])
        if entry["code"] in _REVERSE:
            alerts.raise_alert(session, alerts.REVERSE, account, now=entry["time"])
        if entry["code"] in _NO_CASE:
            alerts.raise_alert(session, alerts.NO_CASE, account, now=entry["time"])
    elif kind == "review.done" and entry["result"] == "concern":
        row = reviews.get(session, entry["review"])
        alerts.raise_alert(session, alerts.CONCERN, row.asked_by, now=entry["time"])


def _count(session: Session, config: Config, account: str, at: int) -> None:
    row = session.get(RefusalCount, (account, at // DAY))
    if row is None:
        row = RefusalCount(account=account, day=at // DAY, number=0)
        session.add(row)
    row.number += 1
    session.flush()
    if row.number == config.alert_refusals:
        alerts.raise_alert(session, alerts.MANY, account, now=at)


def _account(session: Session, index: int) -> str:
    """Return the account that an entry commits to, "" where it names none."""
    names = select(LogSalt.value).where(LogSalt.index == index, LogSalt.name.in_(("person", "by")))
    value = session.scalars(names).first()
    return json.loads(value) if value else ""


def _record_percent(session: Session, percent: int, first: int, *, now: int) -> None:
    """Log from which entry on which part of the questions is reviewed, whenever the setting changes."""
    _make(session, _PERCENT, "0")
    row = session.get_one(Setting, _PERCENT)
    if int(row.value) != percent:
        row.value = str(percent)
        append(session, "review.sampling", {"percent": percent, "first": first}, now=now)


def _setting(session: Session, name: str) -> str:
    row = session.get(Setting, name)
    return "0" if row is None else row.value


def _make(session: Session, name: str, value: str) -> None:
    dialect = sqlite if session.connection().dialect.name == "sqlite" else postgresql
    session.execute(dialect.insert(Setting).values(name=name, value=value).on_conflict_do_nothing())
