from __future__ import annotations

import re
from pathlib import Path

from passersby.sources.checks import REASONS
from passersby.sources.reference import reference_markdown
from passersby.sources.schema import builtin_names, parse

DOCS = Path(__file__).parents[2] / "docs"


def test_the_reference_page_is_current() -> None:
    assert (DOCS / "reference" / "schemas.md").read_text(encoding="utf-8") == reference_markdown()


def test_the_reference_has_every_schema_and_reason() -> None:
    text = reference_markdown()
    assert all(f"## `{name}`" in text for name in builtin_names())
    assert all(f"| `{reason}` |" in text for reason in REASONS)


def test_the_example_of_the_guide_is_a_valid_schema() -> None:
    guide = (DOCS / "how-to" / "add-a-supplier-format.md").read_text(encoding="utf-8")
    example = re.search(r"```toml\n(.*?)```", guide, re.DOTALL)
    assert example
    assert parse(example[1], "example").name == "acme"
