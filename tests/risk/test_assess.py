"""A whole file is looked at: what is said, what is never said, and that nothing is left."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from passersby.cli import main
from passersby.errors import InputError, UsageError
from passersby.risk import report, words
from passersby.risk.advice import advise
from passersby.risk.assess import Assessment, Options, assess
from passersby.risk.attacks import KINDS
from passersby.risk.counts import EXACT, FLOORED, NOISY
from passersby.risk.grid import GRID, RESOLUTIONS, TIMES, Step
from risk.given import MONDAY, csv, people

pytestmark = pytest.mark.slow

NOW = MONDAY + 100 * 86_400
FIGURE = {"points", "resolution", "time", "rate", "low", "high"}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return csv(tmp_path_factory.mktemp("given") / "pings.csv", people(1100, 4, seed=7))


@pytest.fixture(scope="module")
def found(file: Path) -> Assessment:
    return assess([file], Options(seed=5, sample=1000, threads=2), now=NOW)


def test_people_with_own_homes_are_singled_out(found: Assessment) -> None:
    assert found.facts.devices == 1100
    assert found.drawn == 1000
    assert found.rate(4, Step("hour", 10)).low > 0.95
    assert "not anonymous" in words.verdict(found)
    assert found.halves.devices == 1000
    assert found.halves.rate is not None
    assert found.halves.rate > 0.9
    assert words.warnings(found) == ()
    told = {g.way: g.auc > 0.6 for g in found.counts if g.step == Step("hour", 7)}
    assert told == {EXACT: True, FLOORED: False, NOISY: False}
    assert found.worst == ()  # too many devices to try all that may be known


def test_the_curve_rises_with_points_and_falls_with_rounding(found: Assessment) -> None:
    for step in GRID:
        bounds = [found.rate(points, step) for points in range(1, 11)]
        assert [b.high for b in bounds] == sorted(b.high for b in bounds)
    for time_ in TIMES:
        rates = [found.rate(4, Step(time_, r)) for r in RESOLUTIONS]
        assert all(fine.high >= rough.low for fine, rough in itertools.pairwise(rates))


def test_advice_names_the_finest_steps_below_a_limit(found: Assessment) -> None:
    for advice in advise(found):
        for step in advice.steps:
            assert found.rate(4, step).high <= advice.limit
            if step.resolution < RESOLUTIONS[0]:
                assert found.rate(4, Step(step.time, step.resolution + 1)).high > advice.limit


def test_the_same_seed_gives_the_same_figures(file: Path, found: Assessment) -> None:
    again = assess([file], Options(seed=5, sample=1000, threads=1), now=NOW)
    assert report.to_json(again) == report.to_json(found)
    other = assess([file], Options(seed=6, sample=1000, threads=2), now=NOW)
    assert report.to_json(other)["uniqueness"] != report.to_json(found)["uniqueness"]


def test_json_has_the_declared_form_and_nobody_in_it(found: Assessment) -> None:
    told = report.to_json(found)
    assert len(told["uniqueness"]) == 10 * len(GRID)
    assert all(set(figure) == FIGURE for figure in told["uniqueness"])
    text = json.dumps(told, allow_nan=False)
    assert "phone-" not in text
    # no position: 46.8 to 47.2 and 7.2 to 7.8 would be there with more digits
    assert not re.search(r"\b(46|47|7)\.\d{3,}", text)


def test_the_page_needs_nothing_and_names_nobody(found: Assessment) -> None:
    page = report.html(found)
    assert "phone-" not in page
    assert not re.search(r"(src|href)=|url\(|<script|://", page)
    assert page.count("<section") == page.count("</section>")
    assert words.verdict(found).split("%")[0] in page


def test_files_of_any_form_and_several_at_once_say_the_same(
    file: Path, found: Assessment, tmp_path: Path
) -> None:
    frame = pl.read_csv(file)
    frame[:60_000].write_parquet(tmp_path / "a.parquet")
    rest = frame[60_000:].write_csv(separator="\t").encode()
    (tmp_path / "b").write_bytes(gzip.compress(rest))
    again = assess([tmp_path / "a.parquet", tmp_path / "b"], Options(seed=5, sample=1000, threads=2), now=NOW)
    assert again.uniqueness == found.uniqueness
    assert again.anchors == found.anchors


def test_another_file_with_the_same_ids(file: Path, tmp_path: Path) -> None:
    rows = [(name, t + 28 * 86_400, lat, lon) for name, t, lat, lon in people(1100, 2, seed=7)]
    options = Options(seed=5, sample=2000, threads=2, other=(csv(tmp_path / "other.csv", rows),))
    linked = assess([file], options, now=NOW).others
    assert linked is not None
    assert linked.devices == 1100
    assert linked.rate is not None
    assert linked.rate > 0.9


def test_the_worst_two_facts_of_a_small_file(tmp_path: Path) -> None:
    small = assess([csv(tmp_path / "s.csv", people(40, 2, seed=2))], Options(seed=1, threads=1), now=NOW)
    rates = {w.kind: w.rate.rate for w in small.worst}
    assert set(rates) == set(KINDS)
    assert rates["time"] == 1
    assert "The worst two facts" in report.html(small)


def test_sensitive_places_are_told_by_category(file: Path, tmp_path: Path) -> None:
    first = people(1100, 1, seed=7)[2]
    places = tmp_path / "places.csv"
    places.write_text(f"lat,lon,name,category\n{first[2]},{first[3]},x,clinic\n47.0,7.5,y,school\n")
    options = Options(seed=5, sample=1000, threads=2, sensitive=places)
    exposure = assess([file], options, now=NOW).exposure
    assert [(e.category, e.places) for e in exposure] == [("any", 2), ("clinic", 1), ("school", 1)]
    assert all(e.rate.rate is None for e in exposure)  # a handful: it is not said whether anybody


def test_few_devices_a_folder_and_strange_columns_are_refused(tmp_path: Path) -> None:
    few = csv(tmp_path / "few.csv", people(19, 2, seed=1))
    with pytest.raises(InputError, match="fewer than 20 devices"):
        assess([few], Options(seed=1), now=NOW)
    with pytest.raises(InputError, match="is a folder"):
        assess([tmp_path], Options(seed=1), now=NOW)
    (tmp_path / "strange.csv").write_text("a,b\nx,y\n")
    with pytest.raises(InputError, match="no column that looks like"):
        assess([tmp_path / "strange.csv"], Options(seed=1), now=NOW)
    with pytest.raises(UsageError, match="1,000 to 100,000"):
        Options(seed=1, sample=999)


def test_a_file_without_a_usable_row_is_refused(tmp_path: Path) -> None:
    path = csv(tmp_path / "none.csv", [("", MONDAY, 47.0, 7.5)] * 30)
    with pytest.raises(InputError):
        assess([path], Options(seed=1), now=NOW)


CHILD = """
import sys, time
from pathlib import Path
from passersby.risk import uniqueness
from passersby.risk.assess import Options, assess
def wait(*_, **__):
    print("ready", flush=True)
    time.sleep(100)
