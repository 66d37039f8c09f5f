"""The texts of refusals that follow from people's duties."""

from __future__ import annotations

DUTIES: dict[str, tuple[str, str]] = {
    "frozen": (
        "This deployment is frozen: it takes nothing in and hands nothing out.",
        "`passersby status` says since when; two people end a freeze, the first with `passersby thaw`.",
    ),
    "own-question": (
        "A question is not reviewed by the person who asked it.",
        "Ask another overseer; `passersby person list` shows everyone's roles.",
    ),
    "own-alert": (
        "An alert is not closed by the person it is about.",
        "Ask another overseer; `passersby person list` shows everyone's roles.",
    ),
    "no-second-person": (
        "Another person must have agreed to this first: the proposal is open, refused, too old or used.",
        "Propose it again: `passersby lake assess`; then a privacy officer or an overseer approves it.",
    ),
}
"""Codes of what people must do, or have stopped."""
