"""Generates a world and writes its suppliers' files, day by day, in bounded memory.

A batch holds about `BATCH_PINGS` fixes, whatever the totals. What grows is the state of the devices
(`People`, some 220 bytes each). Batches are made by several threads and written in order, so the
same arguments give the same bytes.
"""

from __future__ import annotations

import errno
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from passersby.errors import DiskFull, OperationError, UnknownName, UsageError
from passersby.model.period import day_name, instant_text, parse_day
from passersby.synth import dice
from passersby.synth.country import Country, found_places
from passersby.synth.dirt import Tally
from passersby.synth.formats import FORMATS, Format
from passersby.synth.people import settle
from passersby.synth.phones import Phones
from passersby.synth.registers import consent_rows, write_sensitive
from passersby.synth.sinks import Sink, open_sink
from passersby.synth.world import Part, World, empty, make

Job = Callable[[], list[Part]]

BATCH_PINGS = 1 << 18
"""Fixes in a batch, about."""

TRUTH = "truth.json"
"""Written last: a folder without it is not complete."""

MOST_PINGS = 500.0
"""Most fixes a device and day, on the average of all devices."""

_MOST_DEVICES = 1 << 31
_DEVICES = 1 << 16  # most devices in a batch


@dataclass(frozen=True)
class File:
    """One delivered file and the ground truth about it.

    `rejected` counts rows by the reason that ingest gives; rows = stored + duplicates + rejected, where
    sensitive places are not considered.
    """

    path: str
    supplier: str
    day: str
    rows: int
    bytes: int
    stored: int
    duplicates: int
    teleports: int
    rejected: dict[str, int]


@dataclass(frozen=True)
class Summary:
    """What was written below `root`: files in order of day and supplier, and the lists beside them."""

    root: Path
    files: tuple[File, ...]
    consent: dict[str, Path]
    sensitive: Path
    truth: Path

    @property
    def rows(self) -> int:
        """Rows of all files, bad lines included."""
        return sum(file.rows for file in self.files)

    @property
    def bytes(self) -> int:
        """Size of all suppliers' files."""
        return sum(file.bytes for file in self.files)

    def of(self, supplier: str) -> tuple[Path, ...]:
        """Return the paths of one supplier's files, in order of day."""
        return tuple(self.root / file.path for file in self.files if file.supplier == supplier)


def generate(  # noqa: PLR0913 (the options of the command; all but one are named)
    out: Path,
    *,
    seed: int,
    devices: int,
    days: int,
    start_day: str = "2026-05-11",
    country: str = "CH",
    suppliers: tuple[str, ...] = ("sovrn", "veraset", "adtech"),
    pings_per_device_day: float = 60.0,
    offset: int = 0,
    dirt: bool = True,
    progress: Callable[[int, int], None] | None = None,
    threads: int = 0,
) -> Summary:
    """Write a generated country into the new or empty folder `out`.

    Args:
        out: gets `<supplier>/<supplier>-<day>.<suffix>`, `consent/<supplier>.csv`,
            `sensitive.geojson` and, last, `truth.json`.
        seed: equal arguments give equal bytes, however many threads there are.
        devices: how many phones live in the country.
        days: how many local days each of them is followed.
        start_day: ISO date of the first; the Monday of 2026-W20 by default.
        country: ISO 3166 code.
        suppliers: names of `formats.FORMATS`; about half of the devices are known to several of three.
        pings_per_device_day: mean number of fixes; each goes to one of the device's suppliers, every
            twentieth to all of them.
        offset: seconds east of UTC of the local clock.
        dirt: with it, files have planted flaws, some owners opted out and some did not consent;
            without it, every row can be stored.
        progress: is called with device-days done and in all.
        threads: 0: as many as there are cores.

    Raises:
        UsageError: an argument is out of its bounds, or the folder is not empty.
        UnknownName: no such country or supplier.
        DiskFull: there is no room; what was written stays without `truth.json`.
        OperationError: the folder cannot be written.
    """
    forms = _forms(suppliers)
    _check(seed=seed, devices=devices, days=days, rate=pings_per_device_day)
    first_day = parse_day(start_day)
    nation = Country.load(country)
    places = found_places(nation, seed)
    with _disk():
        _prepare(out, forms)
        root = dice.root(seed)
        people = settle(nation, places, root, devices, pings_per_device_day, tuple(f.share for f in forms))
        world = World(nation, places, people, forms, root, seed, first_day, days, offset, dirt)
        bounds = _bounds(devices, pings_per_device_day)
        asked = [(number, form.name) for number, form in enumerate(forms) if form.basis == "consent"]
        consent = {name: _write_consent(out, world, number) for number, name in asked}
        sensitive = out / "sensitive.geojson"
        write_sensitive(sensitive, nation, places, seed)
        files: list[File] = []
        workers = threads or os.cpu_count() or 1
        with ThreadPoolExecutor(workers) as pool:
            batches = partial(_ordered, pool, workers + 1)
            for number in range(days):
                report = _report(progress, number * devices, days * devices)
                files += _write_day(out, world, number, bounds, batches, report)
        truth = out / TRUTH
        _write_truth(truth, world, files, pings_per_device_day)
    return Summary(out, tuple(files), consent, sensitive, truth)


