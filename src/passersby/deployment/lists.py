"""Lists of sensitive places in a deployment: loaded, changed by two people, and what a change takes along."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from sqlalchemy.orm import Session

from passersby.deployment.opened import Deployment
from passersby.ingest import purging
from passersby.model import cells as h3cells
from passersby.model.place import Area
from passersby.people.proposals import Proposal
from passersby.privacy import answers
from passersby.privacy.answers import ReleaseEntry
from passersby.sensitive.cover import Window
from passersby.trustlog.entries import append


def put_in_force(d: Deployment, session: Session, proposal: Proposal, now: int) -> None:
    """Put a proposed version of a list into force, withdraw releases over what it adds, ask for the purge.

    The effect of `sensitive.change`: one transaction. The lake is searched after it.

    Raises:
        UsageError: another version came into force meanwhile.
        IntegrityError: the stored places are not those that were proposed.
    """
    row, added = d.sensitive.proposed(session, proposal.record, now=now)
    d.sensitive.enact(session, row, {"proposal": proposal.id}, now=now)
    if not len(added):
        return
    windows = d.sensitive.cover_of(added).windows()
    for entry in answers.entries(session):
        if entry.withdrawn is None and _touches(entry, windows):
            answers.withdraw(session, entry.id, now=now)
            append(session, "release.withdrawn", {"release": entry.id}, now=now)
    purging.want(session, f"list {row.name} {row.version}", now=now)


def _touches(entry: ReleaseEntry, windows: Iterable[Window]) -> bool:
    """Tell whether a release's area holds a place, in a time that the release is about."""
    area = np.array(Area.from_names(entry.question["area"]).compacted, dtype=np.int64)
    resolutions = h3cells.resolution_of(area)
    begin, end = entry.question["from"], entry.question["to"]
    return any(
        bool(np.isin(h3cells.parent(window.cells, int(r), of=h3cells.FINEST), area[resolutions == r]).any())
        for window in windows
        if window.begins < end and begin < window.ends
        for r in np.unique(resolutions)
    )
