"""The record files that `passersby init` writes, filled in as a custodian would."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path
from typing import Any

PURPOSE = "dpv:ImproveTransportMobility"
TODAY = dt.datetime.now(dt.UTC).date().isoformat()
DUE = (dt.datetime.now(dt.UTC).date() + dt.timedelta(days=300)).isoformat()

FILLED: dict[str, dict[str, Any]] = {
    "impact.toml": {
        "approved_by": "olga",
        "next_due": DUE,
        "description": "Pings of an app; statistics leave.",
        "necessity": "Coarser data does not show transfers.",
        "risks": ["singling out"],
        "measures": ["differential privacy for each device and week"],
    },
    "supplier.toml": {
        "id": "sovrn",
        "name": "Sovrn (made up)",
        "jurisdiction": "CH",
        "schema": "sovrn",
        "collection_method": "sdk",
        "original_source": "A weather app",
        "basis": "consent",
        "purposes": [PURPOSE],
        "notice_version": "2025-01",
        "notice_sha256": "ab" * 32,
        "notice_language": "de",
        "dates_from": "2026-05-11",
        "dates_to": "2026-05-17",
        "utc_offset": "+02:00",
        "expected_devices": 400,
    },
    "assessment.toml": {
        "supplier": "sovrn",
        "ownership": "Sovrn AG",
        "assessed_at": TODAY,
        "next_due": DUE,
        "assessor": "Audit AG",
        "consent_sample": ["record 1"],
        "evidence_sha256": "cd" * 32,
        "result": "pass",
    },
    "licence.toml": {
        "id": "city",
        "holder": "City of Somewhere",
        "contact": "data@example.org",
        "reason": "Where do people change trains?",
        "people": ["custodian"],
        "purposes": [PURPOSE],
        "measures": ["presence", "visitors"],
        "dates_from": "2026-05-11",
        "dates_to": "2026-05-17",
        "not_before": f"{TODAY}T00:00:00+00:00",
        "expires": f"{DUE}T00:00:00+00:00",
        "epsilon_per_period": 2.0,
        "bbox": [5.9, 45.8, 10.5, 47.8],
    },
}
"""Values of every line that is marked FILL IN, and of some others."""


def fill(path: Path, values: dict[str, Any]) -> None:
    """Set lines of a record file; each must be there once."""
    text = path.read_text(encoding="utf-8")
    for key, value in values.items():
        text, count = re.subn(rf"(?m)^{key} = .*$", f"{key} = {json.dumps(value)}", text)
        assert count == 1, f"{path.name} has no line for {key}"
    path.write_text(text, encoding="utf-8")


def fill_all(folder: Path) -> None:
    """Fill in the four files of a new deployment."""
    for name, values in FILLED.items():
        fill(folder / name, values)
