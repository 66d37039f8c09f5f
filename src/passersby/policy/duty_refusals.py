"""The texts of refusals that follow from people's duties."""

from __future__ import annotations

DUTIES: dict[str, tuple[str, str]] = {
    "frozen": (
        "This deployment is frozen: it takes nothing in and hands nothing out.",
        "`passersby status` says since when; two people end a freeze, the first with `passersby thaw`.",
    ),
}
"""Codes of what people must do, or have stopped."""
