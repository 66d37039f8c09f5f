"""Lets everything be said by the commands about people's duties, with their error paths."""

from __future__ import annotations

from pathlib import Path

import worlds
from passersby.demo import story
from proof.planting import ID, Said

Words = tuple[str | Path, ...]


def review_all(world: worlds.World) -> None:
    """Let every answered question be drawn for a review."""
    path = world.root / "passersby.toml"
    path.write_text(path.read_text().replace("review_percent = 0", "review_percent = 100"))


def commands(world: worlds.World, folder: Path) -> list[Words]:
    """Return commands about proposals, cases, reviews, alerts and accounts; some are refused."""
    custodian: Words = ("-d", world.root, "--key", world.key("custodian"))
    otto: Words = ("-d", world.root, "--key", world.key("otto"))
    at: Words = ("-d", world.root)
    case: Words = ("--licence", worlds.LICENCE, "--purpose", worlds.PURPOSE, "--title")
    return [
        ("proposal", "list", *at),
        ("proposal", "show", "1", *at),
        ("proposal", "approve", "1", *at, "--key", world.key("paula")),
        ("proposal", "refuse", "1", "--reason", "a test", *custodian),
        ("person", "add", "otto", "--role", "overseer", "--key-out", world.key("otto"), *custodian),
        ("case", "open", "tram-7", *case, "Trams", *custodian),
        ("case", "open", ID, *case, "Trams", *custodian),
        ("case", "open", "tram-8", *case, f"About {ID}", *custodian),
        ("case", "list", *at),
        ("case", "close", "tram-7", "--licence", worlds.LICENCE, *otto),
        ("case", "close", ID, "--licence", ID, *otto),
        ("review", "list", *at),
        ("review", "show", "1", *at),
        ("review", "show", "99", *at),
        ("review", "do", "1", "--result", "concern", "--note", "x", *otto),
        ("review", "do", "2", "--result", ID, "--note", "x", *custodian),
        ("alert", "list", *at),
        ("alert", "close", "1", "--note", "x", *otto),
        ("alert", "close", "99", "--note", "x", *custodian),
        ("programme", "review", "--file", folder / "simple.csv", "--note", "x", *otto),
        ("person", "rekey", "anna", "--key-out", folder / "anna-2.key", *custodian),
        ("person", "rekey", ID, "--public-key", ID, *custodian),
        ("person", "end", "paula", "--reason", "x", *otto),
        ("person", "end", ID, "--reason", "x", *otto),
        ("status", *at),
    ]


def run_frozen_commands(world: worlds.World, folder: Path, said: Said) -> None:
    """Freeze, try to thaw, and try what a freeze stops."""
    custodian = ("-d", world.root, "--key", world.key("custodian"))
    words = ("--period", ID, "--licence", ID, "--purpose", ID, "--case", ID)
    said.command("ask", "presence", "--period", story.PERIOD, *words[2:], *custodian)
    said.command("freeze", "--reason", "a test", *custodian)
    said.command("freeze", "--reason", "again", *custodian)
    said.command("thaw", "--reason", "a test", *custodian)
    said.command("ask", ID, *words, *custodian)
    said.command("ingest", folder / "simple.csv", "--supplier", "simple", *custodian)
    said.command("release", "show", ID, "-d", world.root)
    said.command("status", "-d", world.root)
