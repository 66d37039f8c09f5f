"""The commented supplier files that `passersby init` writes; valid once their marked lines are filled."""

from __future__ import annotations

from importlib.resources import files


def contract() -> str:
    """Return the TOML template of a supplier's contract."""
    return _text("contract.toml")


def assessment() -> str:
    """Return the TOML template of a supplier's assessment."""
    return _text("assessment.toml")


def _text(name: str) -> str:
    return files("passersby.suppliers").joinpath("forms", name).read_text(encoding="utf-8")
