"""The templates of reports: one place where they are found, and one way in which they are filled."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

_ENVIRONMENT = Environment(
    loader=PackageLoader("passersby.risk", "."),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters["thousands"] = lambda value: f"{value:,}"


def filled(name: str, **values: Any) -> Markup:  # noqa: ANN401 (whatever a template asks for)
    """Return a template of this package with values in it, safe to stand in another."""
    return Markup(_ENVIRONMENT.get_template(name).render(**values))  # noqa: S704 (our own template)
