"""Processes that ask and are killed: `python gate_child.py ask ROOT`, `python gate_child.py kill ROOT SEED`.

`ask` waits for a line on standard input, asks, and prints what came of it as JSON.

`kill` forks one process after another. Each opens the deployment, asks, and dies by SIGKILL: some at a
chosen call of a function inside a chosen step, the others whenever the parent strikes. After each death
another process opens the deployment an hour later and looks at everything. A JSON line is printed for each.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from sqlalchemy import select

import worlds
from passersby.deployment.opened import Deployment
from passersby.errors import Busy
from passersby.gate import gate
from passersby.store.tables import Reservation, StoredRelease

LEASE_S = 3600 + 1
"""Longer than any lease: an hour later nothing of the dead is held any more."""

STEPS = 7
PER_STEP = 5
DEATHS = 52
QUESTIONS = 18


def ask(root: Path) -> None:
    with Deployment.open(root) as d:
        asker = worlds.Asker(d)
        print("ready", flush=True)
        sys.stdin.readline()
        try:
            answer = asker.ask()
        except Busy as error:
            print(json.dumps({"busy": error.message}))
        else:
            rows = answer.release.rows.to_pandas().to_csv()
            print(json.dumps({"new": answer.new, "rows": rows}))


class Fuse:
    """Counts calls of Python functions in each step, and kills this process at a chosen one."""

    def __init__(self, step: int = 0, call: int = 0) -> None:
        self.calls = [0] * (STEPS + 1)
        self._step = 0
        self._at = (step, call)

    def begin(self, name: str) -> None:
        self._step = int(name[0])

    def __call__(self, _frame: FrameType, event: str, _value: object) -> None:
        if event == "call":
            self.calls[self._step] += 1
            if (self._step, self.calls[self._step]) == self._at:
                os.kill(os.getpid(), signal.SIGKILL)


def _questions(number: int) -> dict[str, Any]:
    """Return one of a few questions, so that some are asked again after they died."""
    every = ("day", "week")[number // 3 % 2]
    return {"epsilon": 0.1 + 0.01 * (number // 6), "resolution": 4 + number % 3, "every": every}


def _fresh(number: int) -> dict[str, Any]:
    """Return a question that nobody else asks, so that every step of it is reached."""
    return {"every": "week", "resolution": 4, "epsilon": 0.2 + 0.001 * number}


def _ask_and_count(root: Path, question: dict[str, Any], now: int, fuse: Fuse, pipe: int) -> None:
    with Deployment.open(root, now=now) as d:
        asker = worlds.Asker(d)

        def step(name: str) -> None:
            os.write(pipe, name[:1].encode())
            fuse.begin(name)

        sys.setprofile(fuse)
        try:
            d.ask(asker.request(**question), asker.actor(), now=now, step=step)
        finally:
            sys.setprofile(None)


def _check(root: Path, now: int) -> dict[str, Any]:
    """Look at everything an hour later; return what was found."""
    with Deployment.open(root, now=now) as d:
        bad = [check.what for check in d.doctor(deep=True) if not check.ok]
        assert not bad, bad
        asker = worlds.Asker(d)
        made = Counter(entry["question"] for entry in asker.entries("release.made"))
        reserved = sum(entry["micro_rho"] for entry in asker.entries("question.reserved"))
        with d.database.read() as session:
            states = Counter(session.scalars(select(Reservation.state)))
            stored = set(session.scalars(select(StoredRelease.question_sha256)))
        assert set(made) == stored
        assert set(made.values()) <= {1}
        assert states["settled"] == len(stored)
        assert states["reserved"] == 0, "a lapsed reservation was not given up"
        assert states.total() == len(asker.entries("question.reserved"))
        for balance in d.balances():
            assert balance.spent.value == reserved <= balance.cap.value
        return {"repaired": d.repaired, "releases": len(stored), "lost": states["lost"]}


def _in_child(work: Callable[[], object]) -> int:
    """Run `work` in a forked process; return its number."""
    child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    except BaseException:  # noqa: BLE001 (a forked process must end here, whatever happened)
        sys.excepthook(*sys.exc_info())
        os._exit(1)


def _died_at(reader: int) -> int:
    """Return the step that was begun last."""
    with os.fdopen(reader, "rb") as pipe:
        steps = pipe.read()
    return int(steps[-1:] or b"0")


def _one(
    root: Path, question: dict[str, Any], now: int, fuse: Fuse, after_s: float | None
) -> tuple[int, int]:
    """Let one process ask; return the step that it was in at its end, and its exit status."""
    reader, writer = os.pipe()
    child = _in_child(lambda: _ask_and_count(root, question, now, fuse, writer))
    os.close(writer)
    if after_s is not None:
        time.sleep(after_s)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    step = _died_at(reader)
    return step, os.waitpid(child, 0)[1]


def _measured(root: Path, now: int) -> tuple[list[int], float]:
    """Return how many calls each step of an undisturbed question makes, and the seconds it takes."""
    reader, writer = os.pipe()

    def work() -> None:
        fuse = Fuse()
        sink = os.open(os.devnull, os.O_WRONLY)
        _ask_and_count(root, _fresh(0), now, fuse, sink)
        os.write(writer, json.dumps(fuse.calls).encode())

    begun = time.monotonic()
    child = _in_child(work)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        calls = json.load(pipe)
    os.waitpid(child, 0)
    return calls, time.monotonic() - begun


def _ways(
    dice: random.Random, calls: list[int], seconds: float
) -> Iterator[tuple[dict[str, Any], Fuse, float | None]]:
    """Yield what to ask and how to die: at chosen calls of every step first, then at any time.

    A step can make fewer calls than it did when they were counted, but never none.
    """
    chosen = [
        (step, 1 if n == 0 else dice.randint(1, calls[step]))
        for step in range(1, STEPS + 1)
        for n in range(PER_STEP)
    ]
    dice.shuffle(chosen)
    for number, (step, call) in enumerate(chosen, 1):
        yield _fresh(number), Fuse(step, call), None
    while True:
        yield _questions(dice.randrange(QUESTIONS)), Fuse(), dice.uniform(0, seconds)


def _looked_at(root: Path, now: int) -> dict[str, Any]:
    """Return what a process of its own finds an hour later."""
    reader, writer = os.pipe()
    child = _in_child(lambda: os.write(writer, json.dumps(_check(root, now)).encode()))
    os.close(writer)
    with os.fdopen(reader) as pipe:
        found = pipe.read()
    if os.waitpid(child, 0)[1]:
        raise SystemExit(1)
    return dict(json.loads(found))


def kill(root: Path, seed: int) -> None:
    dice = random.Random(seed)
    now = int(time.time())
    calls, seconds = _measured(root, now)
    assert threading.active_count() == 1, "a process with threads must not be forked"
    deaths = 0
    for question, fuse, after_s in _ways(dice, calls, seconds):
        now += LEASE_S
        step, status = _one(root, question, now, fuse, after_s)
        if status not in {0, signal.SIGKILL}:
            raise SystemExit(1)
        deaths += status == signal.SIGKILL
        now += LEASE_S
        seen = {"step": step, "killed": status == signal.SIGKILL, **_looked_at(root, now)}
        print(json.dumps(seen), flush=True)
        if deaths == DEATHS:
            return


if __name__ == "__main__":
    gate.TICK_S = 0.001
    if sys.argv[1] == "ask":
        ask(Path(sys.argv[2]))
    else:
        kill(Path(sys.argv[2]), int(sys.argv[3]))
