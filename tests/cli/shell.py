"""Commands as people call them, in this process."""

from __future__ import annotations

import json
from typing import Any

import pytest

from passersby.cli import main


class Shell:
    """Runs commands and reads what they print."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def run(self, *arguments: str, code: int = 0) -> str:
        """Return all that a command prints, white space as single blanks."""
        return " ".join("".join(self._called(arguments, code)).split())

    def json(self, *arguments: str, code: int = 0) -> Any:
        """Return the JSON value that a command prints."""
        return json.loads(self._called((*arguments, "--json"), code)[0])

    def _called(self, arguments: tuple[str, ...], code: int) -> tuple[str, str]:
        self._capsys.readouterr()
        found = main.call(list(arguments))
        printed = self._capsys.readouterr()
        assert found == code, f"{arguments}: {printed.out}{printed.err}"
        return printed.out, printed.err
