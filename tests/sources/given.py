"""A good line, and what puts and reads files: fixtures of conftest.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

NOW = 1_780_000_000
T = 1_779_000_000
HEAD = "id,time,latitude,longitude,accuracy"
GOOD = f"device-1,{T},52.52,13.405,12"
ZERO = "00000000-0000-0000-0000-000000000000"

Put = Callable[..., Path]
Reading = Callable[..., Any]


def record(**change: Any) -> str:
    return json.dumps({"id": "device-1", "time": T, "latitude": 52.52, "longitude": 13.405} | change)
