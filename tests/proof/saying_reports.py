"""What the reports can say about a deployment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import worlds
from proof.planting import ID


def commands(folder: Path, world: worlds.World) -> list[tuple[Any, ...]]:
    """Return commands that write and check every report, with their errors."""
    at, days = ("-d", world.root), ("--from", "2020-01-01", "--to", "2099-12-31")
    custodian = ("--key", world.key("custodian"))
    one = ("report", "records", *days, "--for", "x", "--out", folder / "records.json", *at, *custodian)
    transparent = ("report", "transparency", *days, *at)
    return [
        transparent,
        *((*transparent, "--out", folder / f"transparency{end}") for end in (".json", ".html", ".csv")),
        ("report", "licences", *at),
        *(("report", name, *at) for name in ("processing", "dpia", "incident")),
        ("report", "dpia", "--out", folder / "dpia.html", *at),
        (*one, "--licence", worlds.LICENCE, "--page", folder / "records.html"),
        (*one, "--licence", ID),
        ("report", "verify", folder / "records.json", "--vkey", "log+00000000+AA=="),
        ("report", "verify", folder / "simple.csv", "--vkey", "log+00000000+AA=="),
        ("audit", "run", "--measure", ID, *at, *custodian),
        ("audit", "run", "--canaries", "1000", *at, *custodian),
        ("audit", "list", *at),
        ("audit", "list", "--json", *at),
    ]
