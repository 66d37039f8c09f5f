"""Licences: who may ask what, for which purposes, about which area and time (controls G1 to G3, H9, I1)."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import rfc8785
from sqlalchemy import select
from sqlalchemy.orm import Session

from passersby.config import Config
from passersby.errors import BadRecord, UnknownName, UsageError
from passersby.keys.signed import Actor, digest, require, seal, unseal
from passersby.model.cells import to_text
from passersby.model.period import DAY, day_name, instant_text
from passersby.model.purposes import BROADER, is_prohibited
from passersby.model.record import NAME, Fields
from passersby.policy import area as areas
from passersby.policy import impact
from passersby.policy.refusals import refusal
from passersby.store import tables
from passersby.trustlog.entries import JSON, append

_WHAT = "Licence"
_GRANTED = "licence.granted"
_REVOKED = "licence.revoked"
_STOPPERS = ("custodian", "legal", "privacy", "overseer")
_LONGEST_S = 366 * DAY
_FLOOR = 7
_FINEST = 8
_HIGHEST_EPSILON = 20.0
_SEED = re.compile(r"[0-9a-f]{16}|")
_DEFAULTS = Config()


@dataclass(frozen=True)
class Licence:
    """One licence. Field names follow ODRL where it has a word for them.

    Args:
        id: short name.
        holder: the organisation that is bound by it.
        contact: who answers for it there.
        government: whether the holder is a public body.
        contract: number of the contract that it belongs to, "" where there is none; public.
        reason: what the answers are for.
        people: accounts that may ask under it, sorted.
        purposes: terms of `model.purposes`, sorted.
        measures: names of measures, sorted.
        cells: its area, as sorted H3 cells of resolution 5.
        dates_from: first local day (since 1970-01-01) that a question may read.
        dates_to: last local day that a question may read.
        not_before: instant (epoch s) from which it is valid.
        expires: first instant (epoch s) at which it is not valid any more.
        resolution: finest H3 resolution of an answer.
        resolution_reason: why no precision rule applies; needed above 7.
        epsilon_per_period: its privacy budget for one period, at the deployment's delta.
        seed_id: random mark of the licence's releases, so that a leak can be traced; set by `grant`.
    """

    id: str
    holder: str
    contact: str
    government: bool
    reason: str
    people: tuple[str, ...]
    purposes: tuple[str, ...]
    measures: tuple[str, ...]
    cells: tuple[int, ...]
    dates_from: int
    dates_to: int
    not_before: int
    expires: int
    resolution: int
    resolution_reason: str
    epsilon_per_period: float
    contract: str = ""
    seed_id: str = ""

    def to_record(self) -> dict[str, Any]:
        """Return the JSON object that is signed and stored; `from_record` reads it."""
        record = {name: getattr(self, name) for name in (field.name for field in dataclasses.fields(self))}
        lists = {name: list(record[name]) for name in ("people", "purposes", "measures")}
        days = {name: day_name(record[name]) for name in ("dates_from", "dates_to")}
        instants = {name: instant_text(record[name], 0) for name in ("not_before", "expires")}
        del record["cells"]
        area = {"cells": [to_text(cell) for cell in self.cells]}
        return {**record, **lists, **days, **instants, "area": area}

    @cached_property
    def sha256(self) -> str:
        """Hexadecimal SHA-256 of its record in RFC 8785 form."""
        return hashlib.sha256(rfc8785.dumps(self.to_record())).hexdigest()


@dataclass(frozen=True)
class Grant:
    """A licence as it stands: `created` and `revoked` are epoch s."""

    licence: Licence
    granted_by: str
    created: int
    revoked: int | None


def parse(text: str, *, folder: Path = Path(), known_measures: Collection[str] | None = None) -> Licence:
    """Return the licence of a TOML document.

    Args:
        text: the document.
        folder: folder that the path of a GeoJSON file starts from.
        known_measures: names of the catalogue, to find misspelt ones; None: any name is taken.

    Raises:
        BadRecord: a field is missing, not filled in, unknown or not valid; the message names it.
        Refusal: it names a purpose that is prohibited for every licence.
    """
    fields = Fields.from_toml(text, _WHAT)
    if fields.peek("seed_id") is not None:
        raise fields.error("seed_id", "is drawn when the licence is granted; leave it out")
    licence = _read(fields, folder)
    if known_measures is not None and not set(licence.measures) <= set(known_measures):
        raise fields.error("measures", "names something that is not in the catalogue (`passersby measures`)")
    return licence


def from_record(record: Mapping[str, Any]) -> Licence:
    """Return the licence of a stored JSON object.

    Raises:
        BadRecord: see `parse`.
        Refusal: see `parse`.
    """
    return _read(Fields(record, _WHAT), Path())


def grant(
    session: Session, licence: Licence, *, actor: Actor, now: int, config: Config = _DEFAULTS
) -> Licence:
    """Grant a licence, signed by a custodian, and return it with its seed id.

    The licence is checked again, whoever made it.

    Args:
        session: an open session of `Database.write()`.
        licence: from `parse`.
        actor: a custodian.
        now: epoch s.
        config: settings of the deployment, for its floor and its cap.

    Raises:
        NotReady: no impact assessment is approved, or it is overdue.
        BadRecord: the licence is not valid, or asks for more than the deployment allows.
        Refusal: the actor is no custodian, or a purpose is prohibited.
        UsageError: there is a licence of that name.
    """
    require(session, actor, "custodian")
    impact.require(session, now=now)
    checked = dataclasses.replace(from_record(licence.to_record()), seed_id=secrets.token_hex(8))
    _check_fits(session, checked, config, now)
    if session.get(tables.Licence, checked.id) is not None:
        msg = "There is a licence of that name already; a licence is never changed."
        raise UsageError(msg, "Give the new one an own `id`, for example with the year.")
    sealed = seal(checked.to_record(), _GRANTED, actor)
    session.add(
        tables.Licence(
            id=checked.id,
            record=sealed.text,
            record_sha256=sealed.sha256,
            granted_by=actor.id,
            created=now,
            revoked=None,
        )
    )
    session.flush()
    public: dict[str, JSON] = {
        "licence": checked.id,
        "holder": checked.holder,
        "government": checked.government,
        "contract": checked.contract,
        "purposes": list(checked.purposes),
        "measures": list(checked.measures),
        "resolution": checked.resolution,
        "expires": checked.expires,
        "record_sha256": sealed.sha256,
        "granted_by": actor.id,
    }
    append(session, _GRANTED, public, {"signature": sealed.signature}, now=now)
    return checked


def revoke(session: Session, licence_id: str, *, actor: Actor, now: int) -> None:
    """End a licence at once.

    Raises:
        UnknownName: there is no such licence.
        UsageError: it was revoked already.
        Refusal: the actor has none of the roles custodian, legal, privacy and overseer.
    """
    require(session, actor, *_STOPPERS)
    row = session.get(tables.Licence, licence_id)
    if row is None:
        raise _unknown()
    if row.revoked is not None:
        msg = "The licence was revoked already."
        raise UsageError(msg, "Nothing is left to do.")
    row.revoked = now
    session.flush()
    public = {"licence": licence_id, "by": actor.id}
    signature = actor.sign(digest({**public, "record_sha256": row.record_sha256, "at": now}), _REVOKED)
    append(session, _REVOKED, public, {"signature": signature}, now=now)


def find(session: Session, licence_id: str) -> Grant | None:
    """Return a licence as it stands, its signature checked; None if there is none of that name.

    Raises:
        IntegrityError: the stored licence is not the one that was signed.
    """
    row = session.get(tables.Licence, licence_id)
    return _grant(session, row) if row else None


def get(session: Session, licence_id: str) -> Grant:
    """Return a licence as it stands.

    Raises:
        UnknownName: there is none of that name.
        IntegrityError: see `find`.
    """
    found = find(session, licence_id)
    if found is None:
        raise _unknown()
    return found


def list_all(session: Session) -> list[Grant]:
    """Return all licences, oldest first.

    Raises:
        IntegrityError: see `find`.
    """
    rows = session.scalars(select(tables.Licence).order_by(tables.Licence.created, tables.Licence.id))
    return [_grant(session, row) for row in rows]


def _grant(session: Session, row: tables.Licence) -> Grant:
    licence = from_record(unseal(session, row.record, _GRANTED))
    return Grant(licence, row.granted_by, row.created, row.revoked)


def _unknown() -> UnknownName:
    msg = "There is no licence of that name."
    return UnknownName(msg, "`passersby licence list` shows them; `passersby licence grant` makes one.")


def _read(fields: Fields, folder: Path) -> Licence:
    resolution = fields.whole("resolution", 4, _FINEST, default=_FLOOR)
    licence = Licence(
        id=fields.text("id", pattern=NAME),
        holder=fields.text("holder"),
        contact=fields.text("contact"),
        government=fields.flag("government"),
        contract=fields.text("contract", default=""),
        reason=fields.text("reason"),
        people=tuple(sorted(fields.texts("people"))),
        purposes=_purposes(fields),
        measures=tuple(sorted(fields.texts("measures"))),
        cells=areas.read(fields.table("area"), resolution, folder),
        dates_from=fields.day("dates_from"),
        dates_to=fields.day("dates_to"),
        not_before=fields.instant("not_before"),
        expires=fields.instant("expires"),
        resolution=resolution,
        resolution_reason=fields.text("resolution_reason", default=""),
        epsilon_per_period=fields.number("epsilon_per_period", 0.0, _HIGHEST_EPSILON),
        seed_id=fields.text("seed_id", default="", pattern=_SEED),
    )
    fields.done()
    _check_order(fields, licence)
    return licence


def _check_order(fields: Fields, licence: Licence) -> None:
    if licence.dates_to < licence.dates_from:
        raise fields.error("dates_to", "is earlier than `dates_from`")
    if not 0 < licence.expires - licence.not_before <= _LONGEST_S:
        raise fields.error("expires", "must be later than `not_before`, by a year at most")
    if licence.resolution > _FLOOR and not licence.resolution_reason:
        raise fields.error("resolution_reason", "is not filled in: a resolution above 7 needs it")


def _purposes(fields: Fields) -> tuple[str, ...]:
    purposes = fields.texts("purposes")
    if any(is_prohibited(purpose) for purpose in purposes):
        raise refusal("purpose-prohibited")
    if not BROADER.keys() >= set(purposes):
        raise fields.error("purposes", "names something that is no purpose of the vocabulary (DPV 2.2)")
    return tuple(sorted(purposes))


def _check_fits(session: Session, licence: Licence, config: Config, now: int) -> None:
    fields = Fields({}, _WHAT)
    if licence.expires <= now:
        raise fields.error("expires", "has passed already")
    if licence.expires > now + _LONGEST_S:
        raise fields.error("expires", "lies more than a year ahead: the holder is assessed again each year")
    if licence.resolution > config.finest_resolution:
        raise fields.error("resolution", "is finer than this deployment allows")
    if licence.epsilon_per_period > config.epsilon_cap:
        raise fields.error("epsilon_per_period", "is more than the cap of this deployment")
    known = select(tables.Person.id).where(tables.Person.id.in_(licence.people), tables.Person.active)
    if len(session.scalars(known).all()) != len(licence.people):
        msg = "Licence: `people` names somebody who has no account here."
        raise BadRecord(msg, "`passersby person list` shows the accounts; add the person first.")
