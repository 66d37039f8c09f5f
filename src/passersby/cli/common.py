"""What commands share: their common options, output for people or programs, progress.

Modules of this package import what their commands work with inside the commands: `--help` and completion
answer at once, without the engine, the database and the mechanism.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from passersby.errors import BadRecord, NotReady, UnreadableFile, UsageError

if TYPE_CHECKING:
    from passersby.deployment.opened import Deployment
    from passersby.render.report import Report

Folder = Annotated[
    Path,
    typer.Option("--deployment", "-d", envvar="PASSERSBY_DEPLOYMENT", help="Folder of the deployment."),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON value on standard output, nothing else.")]
Key = Annotated[
    Path | None,
    typer.Option(
        "--key",
        envvar="PASSERSBY_KEY",
        help="Your private key file: it, not a name, says who you are. Default: the only one in people/.",
    ),
]

Out = Annotated[Path | None, typer.Option("--out", help="A .parquet, .csv, .geojson or .sdmx.csv file.")]

_WIDEST_NAME = 24

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def now() -> int:
    """Return the present instant, epoch s."""
    return int(time.time())


def emit(value: Any, *, as_json: bool, human: Callable[[], None]) -> None:  # noqa: ANN401 (any JSON value)
    """Print `value` as one JSON value, or let `human` print it for a person."""
    if as_json:
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    else:
        human()


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()) -> Table:
    """Return a plain table; columns named in `right` are aligned to the right.

    The first column names what a row is about: it is the last to be broken in a narrow terminal.
    """
    made = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    texts = [[str(cell) for cell in row] for row in rows]
    name = min(_WIDEST_NAME, max((len(row[0]) for row in texts), default=0))
    for i, column in enumerate(columns):
        justify: Literal["left", "right"] = "right" if column in right else "left"
        made.add_column(column, justify=justify, overflow="fold", min_width=None if i else name)
    for row in texts:
        made.add_row(*row)
    return made


def show_report(report: Report) -> None:
    """Print a report: its sections with their facts, shares and tables."""
    out.print(f"[bold]{escape(report.title)}[/]\n{escape(report.subtitle)}\n[dim]{escape(report.note)}[/]")
    for number, section in enumerate(report.sections, 1):
        out.print(f"\n[bold]{number}  {escape(section.title)}[/]")
        facts = [
            (fact.name, escape(fact.text) if fact.value is not None else f"[dim]{escape(fact.text)}[/]")
            for fact in section.facts
        ]
        out.print(table(("", ""), facts))
        if section.bars is not None:
            rows = [(name, f"{share:.0%}", "█" * round(30 * share)) for name, share in section.bars.shares]
            out.print(table((section.bars.title, "", ""), rows))
        for each in section.tables:
            out.print(f"\n{escape(each.title)}:" + ("" if each.rows else f" [dim]{each.empty}[/]"))
            if each.rows:
                out.print(table(each.columns, [[escape(cell) for cell in row] for row in each.rows]))


def percent(share: float | None) -> str:
    """Return a share for people, in three digits."""
    if share is None:
        return "unknown"
    return f"{100 * share:,.0f}%" if share >= 1 else f"{100 * share:.3g}%"


def weight_lines(weights: Mapping[str, Any] | None) -> list[str]:
    """Return what stands beside an estimate in people: how it was scaled up, and how that can mislead."""
    if weights is None:
        return []
    how = (
        f"[yellow]weighted[/] by census {weights['census_sha256'][:12]} and release {weights['residents']}: "
        f"a device stands for {weights['mean']:,.1f} people on average and {weights['largest']:,} at most "
        f"(cap {weights['cap']:,}, which cuts {weights['cells_capped']:.0%} of the cells of home)"
    )
    limits = (
        f"coverage: {weights['coverage']:.3%} of the people in {weights['strata']:,} strata; bias of the "
        f"number of residents {weights['bias']:+.1%} ({weights['people_left_out']:.1%} live where too few "
        "devices were counted, and count for nothing); error of the weights "
        f"{weights['error']:.1%}, in the intervals"
    )
    warning = "A panel is no sample: those with an observed device may move unlike those without."
    return [how, limits, f"[dim]{warning}[/]"]


def steps(lines: Sequence[tuple[str, str]]) -> None:
    """Print numbered next commands, each with what it does."""
    for number, (command, purpose) in enumerate(lines, 1):
        out.print(f"  [bold]{number}[/]  {purpose}")
        out.print(f"     [cyan]{command}[/]", soft_wrap=True)


class ByteBar:
    """A bar over bytes with rows a second and time left; silent where standard error is no terminal."""

    def __init__(self, what: str, *, quiet: bool) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=err,
            transient=True,
            disable=quiet or not err.is_terminal,
        )
        self._task = self._progress.add_task(what, total=None, rate="")
        self._begun = time.monotonic()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def name(self, what: str) -> None:
        """Begin something else, of which nothing but its name is shown."""
        self._begun = time.monotonic()
        self._progress.update(self._task, description=what, total=None, completed=0, rate="")

    def step(self, rows: int, done: int, total: int) -> None:
        """Show rows read, bytes done and bytes in all."""
        seconds = max(time.monotonic() - self._begun, 1e-6)
        rate = f"{rows / seconds / 1e6:.2f}M rows/s" if rows else ""
        self._progress.update(self._task, completed=done, total=total, rate=rate)


@contextmanager
def count_bar(what: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show a bar over a known count; yields `step(done, total)`."""
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=quiet or not err.is_terminal,
    )
    with bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def step_names(*, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Show the name of the step that runs; never a count, a rate or a time: those could carry data."""
    if quiet or not err.is_terminal:
        yield lambda _name: None
        return
    with err.status("deciding") as status:
        yield status.update


@contextmanager
def opened(folder: Path) -> Iterator[Deployment]:
    """Open a deployment and say what opening repaired."""
    from passersby.deployment.opened import Deployment

    with Deployment.open(folder, now=now()) as deployment:
        for line in deployment.repaired:
            err.print(f"[yellow]repaired[/]  {line}", soft_wrap=True)
        try:
            yield deployment
        except NotReady as error:
            error.next_step = from_here(error.next_step, folder)
            raise


def from_here(step: str, folder: Path) -> str:
    """Return a command, or text with commands in backticks, with the paths of record files and deployment."""
    if folder == Path():
        return step
    step = re.sub(r"--file (\w+\.toml)", lambda m: f"--file {shlex.quote(str(folder / m[1]))}", step)
    return re.sub(r"(passersby [^`]+)", lambda m: f"{m[1]} -d {shlex.quote(str(folder))}", step)


def save(path: Path, data: bytes) -> None:
    """Write a file that a command was asked for.

    Raises:
        UsageError: it cannot be written there.
    """
    try:
        path.write_bytes(data)
    except OSError as error:
        reason = error.strerror or "unknown reason"
        raise UsageError(
            f"{path} cannot be written: {reason}.", "Name a file in a folder that is there."
        ) from None


def save_new(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read, where there is none yet.

    Raises:
        UsageError: there is a file, or none can be written there.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UsageError(f"There is a file at {path} already.", "Choose another name.") from None
    except OSError as error:
        reason = error.strerror or "unknown reason"
        raise UsageError(
            f"{path} cannot be written: {reason}.", "Name a file in a folder that is there."
        ) from None
    with os.fdopen(handle, "wb") as file:
        file.write(data)


@contextmanager
def key_for(account: str, public_key: str, key_out: Path | None) -> Iterator[tuple[str, Path | None]]:
    """Give the public key that an account is to have, and the file of the private one if it is made here.

    The file goes again if the block fails: a key that nobody enrolled is no signature.
    """
    from passersby.people import keys

    path = None if public_key else (key_out or Path(f"{account}.key"))
    enrolled = keys.generate(path) if path is not None else public_key
    try:
        yield enrolled, path
    except BaseException:
        if path is not None:
            path.unlink(missing_ok=True)
        raise


@contextmanager
def reserved(path: Path) -> Iterator[None]:
    """Make an empty file for what the block writes, before it acts; it goes if nothing was written.

    Raises:
        UsageError: there is a file, or none can be written there.
    """
    save_new(path, b"")
    try:
        yield
    finally:
        if path.stat().st_size == 0:
            path.unlink()


def read_bytes(path: Path) -> bytes:
    """Return a file's bytes.

    Raises:
        UnreadableFile: there is none that you may read.
    """
    try:
        return path.read_bytes()
    except OSError:
        raise UnreadableFile(f"{path} cannot be read.", "Name a file that is there.") from None


def read_text(path: Path) -> str:
    """Return a record file's text.

    Raises:
        BadRecord: there is none that you may read, or it is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise BadRecord(f"{path} cannot be read.", "Name a TOML file.") from None
