"""`demo`: the whole story on generated data, ending with one offline page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from passersby.cli.app import app
from passersby.cli.common import AsJson, ByteBar, emit, err, out

if TYPE_CHECKING:
    from passersby.demo.seen import Seen


@app.command(rich_help_panel="Start here")
def demo(
    folder: Annotated[Path, typer.Argument(help="New folder for files, deployment and page.")] = Path("demo"),
    devices: Annotated[int, typer.Option(help="Size of the generated population.")] = 100_000,
    as_json: AsJson = False,
) -> None:
    """Generate, ingest, derive, ask, be refused, check; ends with one offline index.html."""
    from passersby.demo import story
    from passersby.demo.page import write

    part = 0

    def say(text: str) -> None:
        nonlocal part
        part += 1
        (err if as_json else out).print(f"[bold]{part}[/]  {text}")
        bar.name("")

    with ByteBar("", quiet=as_json) as bar:
        seen = story.tell(folder, devices=devices, say=say, bar=bar.step, step=bar.name)
    page = folder / "index.html"
    write(seen, page)
    found = {
        "page": str(page.absolute()),
        "deployment": str((folder / "deployment").absolute()),
        "release": seen.answer["release"],
        "covered": seen.answer["covered"],
        "refused": [refused.code for refused in [*seen.refusals, *seen.warrants]],
        "receipt": None if seen.erased is None else str((folder / seen.erased.file).absolute()),
        "disclosed": None if seen.fulfilled is None else seen.fulfilled.sha256,
        "seconds": round(seen.seconds, 1),
    }
    emit(found, as_json=as_json, human=lambda: _show(seen, page))


def _show(seen: Seen, page: Path) -> None:
    from passersby.ingest.report import about

    stored = about(sum(report.stored for report in seen.deliveries))
    rejected = sum(sum(report.rejected.values()) for report in seen.deliveries)
    out.print(f"\n{stored} pings stored, {rejected:,} rows rejected, each with its reason")
    out.print(
        f"release {seen.answer['release']}: epsilon {seen.answer['cost']['epsilon']:g}; shown cells cover "
        f"{seen.answer['covered']:.0%} of the estimated total"
    )
    for refused in [*seen.refusals, *seen.warrants]:
        out.print(f"refused  [bold]{refused.asked}[/]\n         {refused.message}")
    if seen.fulfilled is not None:
        out.print(
            f"order of {seen.fulfilled.title}: {seen.fulfilled.pings} pings of the one phone that it names, "
            "sealed to the court's key"
        )
    if seen.erased is not None:
        out.print(
            f"a phone was erased for its holder; its receipt proves entry {seen.erased.index} of the log"
        )
    if seen.log is not None:
        also = "" if seen.replayed is None else f"; Go's own verifier replayed all {seen.replayed}"
        out.print(f"log verified: {seen.log.entries} entries, {seen.log.tiles} tiles{also}")
    out.print(f"\nOpen [bold]{page.absolute()}[/]", soft_wrap=True)
