"""Which fields a label has, and of which types: none can be missing, empty or unknown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from passersby.errors import BadRecord

FIELDS: Mapping[str, Any] = {
    "name": str,
    "data_curators": list,
    "description": str,
    "intended_use": str,
    "data_product_type": str,
    "data_product_region": str,
    "data_product_sector": str,
    "publication_date": str,
    "dp_variant": {"variant_name": str, "data_domain": str, "unprotected_quantities": list},
    "privacy_loss": {
        "privacy_unit": str,
        "privacy_parameters": {"micro_rho": int, "epsilon": float, "delta": float},
        "details": str,
    },
    "deployment_model": {
        "model_name": str,
        "actors": list,
        "release_type": str,
        "data_source_type": str,
        "access_type": str,
    },
    "accounting": {"post_processing": str, "composition": dict},
    "implementation": {
        "preprocessing_and_hyperparameter_tuning": str,
        "mechanisms": list,
        "justification": str,
    },
    "log_origin": str,
    "total_spend": dict,
    "revision": int,
    "shown_mass": float,
    "sample_coverage": str,
    "contribution_bound": str,
    "invariants": str,
    "residual_timing": str,
    "views": dict,
    "limits": list,
    "audit": str,
}
"""Required fields and their types; a nested mapping is a nested object."""

WEIGHTED: Mapping[str, Any] = {
    "weights": {
        "census_sha256": str,
        "residents": str,
        "cap": int,
        "largest": int,
        "mean": float,
        "strata": int,
        "cells_capped": float,
        "people_left_out": float,
        "coverage": float,
        "bias": float,
        "error": float,
        "how": str,
        "warning": str,
    }
}
"""The field that an answer has beside them where devices are weighted by their homes."""

AUDITED: Mapping[str, Any] = {
    "audit": {
        "result": str,
        "empirical_epsilon_lower_bound": float,
        "claimed_epsilon": float,
        "delta": float,
        "confidence": float,
        "canaries": int,
        "guesses": int,
        "correct": int,
        "measure": str,
        "date": str,
        "software": str,
        "runs": int,
        "runs_above_claim": int,
        "method": str,
    }
}
"""What `audit` is where an audit of the running version is on record."""


def validate(label: Mapping[str, Any]) -> None:
    """Check that a label has every field, of the right type and not empty, and no other.

    Raises:
        BadRecord: it has not; the message names the fields.
    """
    wanted = {
        **FIELDS,
        **(WEIGHTED if "weights" in label else {}),
        **(AUDITED if isinstance(label.get("audit"), Mapping) else {}),
    }
    wrong = sorted(_wrong(label, wanted, ""))
    if wrong:
        raise BadRecord(
            f"The label is not complete: {', '.join(wrong)}.",
            "See docs/explanation/mechanism.md for the fields.",
        )


def _wrong(found: Any, wanted: Mapping[str, Any], path: str) -> Iterator[str]:  # noqa: ANN401 (parsed JSON)
    if not isinstance(found, Mapping):
        yield path.rstrip(".") or "label"
        return
    yield from (f"{path}{name}" for name in found if name not in wanted)
    for name, kind in wanted.items():
        value = found.get(name)
        if isinstance(kind, Mapping):
            yield from _wrong(value, kind, f"{path}{name}.")
        elif not _is(value, kind):
            yield f"{path}{name}"


def _is(value: object, kind: type) -> bool:
    """Tell whether a value has the type and says something; an empty list may be a fact."""
    if kind is float:
        return type(value) in {int, float} and math.isfinite(float(value))  # type: ignore[arg-type]  # a number here
    if kind is int:
        return type(value) is int
    if kind is str:
        return isinstance(value, str) and bool(value.strip())
    return isinstance(value, kind)
