"""`bundle`: several questions about the same weeks that share one epsilon."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from passersby.cli.app import app
from passersby.cli.asked import read_area, read_census, read_zone_file
from passersby.cli.common import AsJson, Folder, Key, emit, now, opened, out, percent, step_names, table
from passersby.errors import BadRecord


@app.command(rich_help_panel="Questions")
def bundle(
    file: Annotated[Path, typer.Argument(help="A TOML file: epsilon, period, licence .. and [[question]]s.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Split, cost and errors; nothing spent.")
    ] = False,
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Ask several questions about the same weeks for one epsilon: all of them, or none."""
    from passersby.deployment import bundles, views
    from passersby.render import export

    try:
        asked = bundles.parse(file.read_text(encoding="utf-8"), read_area, read_zone_file, read_census)
    except (OSError, UnicodeDecodeError):
        raise BadRecord(f"{file} cannot be read.", "Name a TOML file.") from None
    for part in asked.parts:
        if part.out is not None:
            export.check_format(part.out)
    with opened(folder) as d:
        actor = d.actor(key)
        planned = bundles.split(d, asked, actor, now=now())
        view = bundles.view(d, asked, planned)
        if not dry_run:
            with step_names(quiet=as_json) as step:
                answers = d.ask_together([each.request for each in planned], actor, now=now(), step=step)
            for row, part, answer in zip(view["questions"], asked.parts, answers, strict=True):
                if part.out is not None:
                    views.write(d, answer.release, part.out)
                row["answer"] = views.answer(d, answer, part.out)
    emit(view, as_json=as_json, human=lambda: _show(view))


def _show(view: dict[str, Any]) -> None:
    columns = ["measure", "every", "H3", "epsilon", "standard error", "error", "one by one"]
    rows = [
        [
            row["measure"],
            row["every"],
            row["resolution"],
            f"{row['epsilon']:g}",
            f"{row['standard_error']:,.1f}",
            percent(row["error"]),
            percent(row["error_alone"])
            if row["error_alone"] is not None
            else f"{row['standard_error_alone']:,.1f}",
            row["answer"]["release"] if "answer" in row else "",
        ]
        for row in view["questions"]
    ]
    out.print(table([*columns, "release"], rows, right=columns[2:]))
    split = "so that the sum of squared errors is least" if view["by_error"] else "by weight alone"
    out.print(
        f"[dim]Together epsilon {view['epsilon']:g} at delta {view['delta']:g} to each of "
        f"{', '.join(view['periods'])}, split {split}. error: standard error of a cell and bucket over the "
        f"typical count. one by one: the same where each is asked with epsilon {view['epsilon_alone']:g}, "
        "which adds up to as much.[/]",
        soft_wrap=True,
    )
    if not any("answer" in row for row in view["questions"]):
        out.print("Nothing was spent.")
