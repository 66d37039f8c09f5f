"""Lets everything be said that the commands about suppliers, deliveries and consent can say."""

from __future__ import annotations

from pathlib import Path

import worlds
from proof.planting import ID, Said, spoiled


def run_commands(world: worlds.World, folder: Path, said: Said) -> None:
    """Look at a delivery that holds the phone, call it bad, delete it; load registers that name the phone."""
    at, custodian = ("-d", world.root), ("--key", world.key("custodian"))
    good, reason = folder / "register.csv", ("--reason", "a test")
    good.write_text(f"id,given_at,state\n{ID},1700000000,withdrawn\n")
    with world.open() as d, d.database.read() as session:
        number = str(
            1 + max(0, *(row[0] for row in session.connection().exec_driver_sql("SELECT id FROM proposal")))
        )
    for command in (
        ("consent", "load", good, "--supplier", "sovrn", *at, *custodian),
        ("consent", "list", *at),
        ("supplier", "sample", "sovrn", *at, *custodian),
        ("supplier", "checked", "sovrn", "--result", "pass", "--evidence-sha256", "0" * 64, *at, *custodian),
        ("supplier", "checked", "sovrn", "--result", ID, "--evidence-sha256", ID, *at, *custodian),
        ("supplier", "lineage", "simple", *at),
        ("supplier", "taint", "simple", *reason, *at, *custodian),
        ("proposal", "show", number, *at),
        ("proposal", "approve", number, *at, "--key", world.key("paula")),
        ("supplier", "lineage", "simple", *at),
        ("supplier", "taint", "simple", *reason, *at, *custodian),
        ("supplier", "lineage", ID, *at),
        ("supplier", "taint", ID, "--reason", ID, *at, *custodian),
        ("consent", "load", good, "--supplier", ID, *at, *custodian),
    ):
        said.command(*command)
        said.command(*command, "--json")
    for path in spoiled(folder / "registers"):
        said.command("consent", "load", path, "--supplier", "sovrn", *at, *custodian)
    good.unlink()
