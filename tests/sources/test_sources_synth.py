"""The generator plants flaws and says how many; the reader finds just these."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from passersby.sources.read import columns
from passersby.sources.schema import load
from passersby.synth.formats import FORMATS
from passersby.synth.write import generate


def test_planted_flaws_are_counted_exactly(tmp_path: Path, reading: Callable[..., Any]) -> None:
    world = generate(tmp_path / "world", seed=11, devices=250, days=1, suppliers=tuple(FORMATS), threads=2)
    files = json.loads(world.truth.read_text())["files"]
    assert {file["supplier"] for file in files} == set(FORMATS)
    for file in files:
        path = world.root / file["path"]
        found = reading(path, file["supplier"])
        planted = {reason: n for reason, n in file["rejected"].items() if reason != "no-consent"}
        assert (found.read, found.rejected) == (file["rows"], planted)
        assert columns(path, load(file["supplier"])).undeclared == ()