uniqueness.sizes = wait
assess([Path(sys.argv[1])], Options(seed=1, threads=1), now=int(sys.argv[2]))
"""


def test_a_kill_leaves_nothing(file: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(file), str(NOW)],
        env=environment,
        stdout=subprocess.PIPE,
        cwd=tmp_path,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        held = [str(fd.readlink()) for fd in Path(f"/proc/{child.pid}/fd").iterdir()]
        assert any(name.startswith(str(tmp_path)) and "(deleted)" in name for name in held), "the control"
        assert list(tmp_path.iterdir()) == []
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert list(tmp_path.iterdir()) == []


def test_the_command(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "report.html"
    arguments = ["risk", str(file), "--seed", "5", "--sample", "1000"]
    assert main.call([*arguments, "--html", str(page), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["reproduce"] == "passersby risk pings.csv --seed 5 --sample 1000"
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert main.call(arguments) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert told["verdict"] in printed
    assert "phone-" not in printed


def test_a_report_that_cannot_be_written_is_an_error(file: Path, tmp_path: Path) -> None:
    assert main.call(["risk", str(file), "--html", str(tmp_path / "no" / "report.html")]) == 2


@pytest.mark.slow
def test_taxis_are_not_people(real_data: Path) -> None:
    path = real_data / "cabspotting" / "cabspotting_dev107.parquet"
    begun = time.monotonic()
    cabs = assess([path], Options(seed=1, offset=-7 * 3600), now=NOW)
    assert time.monotonic() - begun < 300
    assert cabs.facts.devices == 107
    assert cabs.headline.low > 0.8
    said = " ".join(words.warnings(cabs))
    assert "taxis" in said
    assert "107 devices" in said
    assert cabs.halves.devices == 0
