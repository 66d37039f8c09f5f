"""The same contents twice, in turn or at once; and source files that are removed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from passersby.errors import BadRecord, InputError
from passersby.ingest.report import Report

pytestmark = pytest.mark.slow

T = 1_779_000_000
NOW = 1_780_000_000


def write(path: Path, first: int, rows: int = 50) -> Path:
    lines = [f"device-{i % 9},{T + i},47,8,10\n" for i in range(first, first + rows)]
    path.write_text("id,time,latitude,longitude,accuracy\n" + "".join(lines))
    return path


def test_the_same_file_again_adds_nothing(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier()
    first = deployed.take(write(tmp_path / "a.csv", 0))
    before, log = deployed.pings(), deployed.log()
    again = deployed.take(write(tmp_path / "renamed.csv", 0))
    assert (again.known, again.delivery, again.again) == (
        True,
        first.delivery,
        {"renamed.csv": first.delivery},
    )
    assert (again.read, again.stored) == (0, 0)
    assert deployed.pings().equals(before)
    assert deployed.log() == log


def test_known_files_of_a_delivery_are_left_out(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier()
    a, b, c = (write(tmp_path / f"{name}.csv", 100 * i) for i, name in enumerate("abc"))
    assert deployed.take([a, b]).stored == 100
    report = deployed.take([b, c])
    assert (report.stored, report.again, report.delivery) == (50, {"b.csv": 1}, 2)
    assert deployed.take([c, a]).known
    assert len(deployed.pings()) == 150


def test_equal_files_in_one_delivery_count_once(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier()
    report = deployed.take([write(tmp_path / "a.csv", 0), write(tmp_path / "b.csv", 0)])
    assert (report.read, report.stored, len(report.files)) == (50, 50, 1)


def test_another_supplier_may_deliver_the_same_contents(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier("acme")
    deployed.supplier("other")
    path = write(tmp_path / "a.csv", 0)
    assert deployed.take(path, "acme").stored == 50
    assert deployed.take(path, "other").stored == 50
    assert deployed.presence()["pings"].sum() == 50  # the lowest delivery wins, second by second


def test_a_failed_delivery_can_be_taken_after_all(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier()
    good = write(tmp_path / "a.csv", 0)
    (tmp_path / "b.csv").write_text("")
    with pytest.raises(InputError):
        deployed.take([good, tmp_path / "b.csv"])
    report = deployed.take(good)
    assert report.stored == 50
    assert report.delivery == 2  # a number that was given out is never used again


def test_source_files_are_removed_on_request_only(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier()
    a, b = write(tmp_path / "a.csv", 0), write(tmp_path / "b.csv", 100)
    deployed.take(a)
    assert a.exists()
    deployed.take([a, b], remove_source=True)
    assert not a.exists()
    assert not b.exists()


def test_source_files_of_a_failed_delivery_stay(deployed: Any, tmp_path: Path) -> None:
    deployed.supplier(basis="consent")
    path, register = write(tmp_path / "a.csv", 0), tmp_path / "consent.csv"
    register.write_text("id,given_at,state\na,1,given\n")
    with pytest.raises(BadRecord):
        deployed.take(path, consent=register, remove_source=True)
    assert path.exists()


def at_once(jobs: Sequence[Callable[[], Report]]) -> list[Report]:
    """Run jobs in threads; raise the first error."""
    results: list[Report | BaseException | None] = [None] * len(jobs)

    def work(number: int) -> None:
        try:
            results[number] = jobs[number]()
        except BaseException as error:  # noqa: BLE001  (raised again below)
            results[number] = error

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if isinstance(result, Report)]


def meeting(parties: int) -> Callable[[int, int, int], None]:
    """Return a progress callback that lets nobody on before all have begun."""
    barrier, met = threading.Barrier(parties, timeout=120), threading.local()

    def progress(*_: int) -> None:
        if not getattr(met, "done", False):
            met.done = True
            barrier.wait()

    return progress


@pytest.fixture(params=["deployed", "on_postgresql"])
def shared(request: pytest.FixtureRequest) -> Any:
    """A deployment on each kind of control database."""
    return request.getfixturevalue(request.param)


def test_two_deliveries_at_once_are_both_stored(shared: Any, tmp_path: Path) -> None:
    deployed = shared
    deployed.supplier()
    files = [write(tmp_path / f"{i}.csv", 100 * i) for i in range(2)]
    progress = meeting(2)
    reports = at_once([lambda file=file: deployed.take(file, progress=progress) for file in files])  # type: ignore[misc] # mypy infers no lambda with a default
    assert [report.stored for report in reports] == [50, 50]
    assert len(deployed.pings()) == 100
    assert sorted(deployed.pings()["delivery"].unique()) == [1, 2]
    assert deployed.presence()["pings"].sum() == 100


def test_the_same_file_twice_at_once_is_one_delivery(shared: Any, tmp_path: Path) -> None:
    deployed = shared
    deployed.supplier()
    path = write(tmp_path / "a.csv", 0)
    progress = meeting(2)
    reports = at_once([lambda: deployed.take(path, progress=progress)] * 2)
    assert sorted(report.stored for report in reports) == [0, 50]
    assert len({report.delivery for report in reports}) == 1
    assert len(deployed.pings()) == 50
    assert sum("delivery.stored" in entry for entry in deployed.log()) == 1
    assert not list((deployed.root / "lake" / "staging").iterdir())
