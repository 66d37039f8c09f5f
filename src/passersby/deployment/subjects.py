"""What a deployment does for devices' holders, and what is left of it to be done whenever it is opened."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from passersby.subjects import erasing
from passersby.subjects.parts import Parts

if TYPE_CHECKING:
    from passersby.deployment.opened import Deployment


def parts(d: Deployment) -> Parts:
    """Return what requests of holders are carried out with."""
    return Parts(
        database=d.database,
        lake=d.lake,
        ring=d.ring,
        publisher=d.publisher,
        journal=d.layout.withdrawals,
        spill=d.layout.spill,
        threads=d.config.threads or os.cpu_count() or 1,
    )


def settle(d: Deployment, now: int) -> list[str]:
    """Finish what takes rows out of the lake: lists of sensitive places, then erasures."""
    done = d.finish_purges(now)
    if done:
        done += d.lake.sweep(now)  # what was replaced leaves the disk at once
    return [*done, *erasing.finish(parts(d), now=now)]
