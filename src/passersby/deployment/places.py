"""Loads a list of sensitive places: at once while nothing was delivered, as a proposal after that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from passersby.deployment import acts
from passersby.deployment.opened import Deployment
from passersby.errors import NotReady
from passersby.keys.signed import Actor
from passersby.sensitive.lists import has_deliveries


@dataclass(frozen=True)
class Change:
    """What became of a list that somebody loads.

    Args:
        name: the list.
        version: its version in force, or the one that is proposed.
        places: how many it has.
        proposal: number of the proposal that waits for a second person, if there is one.
        fresh: false where this very file was in force already.
    """

    name: str
    version: int
    places: int
    proposal: int | None
    fresh: bool

    def sentences(self) -> list[str]:
        """Return what the person who loaded the list must know, in plain words."""
        what = f"Version {self.version} of {self.name} ({_number(self.places)})"
        if self.proposal is None:
            return [f"{what} {'is in force' if self.fresh else 'was in force already'}."]
        effect = (
            f"`passersby proposal approve {self.proposal}` puts it into force: what is stored at its places "
            "then leaves the lake, and releases over them are withdrawn."
        )
        return [f"{what} waits for a second person: proposal {self.proposal}.", effect]

    def require_in_force(self) -> None:
        """Do nothing if it is in force.

        Raises:
            NotReady: it waits for a second person.
        """
        if self.proposal is not None:
            raise NotReady(
                "The list of sensitive places waits for a second person; nothing was stored.",
                f"Ask another custodian or privacy officer: `passersby proposal approve {self.proposal}`.",
            )


def load(
    d: Deployment, path: Path, *, name: str, actor: Actor, now: int, categories: Sequence[str] = ()
) -> Change:
    """Put a list into force (see `SensitiveLists.load`), or propose it where pings were delivered already.

    Raises:
        UsageError: the list's name is not valid, or a change of it waits already.
        Refusal: the actor may not load lists.
        InputError: the file is not a valid list.
    """
    with d.database.read() as session:
        alone = not has_deliveries(session)
    if alone:
        try:
            made = d.sensitive.load(path, name=name, actor=actor, now=now, categories=categories)
        finally:
            d.publisher.publish(d.database)
        return Change(made.name, made.version, made.places, None, made.fresh)
    draft = d.sensitive.draft(path, name=name, owner=actor.id, now=now, categories=categories)
    if draft.same:
        return Change(name, draft.row.version - 1, draft.row.places, None, fresh=False)
    proposal = acts.propose(d, "sensitive.change", name, draft.record, actor=actor, now=now)
    d.sensitive.keep(draft)
    return Change(name, draft.row.version, draft.row.places, proposal.id, fresh=True)


def _number(places: int) -> str:
    return "1 place" if places == 1 else f"{places:,} places"
