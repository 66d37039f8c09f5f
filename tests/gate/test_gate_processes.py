"""The gate under two processes at once, and under processes that are killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import worlds

_SCRIPT = Path(__file__).with_name("gate_child.py")
_KILLS = 50
_NEEDED_STEPS = {2, 3, 4, 5, 6, 7}


def _command(*arguments: object) -> list[str]:
    return [sys.executable, str(_SCRIPT), *map(str, arguments)]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(worlds.__file__).parent), *sys.path])}


@pytest.mark.slow
def test_two_who_ask_at_once_pay_once(world: worlds.World) -> None:
    askers = [
        subprocess.Popen(
            _command("ask", world.root),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=_environment(),
        )
        for _ in range(2)
    ]
    for process in askers:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in askers:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    results: list[dict[str, Any]] = [json.loads(process.communicate()[0]) for process in askers]
    assert [process.returncode for process in askers] == [0, 0]
    answered = [result for result in results if "rows" in result]
    assert sum(result["new"] for result in answered) == 1
    assert len({result["rows"] for result in answered}) == 1
    assert all("just being answered" in result["busy"] for result in results if "busy" in result)
    with world.open() as d:
        asker = worlds.Asker(d)
        assert len(asker.entries("question.reserved")) == len(asker.entries("release.made")) == 1
        assert list(asker.spent().values()) == [d.releases()[0].micro_rho]


@pytest.mark.slow
def test_killed_at_any_point(world: worlds.World) -> None:
    """The script checks the whole deployment after each death; see there."""
    done = subprocess.run(
        _command("kill", world.root, 20), capture_output=True, text=True, env=_environment(), check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    runs = [json.loads(line) for line in done.stdout.splitlines()]
    deaths = [run for run in runs if run["killed"]]
    print(Counter(run["step"] for run in deaths))
    assert len(deaths) >= _KILLS
    assert {run["step"] for run in deaths} >= _NEEDED_STEPS
    lost = [later["lost"] - before["lost"] for before, later in zip([{"lost": 0}, *runs], runs, strict=False)]
    assert sum(lost) > 0
    for run, more in zip(runs, lost, strict=True):
        said = [line for line in run["repaired"] if "never answered" in line]
        assert len(said) == more, "what opening gave up was not said"
    assert runs[-1]["releases"] > 1