def _forms(suppliers: tuple[str, ...]) -> tuple[Format, ...]:
    for name in suppliers:
        if name not in FORMATS:
            msg = f"There is no generated supplier {name!r}."
            raise UnknownName(msg, f"Choose from {', '.join(FORMATS)}.")
    if not suppliers or len(set(suppliers)) < len(suppliers):
        msg = "Name at least one supplier, and none twice."
        raise UsageError(msg, f"Choose from {', '.join(FORMATS)}.")
    return tuple(FORMATS[name] for name in suppliers)


def _check(*, seed: int, devices: int, days: int, rate: float) -> None:
    bounds = (
        ("seed", seed, 0, float("inf")),
        ("devices", devices, 1, _MOST_DEVICES),
        ("days", days, 1, 3660),
        ("pings_per_device_day", rate, 0.1, MOST_PINGS),
    )
    for name, value, low, high in bounds:
        if not low <= value <= high:
            msg = f"`{name}` must lie between {low:g} and {high:g}."
            raise UsageError(msg, "Correct it and run the command again.")


def _prepare(out: Path, forms: tuple[Format, ...]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()):
        msg = "The folder for generated files is not empty."
        raise UsageError(msg, "Name a new folder.")
    for name in ("consent", *(form.name for form in forms)):
        (out / name).mkdir()


def _bounds(devices: int, rate: float) -> list[tuple[int, int]]:
    """Return the first device of each batch, and the one behind its last."""
    size = min(max(int(BATCH_PINGS / rate), 1), _DEVICES)
    return [(first, min(first + size, devices)) for first in range(0, devices, size)]


def _report(progress: Callable[[int, int], None] | None, before: int, total: int) -> Callable[[int], None]:
    return (lambda done: progress(before + done, total)) if progress else (lambda _done: None)


@contextmanager
def _disk() -> Iterator[None]:
    """Say what is wrong with the disk in our own words."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            msg = "There is no room for the generated files."
            raise DiskFull(msg, "Free some space, remove the folder, and run the command again.") from error
        msg = "The generated files cannot be written."
        raise OperationError(msg, "Check that the folder can be written.") from error


def _ordered(pool: ThreadPoolExecutor, ahead: int, jobs: Iterable[Job]) -> Iterator[list[Part]]:
    """Yield the jobs' results in order, while at most `ahead` of them are begun and not yet taken."""
    waiting: deque[Future[list[Part]]] = deque()
    for job in jobs:
        waiting.append(pool.submit(job))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _write_day(
    out: Path,
    world: World,
    number: int,
    bounds: list[tuple[int, int]],
    batches: Callable[[Iterable[Job]], Iterator[list[Part]]],
    report: Callable[[int], None],
) -> list[File]:
    day = day_name(world.first_day + number)
    paths = [out / form.name / f"{form.name}-{day}.{form.suffix}" for form in world.forms]
    tallies = [Tally() for _ in paths]
    jobs = (partial(make, world, number, *span) for span in bounds)
    with ExitStack() as stack:
        sinks: list[Sink] = []
        for path, form in zip(paths, world.forms, strict=True):
            sinks.append(open_sink(path, form, empty(world, form)))
            stack.callback(sinks[-1].close)
        for (_, last), parts in zip(bounds, batches(jobs), strict=True):
            for sink, tally, (block, part) in zip(sinks, tallies, parts, strict=True):
                sink.write(block)
                tally.add(part)
            report(last)
    return [
        _file(out, path, form.name, day, tally)
        for path, form, tally in zip(paths, world.forms, tallies, strict=True)
    ]


def _file(out: Path, path: Path, supplier: str, day: str, tally: Tally) -> File:
    name, rejected = path.relative_to(out).as_posix(), dict(sorted((+tally.rejected).items()))
    size = path.stat().st_size
    return File(
        name, supplier, day, tally.rows, size, tally.stored, tally.duplicates, tally.teleports, rejected
    )


def _write_consent(out: Path, world: World, number: int) -> Path:
    """Write one supplier's records of consent, a batch of devices at a time."""
    path = out / "consent" / f"{world.forms[number].name}.csv"
    devices = len(world.people.rate)
    with path.open("wb") as file:
        for first in range(0, devices, _DEVICES):
            last = min(first + _DEVICES, devices)
            phones = Phones.of(world.root, first, last, dirt=world.dirt)
            known = (world.people.members[first:last] >> number) & 1 == 1
            rows = consent_rows(phones, world.consents(phones, number, first), known, world.offset)
            rows.write_csv(file, include_header=first == 0)
    return path


def _write_truth(path: Path, world: World, files: list[File], rate: float) -> None:
    """Write what ingest must find."""
    document = {
        "seed": world.seed,
        "country": world.country.code,
        "devices": len(world.people.rate),
        "start_day": day_name(world.first_day),
        "days": world.days,
        "utc_offset": instant_text(0, world.offset)[19:],
        "pings_per_device_day": rate,
        "dirt": world.dirt,
        "basis": {form.name: form.basis for form in world.forms},
        "files": [asdict(file) for file in files],
    }
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
