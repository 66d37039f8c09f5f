"""`plan`: the cheapest question that reaches an error."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from passersby.cli.app import app
from passersby.cli.asked import (
    Case,
    Filters,
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
from passersby.cli.common import AsJson, Folder, Key, emit, now, opened, out, percent, table

_RESOLUTION_OF_ZONES = 6
"""The default of `ask`: no zone may be smaller than such a cell."""


@app.command(rich_help_panel="Questions")
def plan(
    measure: Measure,
    period: Period,
    licence: Licence,
    purpose: Purpose,
    case: Case,
    target_error: Annotated[
        str, typer.Option(help="5%: of the typical count; 100: a standard error in units of the measure.")
    ],
    every: Annotated[
        str | None, typer.Option(help="hour, daypart, day, week or whole; default: all.")
    ] = None,
    resolution: Annotated[int | None, typer.Option(help="H3 resolution, 4 to 7; default: all.")] = None,
    area: Place = "",
    zones: ZoneFile = None,
    zone_name: ZoneName = "name",
    where: Filters = None,
    weights: WeightFile = None,
    residents: Residents = "",
    weight_cap: WeightCap = 0,
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Find the cheapest question that reaches an error. Nothing is spent and no data is read."""
    from passersby.deployment import plans
    from passersby.gate.request import Request
    from passersby.gate.worth import parse_target

    require_one_place(area, zones)
    filters, polygons = tuple(where or ()), read_zone_file(zones, zone_name)
    weighting = read_weighting(weights, residents, weight_cap)
    if polygons is not None and resolution is None:
        resolution = _RESOLUTION_OF_ZONES

    def request(its_resolution: int, its_every: str, epsilon: float) -> Request:
        return Request(
            measure=measure,
            period=period,
            every=its_every,
            resolution=its_resolution,
            area=None if polygons else read_area(area, its_resolution),
            epsilon=epsilon,
            licence=licence,
            purpose=purpose,
            case=case,
            filters=filters,
            zones=polygons,
            weighting=weighting,
        )

    with opened(folder) as d:
        target = parse_target(target_error)
        wish = plans.Wish(measure, resolution, every, target, request, zones=polygons is not None)
        view = plans.choose(d, wish, d.actor(key), now=now())
    if view["cheapest"]:
        words = {"period": period, "licence": licence, "purpose": purpose, "case": case, "area": area}
        words["key"] = "" if key is None else str(key)
        if polygons is not None:
            words |= {"zones": str(zones), "zone-name": zone_name}
        if weighting is not None:
            words |= {"weights": str(weights), "residents": residents, "weight-cap": str(weight_cap)}
        form = view["cheapest"]
        asked = {**form, "resolution": form["resolution"] if polygons is None else resolution}
        view["command"] = _command(measure, words, filters, asked, folder)
    emit(view, as_json=as_json, human=lambda: _show_choice(view))


def _command(
    measure: str, words: dict[str, str], filters: tuple[str, ...], form: dict[str, Any], folder: Path
) -> str:
    """Return the line that asks what was planned, as it can be pasted."""
    options = {
        **words,
        "every": form["every"],
        "resolution": form["resolution"],
        "epsilon": f"{form['epsilon']:g}",
    }
    parts = [part for name, value in options.items() if value for part in (f"--{name}", str(value))]
    parts += [part for text in filters for part in ("--filter", text)]
    if folder != Path():
        parts += ["-d", str(folder)]
    return shlex.join(["passersby", "ask", measure, *parts])


def _show_choice(view: dict[str, Any]) -> None:
    relative, best = view["target"]["relative"], view["cheapest"]
    columns = ("H3", "edge km", "every", "typical count", "error", "epsilon", "of cap", "")
    rows = [
        (
            row["resolution"],
            row["edge_km"] or "",
            row["every"],
            "unknown" if row["typical"] is None else f"{row['typical']:,.1f}",
            _error(row["error"], relative=relative),
            f"{row['epsilon']:g}" if row["reached"] else "-",
            f"{row['share_of_cap']:.1%}" if row["reached"] else "-",
            "cheapest" if row is best else "over what is left" if not row["payable"] else "",
        )
        for row in view["forms"]
    ]
    out.print(table(columns, rows, right=columns[:2] + columns[3:-1]))
    meaning = "standard error of one cell and bucket of time"
    out.print(
        f"[dim]error: {meaning}, over the typical count: the root mean square of all cells and buckets. "
        "A cell with half of it has twice the error.[/]"
        if relative
        else f"[dim]error: {meaning}, in units of the measure.[/]",
        soft_wrap=True,
    )
    for basis in dict.fromkeys(row["basis"] for row in view["forms"]):
        out.print(f"[dim]{basis}[/]", soft_wrap=True)
    target = _error(view["target"]["error"], relative=relative)
    out.print(
        f"[dim]epsilon: cost of {target} for one device and week, with its part of a week's cap. -: not "
        f"reached; error is that of epsilon {view['question_cap']:g}, the most for one question. "
        "Nothing was spent.[/]\n",
        soft_wrap=True,
    )
    for line in _advice(view):
        out.print(line, soft_wrap=True)
    if best:
        out.print(view["command"], soft_wrap=True, markup=False)


def _advice(view: dict[str, Any]) -> list[str]:
    """Return what to do: where a question is named, its command follows."""
    cap = f"the most that one question may cost (epsilon {view['question_cap']:g})"
    target = _error(view["target"]["error"], relative=view["target"]["relative"])
    if view["cheapest"]:
        poor = "" if view["cheapest"]["payable"] else " What is left of the budget does not pay for it."
        return [f"[bold]The cheapest question with an error of at most {target}:[/]{poor}"]
    if view["missing"]:
        return [
            f"[bold]The error cannot be foreseen[/]: {view['missing']}.",
            "Give the target in units of the measure, which needs no typical count: --target-error 100.",
        ]
    others = [row for row in view["forms"] if row["reached"]]
    found = ", ".join(
        f"zones every {row['every']}"
        if "zones" in row
        else f"resolution {row['resolution']} every {row['every']}"
        for row in others
    )
    return [
        f"[bold]An error of {target} is not reachable[/] with {cap}.",
        f"It is reachable with {found}."
        if found
        else "No resolution and no grain of time reaches it: only a larger panel or a larger error would.",
    ]


def _error(value: float | None, *, relative: bool) -> str:
    if relative or value is None:
        return percent(value)
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
