"""The commented policy files that `passersby init` writes; valid once their marked lines are filled."""

from __future__ import annotations

from importlib.resources import files


def licence() -> str:
    """Return the TOML template of a licence."""
    return _text("licence.toml")


def impact() -> str:
    """Return the TOML template of the impact assessment (DPIA)."""
    return _text("impact.toml")


def _text(name: str) -> str:
    return files("passersby.policy").joinpath("forms", name).read_text(encoding="utf-8")
