"""Loops compile wherever they run."""

from __future__ import annotations

from typing import Any

import numba
import pytest

from passersby.compiled import compiled


def _double(value: int) -> int:
    return 2 * value


def test_loops_compile_where_nothing_can_be_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numba refuses to cache when neither the source's folder nor a home can be written."""
    real = numba.njit

    def without_cache(*given: Any, **named: Any) -> Any:
        if named.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return real(*given, **named)

    monkeypatch.setattr(numba, "njit", without_cache)
    double: Any = compiled(_double)
    assert double(21) == 42
