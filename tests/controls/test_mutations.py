"""Each control that is enforced is so by its line: without the line, the named test fails."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from controls import mutating
from controls.test_catalogue import CHECKS
from passersby.custody.reports.controls import Check

pytestmark = pytest.mark.slow


def test_the_named_tests_pass_while_the_lines_are_there(tmp_path: Path) -> None:
    shutil.copytree(mutating.SOURCES, tmp_path / "src" / "passersby")
    done = mutating.run(sorted({check.test for check in CHECKS}), tmp_path / "src", tmp_path / "scratch")
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("check", CHECKS, ids=lambda each: f"{each.function}")
def test_without_its_line_the_test_fails(check: Check, tmp_path: Path) -> None:
    packages = mutating.without(check, tmp_path / "src")
    done = mutating.run([check.test], packages, tmp_path / "scratch")
    assert mutating.failed(done), (
        f"{check.line!r} can go and {check.test} does not fail: {done.stdout[-2000:]}"
    )
