"""What the reports can say about a deployment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import worlds
from passersby.demo import story
from passersby.deployment import acts, assessing
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
        *_about_the_lake(folder, world),
    ]


def _about_the_lake(folder: Path, world: worlds.World) -> list[tuple[Any, ...]]:
    """Return commands that assess the rows that the phone is among, and their errors."""
    act = ("-d", world.root, "--key", world.key("custodian"))
    with world.open() as d:
        asker = worlds.Asker(d)
        agreed = assessing.propose(
            d, story.PERIOD, reason="a test", actor=asker.actor("custodian"), now=worlds.now()
        )
        acts.approve(d, agreed.id, actor=asker.actor("paula"), now=worlds.now())
    return [
        ("lake", "report", str(agreed.id), "--out", folder / "lake.html", *act),
        ("lake", "report", str(agreed.id), "--out", folder / "lake-again.html", *act),
        ("lake", "assess", "--period", story.PERIOD, "--reason", "a test", *act),
        ("lake", "assess", "--period", ID, "--reason", ID, *act),
        ("lake", "report", "999", "--out", folder / f"{ID}.html", *act),
    ]
