"""Passersby: a location database that answers questions about crowds and follows no person.

    import passersby

    with passersby.open("DIR") as d:
        request = passersby.Request(
            measure="presence", period="2026-W20", every="daypart", resolution=6, area=None, epsilon=0.5,
            licence="city-2026", purpose="dpv:ImproveTransportMobility", case="tram-7",
        )
        answer = d.ask(request, d.actor("anna.key"))
        answer.release.rows  # an Arrow table

Everything here is loaded on first use. What is not in `__all__` can change at any time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from passersby.deployment.create import create
    from passersby.deployment.opened import Deployment
    from passersby.errors import PassersbyError, Refusal
    from passersby.gate.gate import Answer
    from passersby.gate.request import Request
    from passersby.model.census import Census, Weighting
    from passersby.model.place import Area
    from passersby.model.release import Release

__all__ = [
    "Answer",
    "Area",
    "Census",
    "Deployment",
    "PassersbyError",
    "Refusal",
    "Release",
    "Request",
    "Weighting",
    "create",
    "open",
]

_HOMES = {
    "Answer": "passersby.gate.gate",
    "Area": "passersby.model.place",
    "Census": "passersby.model.census",
    "Deployment": "passersby.deployment.opened",
    "PassersbyError": "passersby.errors",
    "Refusal": "passersby.errors",
    "Release": "passersby.model.release",
    "Request": "passersby.gate.request",
    "Weighting": "passersby.model.census",
    "create": "passersby.deployment.create",
}


def open(folder: Path | str, *, now: int | None = None) -> Deployment:  # noqa: A001 (passersby.open, as in gzip.open)
    """Open the deployment in a folder, and repair what an interrupted command left.

    Args:
        folder: made by `passersby init` or `passersby.create`.
        now: epoch s; by default the present.

    Raises:
        NotADeployment: the folder holds none.
        IntegrityError: settings, keys, database and published log do not belong together.
    """
    from passersby.deployment.opened import Deployment as Opened  # noqa: PLC0415 (loaded on first use)

    return Opened.open(folder, now=now)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
