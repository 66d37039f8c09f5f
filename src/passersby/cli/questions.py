"""`measures`, `ask`, `budget`: questions and what they cost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from passersby.cli.app import app
from passersby.cli.asked import (
    Case,
    Filters,
    Grain,
    Licence,
    Measure,
    Period,
    Place,
    Purpose,
    Residents,
    WeightCap,
    WeightFile,
    ZoneFile,
    ZoneName,
    read_area,
    read_weighting,
    read_zone_file,
    require_one_place,
)
from passersby.cli.common import (
    AsJson,
    Folder,
    Key,
    Out,
    emit,
    err,
    now,
    opened,
    out,
    step_names,
    table,
    weight_lines,
)


@app.command(rich_help_panel="Questions")
def measures(
    name: Annotated[str, typer.Argument(help="Show one in full: definition, bins, bound, SQL.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show the catalogue of measures, or one of them."""
    from passersby.cli import described
    from passersby.measures.catalogue import CATALOGUE, get

    if name:
        one = get(name)
        emit(described.full(one), as_json=as_json, human=lambda: described.show(one))
    else:
        found = [described.brief(measure) for measure in CATALOGUE.values()]
        emit(found, as_json=as_json, human=described.show_all)


@app.command(rich_help_panel="Questions")
def ask(
    measure: Measure,
    period: Period,
    licence: Licence,
    purpose: Purpose,
    case: Case,
    every: Grain = "day",
    resolution: Annotated[int, typer.Option(help="H3 resolution: 4 (25 km edge) to 7 (1.4 km).")] = 6,
    area: Place = "",
    zones: ZoneFile = None,
    zone_name: ZoneName = "name",
    where: Filters = None,
    weights: WeightFile = None,
    residents: Residents = "",
    weight_cap: WeightCap = 0,
    epsilon: Annotated[float, typer.Option(help="Privacy cost for one device and week.")] = 1.0,
    out_file: Out = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Cost, error, skill and SQL; nothing spent.")
    ] = False,
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Ask for a statistic about a crowd. A question that was asked before is free."""
    from passersby.deployment import plans, views
    from passersby.gate.request import Request
    from passersby.render import export

    require_one_place(area, zones)
    if out_file is not None:
        export.check_format(out_file)
    request = Request(
        measure=measure,
        period=period,
        every=every,
        resolution=resolution,
        area=None if zones else read_area(area, resolution),
        epsilon=epsilon,
        licence=licence,
        purpose=purpose,
        case=case,
        filters=tuple(where or ()),
        zones=read_zone_file(zones, zone_name),
        weighting=read_weighting(weights, residents, weight_cap),
    )
    with opened(folder) as d:
        actor = d.actor(key)
        if dry_run:
            plan = plans.plan(d, d.plan(request, actor, now=now()))
            emit(plan, as_json=as_json, human=lambda: _show_plan(plan))
            return
        with step_names(quiet=as_json) as step:
            answer = d.ask(request, actor, now=now(), step=step)
        if out_file is not None:
            views.write(d, answer.release, out_file)
        view = views.answer(d, answer, out_file)
        emit(view, as_json=as_json, human=lambda: _show_answer(view))


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


def _bar(share: float, width: int = 24) -> str:
    full = round(share * width)
    return f"[cyan]{'█' * full}[/][dim]{'░' * (width - full)}[/] {share:.0%}"


def _show_plan(plan: dict[str, Any]) -> None:
    cost, places = plan["cost"], f"resolution {plan['resolution']}, {plan['cells']:,} cells"
    if "zones" in plan:
        places = f"{plan['zones']:,} zones held in {plan['cells']:,} cells of resolution {plan['resolution']}"
    out.print(
        f"[bold]{plan['measure']}[/] {plan['period']} every {plan['every']}, {places} "
        f"x {plan['buckets']} buckets"
    )
    out.print(
        f"cost: epsilon {cost['epsilon']:g} at delta {cost['delta']:g} ({cost['micro_rho']:,} micro-rho) "
        f"to each of {len(cost['periods'])} period(s). Nothing was spent.\n"
    )
    for line in weight_lines(plan["weights"]):
        out.print(line, soft_wrap=True)
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
        where = resolution if "zones" in plan else f"resolution {resolution}"
        out.print(f"[bold]SQL, {where}[/]")
        out.print(text, markup=False, soft_wrap=True)  # no frame, no wrapping: it can be copied


def _show_answer(view: dict[str, Any]) -> None:
    cost = view["cost"]
    paid = f"paid epsilon {cost['epsilon']:g}" if view["new"] else "stored answer, free"
    out.print(f"release [bold]{view['release']}[/]  {paid} for each of {', '.join(cost['periods'])}")
    out.print(
        f"{view['rows']:,} rows: {view['shown']:,} shown, {view['suppressed']:,} suppressed; "
        f"shown cells cover {view['covered']:.0%} of the estimated total"
    )
    for line in weight_lines(view["weights"]):
        out.print(line, soft_wrap=True)
    if view["path"]:
        out.print(f"wrote {view['path']}")
    else:
        err.print(f"[dim]next:[/]  passersby release show {view['release']} --png map.png --out rows.csv")
