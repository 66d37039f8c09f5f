"""Each control that is enforced is so by its line: without the line, the named test fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controls import mutating
from controls.test_catalogue import CHECKS
from passersby.custody.reports.controls import Check

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mutating.Forks]:
    made = mutating.Forks(tmp_path_factory.mktemp("compiled"))
    yield made
    made.close()


def test_the_named_tests_pass_while_the_lines_are_there(forks: mutating.Forks, tmp_path: Path) -> None:
    done = forks.run(sorted({check.test for check in CHECKS}), tmp_path / "scratch")
    assert done.status == 0, done.output[-3000:]


@pytest.mark.parametrize("check", CHECKS, ids=lambda each: f"{each.function}")
def test_without_its_line_the_test_fails(check: Check, forks: mutating.Forks, tmp_path: Path) -> None:
    done = forks.run([check.test], tmp_path / "scratch", check)
    assert done.failed, (
        f"{check.line!r} can go and {check.test} does not fail: {done.status}, {done.output[-2000:]}"
    )
