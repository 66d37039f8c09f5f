"""A release: the stored noisy answer with its label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

SUPPRESSED = "suppressed"
"""Below the floor, pooled over the question: estimate, low, high and count are null."""

LOW_PRECISION = "low_precision"
"""Above the floor, but this row's interval is wider than its estimate."""

COARSE = "coarse"
"""The cell was not split further: it stands for all of its children within the area."""


@dataclass(frozen=True)
class Release:
    """One answer.

    Args:
        id: short name, the first 12 digits of the question's SHA-256.
        question_sha256: key of the stored answer.
        question: canonical question (a JSON object).
        rows: `model.schema.ROWS`, sorted by (cell, start).
        label: statement of guarantees (see `privacy.label`).
        micro_rho: what it cost each of its periods.
        created: epoch s.
        log_index: index of its entry in the log.
        sampler: name of the noise sampler; the store takes OpenDP's only.
    """

    id: str
    question_sha256: str
    question: Mapping[str, Any]
    rows: pa.Table
    label: Mapping[str, Any]
    micro_rho: int
    created: int
    log_index: int
    sampler: str
