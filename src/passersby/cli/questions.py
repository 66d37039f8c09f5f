"""`measures`, `ask`, `release`, `budget`: questions and what they cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from passersby.cli.app import app
from passersby.cli.common import AsJson, Folder, Key, emit, err, now, opened, out, save, step_names, table
from passersby.errors import BadRecord, EmptyArea, UsageError

if TYPE_CHECKING:
    from passersby.model.place import Area
    from passersby.model.zones import Zones

release = typer.Typer(help="Stored answers and their labels.", no_args_is_help=True)
app.add_typer(release, name="release", rich_help_panel="Questions")


@app.command(rich_help_panel="Questions")
def measures(as_json: AsJson = False) -> None:
    """Show the catalogue of measures."""
    from passersby.measures.catalogue import CATALOGUE

    found = [
        {
            "name": m.name,
            "unit": m.unit,
            "definition": m.definition,
            "source": m.source,
            "every": list(m.grains),
            "version": m.version,
        }
        for m in CATALOGUE.values()
    ]

    def human() -> None:
        rows = [(m.name, m.unit, " ".join(m.grains), m.definition) for m in CATALOGUE.values()]
        out.print(table(("measure", "unit", "--every", "definition"), rows))

    emit(found, as_json=as_json, human=human)


@app.command(rich_help_panel="Questions")
def ask(
    measure: Annotated[str, typer.Argument(help="A measure of `passersby measures`.")],
    period: Annotated[str, typer.Option(help="2026-W20, 2026-05-12, or a range of either: A..B.")],
    licence: Annotated[str, typer.Option(help="The licence that allows the question.")],
    purpose: Annotated[str, typer.Option(help="A purpose of the licence, e.g. dpv:AcademicResearch.")],
    case: Annotated[str, typer.Option(help="The case it belongs to; the log commits to it.")],
    every: Annotated[
        str, typer.Option(help="hour, daypart, day, week, or whole: all of the period.")
    ] = "day",
    resolution: Annotated[int, typer.Option(help="H3 resolution: 4 (25 km edge) to 7 (1.4 km).")] = 6,
    area: Annotated[
        str, typer.Option(help="west,south,east,north, H3 cells, or a GeoJSON file; default: the licence's.")
    ] = "",
    zones: Annotated[
        Path | None, typer.Option(help="Named polygons instead of cells: .geojson, .parquet or .shp.")
    ] = None,
    zone_name: Annotated[str, typer.Option(help="Property or column with the zones' names.")] = "name",
    where: Annotated[
        list[str] | None, typer.Option("--filter", help="hour=7,8 · weekday=sat,sun · daypart=night")
    ] = None,
    epsilon: Annotated[float, typer.Option(help="Privacy cost for one device and week.")] = 1.0,
    out_file: Annotated[Path | None, typer.Option("--out", help="A .parquet, .csv or .geojson file.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Cost, error, skill and SQL; nothing spent.")
    ] = False,
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Ask for a statistic about a crowd. A question that was asked before is free."""
    from passersby.deployment import views
    from passersby.gate.request import Request
    from passersby.render import export

    if zones and area:
        raise UsageError("Both --zones and --area are given.", "Give one of them: zones are their own area.")
    if out_file is not None:
        export.check_format(out_file)
    request = Request(
        measure=measure,
        period=period,
        every=every,
        resolution=resolution,
        area=None if zones else _area(area, resolution),
        epsilon=epsilon,
        licence=licence,
        purpose=purpose,
        case=case,
        filters=tuple(where or ()),
        zones=_zones(zones, zone_name, measure) if zones else None,
    )
    with opened(folder) as d:
        actor = d.actor(key)
        if dry_run:
            plan = views.plan(d, d.plan(request, actor, now=now()))
            emit(plan, as_json=as_json, human=lambda: _show_plan(plan))
            return
        with step_names(quiet=as_json) as step:
            answer = d.ask(request, actor, now=now(), step=step)
        if out_file is not None:
            export.write(answer.release.rows, out_file, d.config.offset, answer.release.question)
        view = views.answer(d, answer, out_file)
        emit(view, as_json=as_json, human=lambda: _show_answer(view))


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
    out_file: Annotated[Path | None, typer.Option("--out", help="A .parquet, .csv or .geojson file.")] = None,
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
            export.write(found.rows, out_file, d.config.offset, found.question)
        view = views.release(d, found)

    def human() -> None:
        if label:
            out.print(views.label_text(found), soft_wrap=True, markup=False)
            return
        _show_release(view)
        for path in filter(None, (png, out_file)):
            out.print(f"wrote {path}")

    emit(view, as_json=as_json, human=human)


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


