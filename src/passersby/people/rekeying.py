"""Replaces a person's lost or stolen key: by two other people, who both signed the new one."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.orm import Session

from passersby.errors import Refusal, UsageError
from passersby.keys.signed import OWN_KEY
from passersby.people import accounts
from passersby.people.proposals import Proposal
from passersby.store.duty_tables import FormerKey
from passersby.store.tables import Person
from passersby.trustlog.entries import JSON, append


def record(session: Session, person_id: str, public_key: str) -> Mapping[str, JSON]:
    """Return what both people sign: whose key, which one, and which it replaces.

    Raises:
        UnknownName: there is no account of that name.
        UsageError: the account has ended, or the new key is none or somebody's.
    """
    account = accounts.get(session, person_id)
    if not account.active:
        raise UsageError("This account has ended.", "Add the person again, under another name.")
    accounts.check_new_key(session, public_key)
    return {"person": person_id, "public_key": public_key, "old_key": account.public_key}


def enact(session: Session, proposal: Proposal, *, now: int) -> None:
    """Put the new key in force. The old one signs nothing more; what it signed stays verifiable.

    Raises:
        UsageError: the account or a key changed since it was proposed.
        Refusal: own-key, where one of the two is the person whose key it is.
    """
    person_id, public_key = proposal.record["person"], proposal.record["public_key"]
    if person_id in {proposal.proposed_by, proposal.decided_by}:
        raise Refusal("own-key", *OWN_KEY)
    if record(session, person_id, public_key) != dict(proposal.record):
        raise UsageError("The person's key changed meanwhile.", "Refuse the proposal and make a new one.")
    person = session.get_one(Person, person_id)
    session.add(FormerKey(public_key=person.public_key, person=person_id, ended=now))
    person.public_key = public_key
    session.flush()
    public: dict[str, JSON] = {
        "person": person_id,
        "old_key": proposal.record["old_key"],
        "new_key": public_key,
        "proposal": proposal.id,
    }
    append(session, "person.rekeyed", public, now=now)
