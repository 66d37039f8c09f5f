"""`sensitive`: places that are never in the lake."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Annotated

import typer

from passersby.cli.app import app
from passersby.cli.common import AsJson, Folder, Key, count_bar, emit, now, opened, out, table
from passersby.model.period import DAY, day_name

sensitive = typer.Typer(help="Places that are never in the lake.", no_args_is_help=True)
app.add_typer(sensitive, name="sensitive", rich_help_panel="Data")


@sensitive.command("load")
def load_list(
    file: Annotated[
        Path,
        typer.Argument(help="OpenStreetMap extract (PBF), GeoJSON, or CSV (lat, lon, name, category)."),
    ],
    name: Annotated[str, typer.Option(help="Name of the list; a new file of it is its next version.")] = "",
    category: Annotated[
        list[str] | None,
        typer.Option(help="Of an extract: a category of `sensitive categories`; may be repeated."),
    ] = None,
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Load a list: it is in force at once before the first delivery, and takes a second person after it."""
    from passersby.deployment import places

    with opened(folder) as d:
        made = places.load(
            d,
            file,
            name=name or list_name(file),
            actor=d.actor(key),
            now=now(),
            categories=category or (),
        )
    found = {
        "list": made.name,
        "version": made.version,
        "places": made.places,
        "fresh": made.fresh,
        "proposal": made.proposal,
    }
    emit(found, as_json=as_json, human=lambda: out.print("\n".join(made.sentences()), soft_wrap=True))


@sensitive.command("list")
def list_lists(folder: Folder = Path(), as_json: AsJson = False) -> None:
    """List the lists in force, and when each is to be reviewed."""
    from passersby.sensitive import duties
    from passersby.sensitive.lists import latest

    with opened(folder) as d, d.database.read() as session:
        found = [
            {
                "list": row.name,
                "version": row.version,
                "places": row.places,
                "owner": row.owner,
                "review_due": day_name(duties.review_due(session, row) // DAY),
            }
            for row in latest(session).values()
        ]
    rows = [list(f.values()) for f in found]
    columns = ("list", "version", "places", "owner", "review due")
    emit(found, as_json=as_json, human=lambda: out.print(table(columns, rows, right=("version", "places"))))


@sensitive.command("categories")
def list_categories(as_json: AsJson = False) -> None:
    """List the categories of an OpenStreetMap extract and the tags that name them."""
    from passersby.sensitive import osm

    known = osm.table()
    rows = [
        (name, "; ".join(_rule(rule) for rule in entry["any"]), "on demand" if entry.get("optional") else "")
        for name, entry in known.items()
    ]
    emit(dict(known), as_json=as_json, human=lambda: out.print(table(("category", "tags", ""), rows)))


@sensitive.command("review")
def review_list(
    name: Annotated[str, typer.Argument(help="The list.")],
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Sign that you read a list again and that it is right; due each quarter."""
    from passersby.sensitive import duties

    with opened(folder) as d, d.writing() as session:
        due = day_name(duties.review(session, name, actor=d.actor(key), now=now()) // DAY)
    found = {"list": name, "review_due": due}
    emit(found, as_json=as_json, human=lambda: out.print(f"{name} is reviewed; due again on {due}."))


@sensitive.command("test")
def plant_tracks(folder: Folder = Path(), as_json: AsJson = False) -> int:
    """Plant tracks at each sensitive place of a scratch deployment, and look whether anything is stored.

    Exit code 6 where something survives. Due each quarter.
    """
    from passersby.deployment import suppression

    with opened(folder) as d, count_bar("planting", quiet=as_json) as step:
        found = suppression.run(d, now=now(), progress=step)

    def human() -> None:
        columns = ("category", "places", "planted", *suppression.TABLES)
        rows = [(c.name, c.places, c.planted, *c.surviving) for c in found.categories]
        out.print(table(columns, rows, right=columns[1:]))
        verdict = "[green]Nothing survives[/]" if found.passed else "[bold red]Suppression fails[/]"
        out.print(f"{verdict}; {found.controls:,} fixes elsewhere were stored. Due again on {found.due}.")

    emit(found.to_json(), as_json=as_json, human=human)
    return 0 if found.passed else 6


def list_name(path: Path) -> str:
    """Return a file's name as the name of a list: without accents, in the characters that one may have."""
    plain = unicodedata.normalize("NFKD", path.stem.lower()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9_]+", "-", plain).strip("-_")[:60] or "places"


def _rule(rule: dict[str, list[str]]) -> str:
    return " and ".join(f"{key}={', '.join(values)}" for key, values in rule.items())
