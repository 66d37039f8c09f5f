"""Releases are looked at whole: what is said, what is never said, and that nothing is left."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from passersby.cli import main
from passersby.risk.assess import Options
from passersby.risk.releases import bounds, report, words
from passersby.risk.releases.assess import Assessment, assess, releases_of
from passersby.risk.releases.membership import HALF, OTHERS
from risk.given import MONDAY, csv, people
from risk.releases.given import published

NOW = MONDAY + 100 * 86_400
GAME = {"attacker_knows", "targets", "right", "low", "high"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("given")
    rows = people(400, 1, seed=7)
    csv(folder / "pings.csv", rows)
    for resolution, floor in ((6, 0), (6, 10), (5, 0)):
        text = published(rows, resolution, floor)
        (folder / f"cells{resolution}-{floor}.csv").write_text(text, encoding="utf-8")
    return folder


def _assessed(folder: Path, names: list[str], raw: list[str]) -> Assessment:
    files = releases_of([folder / name for name in names], [folder / name for name in raw])
    assert files is not None
    return assess(files, [folder / name for name in raw], Options(seed=5, threads=2), now=NOW)


@pytest.fixture(scope="module")
def found(folder: Path) -> Assessment:
    return _assessed(folder, ["cells6-10.csv", "cells5-0.csv"], ["pings.csv"])


def test_the_raw_files_are_counted_as_the_release_counts(found: Assessment) -> None:
    assert found.raw is not None
    assert found.raw.devices == 400
    fine, rough = found.played
    # a trace keeps cells of 29 m: at the border of larger ones a few fixes change sides
    assert fine.near < 0.01
    assert rough.near < 0.01
    games = {game.knows: game for game in rough.games}
    assert games[OTHERS].right > 0.97
    assert games[HALF].low > 0.5
    assert found.recovered is not None
    assert found.recovered.accuracy > 2 * found.recovered.chance
    assert {c.floor for c in found.compared} >= {5, 10}
    assert found.left_out == ()


def test_json_and_page_have_nobody_and_no_place_in_them(found: Assessment) -> None:
    told = report.to_json(found)
    text = json.dumps(told, allow_nan=False)
    assert all(set(game) == GAME for played in told["membership"] for game in played["games"])
    page = report.html(found)
    assert not re.search(r"(src|href)=|url\(|<script|://", page)
    assert page.count("<section") == page.count("</section>")
    assert words.verdict(found).split("%")[0] in page
    for output in (text, page):
        assert "phone-" not in output
        assert not re.search(r"\b8[56][0-9a-f]{13}\b|\b(46|47|7)\.\d{3,}", output)


def test_more_counts_than_are_bounded_are_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MOST_PARTS", 10)
    found = _assessed(folder, ["cells6-10.csv", "cells5-0.csv"], [])
    assert found.bounds == ()
    assert any("bounded by totals only up to" in reason for reason in found.left_out)


def test_without_raw_files_it_is_said_what_was_left_out(folder: Path) -> None:
    alone = _assessed(folder, ["cells6-10.csv", "cells6-0.csv"], [])
    assert alone.played == ()
    assert len(alone.left_out) == 1
    assert "--raw" in alone.left_out[0]
    (bound,) = alone.bounds
    assert bound.exact.rate == 1  # what one leaves out the other tells
    assert "determine 100% exactly" in words.verdict(alone)
    assert "Counts of fewer than five people" in words.warnings(alone)[0]


def test_raw_files_that_do_not_fit_are_told(folder: Path) -> None:
    rows = [(name, t + 86_400, lat, lon) for name, t, lat, lon in people(300, 1, seed=8)]
    csv(folder / "other.csv", rows)
    other = _assessed(folder, ["cells5-0.csv"], ["other.csv"])
    assert "may not be made of these files" in words.warnings(other)[0]


def test_the_same_seed_gives_the_same_figures(folder: Path, found: Assessment) -> None:
    again = _assessed(folder, ["cells6-10.csv", "cells5-0.csv"], ["pings.csv"])
    assert report.to_json(again) == report.to_json(found)


@pytest.mark.parametrize(
    ("files", "raw", "said"),
    [
        (["cells5-0.csv", "pings.csv"], [], "is a release .*, and pings.csv is none"),
        (["pings.csv"], ["pings.csv"], "pings.csv is no release"),
        (["cells5-0.csv"], ["cells6-0.csv"], "cells6-0.csv is a release"),
    ],
)
def test_files_of_the_wrong_kind_are_told(
    folder: Path, files: list[str], raw: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [word for name in raw for word in ("--raw", str(folder / name))]
    assert main.call(["risk", *(str(folder / name) for name in files), *options]) == 2
    assert re.search(said, " ".join(capsys.readouterr().err.split()))


def test_options_about_location_data_do_not_go_with_releases(folder: Path) -> None:
    name = str(folder / "cells5-0.csv")
    assert main.call(["risk", name, "--other", name]) == 2


def test_the_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "report.html"
    before = sorted(folder.iterdir())
    arguments = ["risk", str(folder / "cells5-0.csv"), "--raw", str(folder / "pings.csv"), "--seed", "5"]
    assert main.call([*arguments, "--html", str(page), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["reproduce"] == "passersby risk cells5-0.csv --seed 5 --sample 2000 --raw pings.csv"
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert main.call(arguments) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert told["verdict"] in printed
    assert "phone-" not in printed
    assert sorted(folder.iterdir()) == before
    assert list(tmp_path.iterdir()) == [page]
