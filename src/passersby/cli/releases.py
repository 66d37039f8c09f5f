"""`release`: stored answers, their labels and files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from passersby.cli.app import app
from passersby.cli.common import (
    AsJson,
    Folder,
    Out,
    emit,
    opened,
    out,
    save,
    show_report,
    table,
    weight_lines,
)

release = typer.Typer(help="Stored answers and their labels.", no_args_is_help=True)
app.add_typer(release, name="release", rich_help_panel="Questions")


@release.command("list")
def list_releases(folder: Folder = Path(), as_json: AsJson = False) -> None:
    """List the stored answers."""
    from passersby.deployment import views

    with opened(folder) as d:
        found = views.releases(d)
    columns = ("release", "measure", "periods", "every", "resolution", "epsilon", "log")
    rows = [[row[column] for column in columns] for row in found]
    emit(found, as_json=as_json, human=lambda: out.print(table(columns, rows)))


@release.command("show")
def show_release(
    name: Annotated[str, typer.Argument(help="Name of the release.")],
    png: Annotated[Path | None, typer.Option(help="Draw the map to this file.")] = None,
    out_file: Out = None,
    sdmx_structure: Annotated[
        Path | None, typer.Option(help="Write the structure of its SDMX-CSV to this file, SDMX-JSON.")
    ] = None,
    label: Annotated[bool, typer.Option("--label", help="Print the whole label as YAML.")] = False,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Show a stored answer with its label; draw its map with --png."""
    from passersby.deployment import views
    from passersby.render import export

    if out_file is not None:
        export.check_format(out_file)
    with opened(folder) as d:
        found = d.release(name)
        if png is not None:
            save(png, views.picture(d, found))
        if out_file is not None:
            views.write(d, found, out_file)
        if sdmx_structure is not None:
            save(sdmx_structure, views.structure(found))
        view = views.release(d, found)

    def human() -> None:
        if label:
            out.print(views.label_text(found), soft_wrap=True, markup=False)
            return
        _show_release(view)
        for path in filter(None, (png, out_file, sdmx_structure)):
            out.print(f"wrote {path}")

    emit(view, as_json=as_json, human=human)


@release.command("quality")
def quality_report(
    name: Annotated[str, typer.Argument(help="Name of the release.")],
    out_file: Annotated[Path | None, typer.Option("--out", help="A .md, .html or .json file.")] = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Report the quality of a stored answer in the headings of the European Statistical System."""
    from dataclasses import asdict

    from passersby.deployment import quality
    from passersby.render.report import renderer

    render = None if out_file is None else renderer(out_file)
    with opened(folder) as d:
        found = quality.report(d, d.release(name))
    if out_file is not None and render is not None:
        save(out_file, render(found).encode())

    def human() -> None:
        if out_file is not None:
            out.print(f"wrote {out_file}")
            return
        show_report(found)

    emit(asdict(found), as_json=as_json, human=human)


@release.command("verify")
def verify_release(
    name: Annotated[str, typer.Argument(help="Name of the release.")],
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Check a stored answer against its log entry, its question and its label."""
    from passersby.deployment import views

    with opened(folder) as d:
        view = views.verify_release(d, name)
    emit(view, as_json=as_json, human=lambda: out.print(f"[green]ok[/]  release {name}: {view['checked']}"))


@release.command("compare")
def compare_releases(
    before: Annotated[str, typer.Argument(help="Name of a release.")],
    after: Annotated[str, typer.Argument(help="Name of another one, of the same question at another time.")],
    out_file: Annotated[Path | None, typer.Option("--out", help="A .parquet, .csv or .geojson file.")] = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Say what changed between two stored answers, beyond their noise. It is free."""
    from passersby.deployment import comparing
    from passersby.render import export

    if out_file is not None:
        export.check_format(out_file)
    with opened(folder) as d:
        view = comparing.releases(d, before, after, out_file)
    emit(view, as_json=as_json, human=lambda: _show_comparison(view))


def _show_release(view: dict[str, Any]) -> None:
    out.print(json.dumps(view["question"], indent=2), markup=False)
    at = view["columns"].index("start")
    rows = [(*row[:at], row[at][:16], *row[at + 1 :]) for row in view["sample"]]
    out.print(table(view["columns"], rows, right=("estimate", "low", "high", "count", "coverage", "bias")))
    for line in weight_lines(view["label"].get("weights")):
        out.print(line, soft_wrap=True)
    out.print(
        f"[dim]first rows of {view['rows']:,}; `--out rows.csv` writes all, `--label` prints the label[/]"
    )


def _show_comparison(view: dict[str, Any]) -> None:
    from passersby.model.schema import PAIR, PLACE, ZONE, ZONE_PAIR

    total, verdicts, shares = view["total"], view["verdicts"], view["share_verdicts"]
    ratio = (
        "" if total["ratio"] is None else f", x {total['ratio']:.3f} ({total['low']:.3f}-{total['high']:.3f})"
    )
    out.print(f"total of what both show: {total['before']:,.0f}, then {total['after']:,.0f}{ratio}")
    for what, found in (("values", verdicts), ("shares of the total", shares)):
        texts = ", ".join(f"{number:,} {verdict}" for verdict, number in found.items())
        out.print(f"{what}: {texts}")
    out.print(f"[dim]about {view['by_chance']:,} rows are called distinguishable by chance[/]")
    for what, names in view["suppliers"].items():
        if names:
            words = {"joined": "joined", "left": "left", "part": "cover a part of the days only"}[what]
            out.print(f"[yellow]suppliers[/] that {words}: {', '.join(names)}")
    columns = ("before", "after", "difference", "low", "high", "share_verdict")
    names = [
        name
        for name in (*PLACE, *PAIR, *ZONE, *ZONE_PAIR, "bin")
        if view["sample"] and name in view["sample"][0]
    ]
    rows = [
        [*(row[name] for name in names), *(f"{row[c]:,.0f}" for c in columns[:-1]), row[columns[-1]]]
        for row in view["sample"]
    ]
    if rows:
        out.print(table((*names, *columns), rows, right=columns[:-1]))
    if view["path"]:
        out.print(f"wrote {view['path']}")