@app.command(rich_help_panel="Questions")
def budget(
    licence: Annotated[str, typer.Option(help="Only what this licence spent.")] = "",
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Show the privacy budget of each period, or of one licence."""
    from passersby.deployment import views

    with opened(folder) as d:
        found = views.budget(d, licence)

    def human() -> None:
        if not found:
            out.print("Nothing was spent.")
            return
        rows = [
            (r["period"], r["key"], f"{r['epsilon_spent']:.3f}", f"{r['epsilon_cap']:.3f}", _bar(r["share"]))
            for r in found
        ]
        columns = ("period", "pseudonym key", "epsilon spent", "cap", "")
        out.print(table(columns, rows, right=("epsilon spent", "cap")))
        out.print(
            "[dim]epsilon for one device and week, all questions together, at the deployment's delta[/]"
        )

    emit(found, as_json=as_json, human=human)


def _area(text: str, resolution: int) -> Area | None:
    from passersby.model.place import parse_area, parse_geojson

    if not text:
        return None
    path = Path(text)
    if path.suffix.lower() in {".geojson", ".json"}:
        try:
            document = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise BadRecord(f"{path} cannot be read.", "Name a GeoJSON file.") from None
    else:
        document = ""
    if not 0 <= resolution <= 15:
        raise UsageError("There is no such resolution.", "Use 4 to 7.")
    for finer in range(resolution, 15):
        try:
            return parse_geojson(document, finer) if document else parse_area(text, finer)
        except EmptyArea:
            continue  # smaller than a cell: in finer cells the gate can refuse it, and logs that
    return parse_area(text, 15) if not document else parse_geojson(document, 15)


def _zones(path: Path, name: str, measure: str) -> Zones:
    from passersby.measures.catalogue import CATALOGUE
    from passersby.model.zones import FINEST
    from passersby.sources.zones import read_zones

    finest = CATALOGUE[measure].finest if measure in CATALOGUE else FINEST
    return read_zones(path, name, finest=min(FINEST, finest))


def _bar(share: float, width: int = 24) -> str:
    full = round(share * width)
    return f"[cyan]{'█' * full}[/][dim]{'░' * (width - full)}[/] {share:.0%}"


def _show_plan(plan: dict[str, Any]) -> None:
    cost = plan["cost"]
    out.print(
        f"[bold]{plan['measure']}[/] {plan['period']} every {plan['every']}, "
        f"resolution {plan['resolution']}, {plan['cells']:,} cells x {plan['buckets']} buckets"
    )
    out.print(
        f"cost: epsilon {cost['epsilon']:g} at delta {cost['delta']:g} ({cost['micro_rho']:,} micro-rho) "
        f"to each of {len(cost['periods'])} period(s). Nothing was spent.\n"
    )
    rows = [
        (
            row["resolution"],
            row["edge_km"] or "",
            f"{row['standard_error']:,.1f}",
            "unknown" if row["typical"] is None else f"{row['typical']:,.1f}",
            "unknown" if row["skill"] is None else f"{row['skill']:.0%}",
        )
        for row in plan["resolutions"]
    ]
    columns = ("resolution", "edge km", "standard error", "typical count", "skill over zeros")
    out.print(table(columns, rows, right=columns))
    out.print(f"[dim]{plan['basis']}[/]\n", soft_wrap=True)
    for resolution, text in plan["sql"].items():
        out.print(f"[bold]SQL, resolution {resolution}[/]")
        out.print(text, markup=False, soft_wrap=True)  # no frame, no wrapping: it can be copied


def _show_answer(view: dict[str, Any]) -> None:
    cost = view["cost"]
    paid = f"paid epsilon {cost['epsilon']:g}" if view["new"] else "stored answer, free"
    out.print(f"release [bold]{view['release']}[/]  {paid} for each of {', '.join(cost['periods'])}")
    out.print(
        f"{view['rows']:,} rows: {view['shown']:,} shown, {view['suppressed']:,} suppressed; "
        f"shown cells cover {view['covered']:.0%} of the estimated total"
    )
    if view["path"]:
        out.print(f"wrote {view['path']}")
    else:
        err.print(f"[dim]next:[/]  passersby release show {view['release']} --png map.png --out rows.csv")


def _show_release(view: dict[str, Any]) -> None:
    out.print(json.dumps(view["question"], indent=2), markup=False)
    at = view["columns"].index("start")
    rows = [(*row[:at], row[at][:16], *row[at + 1 :]) for row in view["sample"]]
    out.print(table(view["columns"], rows, right=("estimate", "low", "high", "count")))
    out.print(
        f"[dim]first rows of {view['rows']:,}; `--out rows.csv` writes all, `--label` prints the label[/]"
    )


def _show_comparison(view: dict[str, Any]) -> None:
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
        for name in ("cell", "origin", "destination", "bin")
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
