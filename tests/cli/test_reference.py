"""Generated pages are current, and every command is on them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from passersby.cli import reference
from passersby.config import Config
from passersby.errors import PassersbyError

DOCS = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize("page", ["commands.md", "settings.md", "exit-codes.md"])
def test_pages_are_what_the_code_says(page: str) -> None:
    made = reference.pages()[page]
    assert (DOCS / page).read_text(encoding="utf-8") == made, (
        "run python -m passersby.cli.reference docs/reference"
    )


def test_every_setting_is_described() -> None:
    text = reference.settings()
    for field in fields(Config):
        row = next(line for line in text.splitlines() if line.startswith(f"| `{field.name}` |"))
        assert len(row.split("|")[3].strip()) > 20, f"{field.name} needs a sentence in config.py"


def test_every_command_has_a_sentence_and_every_option_a_help() -> None:
    for block in reference.commands().split("\n## ")[1:]:
        lines = block.splitlines()
        assert lines[2].endswith("."), lines[0]
        for row in lines[6:]:
            if row.startswith("| `"):
                assert row.split("|")[2].strip(), f"{lines[0]}: {row}"


def test_every_error_has_an_exit_code_that_is_described() -> None:
    def tree(kind: type[PassersbyError]) -> list[type[PassersbyError]]:
        return [kind, *(below for sub in kind.__subclasses__() for below in tree(sub))]

    text = reference.exit_codes()
    for kind in tree(PassersbyError)[1:]:
        assert f"| {kind.exit_code} |" in text, kind
