"""The demo's story on a small country, and its page in a browser."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from passersby.cli import main
from passersby.demo import elsewhere, page, story
from passersby.demo.seen import Seen
from passersby.errors import UsageError
from passersby.gate import gate
from passersby.model.release import SUPPRESSED
from passersby.risk.assess import HEADLINE, POINTS, rate_in

pytestmark = pytest.mark.slow
DEVICES = 3_000
VOID = {"meta", "line", "rect", "input", "path", "circle", "br", "i"}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Seen, Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "TICK_S", 0.001)
        root = tmp_path_factory.mktemp("story") / "demo"
        seen = story.tell(root, devices=DEVICES, say=_quiet, bar=_quiet, step=_quiet)
    page.write(seen, root / "index.html")
    return seen, root


def _quiet(*_: Any, **__: Any) -> None:
    pass


def test_every_row_is_accounted_for(told: tuple[Seen, Path]) -> None:
    seen, _ = told
    assert sum(report.read for report in seen.deliveries) == seen.rows
    assert all(report.balanced() for report in seen.deliveries)


def test_what_was_planted_was_rejected_for_its_reason(told: tuple[Seen, Path]) -> None:
    seen, _ = told
    for report in seen.deliveries:
        planted = {reason: n for reason, n in seen.planted[report.supplier].items() if n}
        assert report.rejected == planted, report.supplier


def test_three_questions_are_refused_in_plain_words(told: tuple[Seen, Path]) -> None:
    seen, _ = told
    codes = [refused.code for refused in seen.refusals]
    assert codes == ["resolution-too-fine", "device-level-request", "licence-expired"]
    assert all(refused.message and refused.next_step for refused in seen.refusals)


def test_two_warrants_are_refused_and_an_order_is_fulfilled(told: tuple[Seen, Path]) -> None:
    seen, root = told
    assert [refused.code for refused in seen.warrants] == ["NotJudicial", "ReverseSearchRefused"]
    assert seen.fulfilled is not None
    assert seen.fulfilled.pings > 0
    assert [person for _, person in seen.fulfilled.custody] == ["leo", "leo", "paula", "rita"]
    assert seen.log is not None
    assert seen.fulfilled.index < seen.fulfilled.size <= seen.log.size
    html = unescape((root / "index.html").read_text(encoding="utf-8"))
    assert all(refused.message in html for refused in seen.warrants)
    assert f"{seen.fulfilled.pings} pings, sealed" in html


def test_a_holder_is_erased_and_gets_a_receipt_that_verifies(
    told: tuple[Seen, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    seen, root = told
    assert seen.erased is not None
    assert main.call(["subject", "verify-receipt", str(root / "receipt.json"), "--vkey", seen.vkey]) == 0
    assert f"Entry {seen.erased.index} of the log" in capsys.readouterr().out
    assert f"proves entry {seen.erased.index} of the log" in (root / "index.html").read_text(encoding="utf-8")


def test_go_replays_the_log_where_it_is_installed(told: tuple[Seen, Path]) -> None:
    seen, _ = told
    if reason := elsewhere.missing():
        pytest.skip(reason)
    assert seen.log is not None
    assert seen.replayed == seen.log.entries


def test_the_trial_has_ended_before_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """However fast the machine: the story waits for the second at which the licence expires."""
    slept: list[float] = []
    monkeypatch.setattr("time.time", lambda: 1_000.25)
    monkeypatch.setattr("time.sleep", slept.append)
    nobody: Any = SimpleNamespace(ask=_quiet, analyst=None)
    for ends in (1_002, 999):
        story._refusals(nobody, nobody, Seen(devices=1), _quiet, ends)
    assert slept == [1.75, 0.0]


def test_the_log_is_verified_and_says_demo(told: tuple[Seen, Path]) -> None:
    seen, _ = told
    assert seen.log is not None
    assert seen.log.entries == seen.log.size > 20
    kinds = [entry["kind"] for entry in seen.entries]
    assert kinds.count("question.refused") == 3
    assert kinds.count("release.made") == 1


def test_only_the_answered_question_was_paid_for(told: tuple[Seen, Path]) -> None:
    seen, _ = told
    assert [row["period"] for row in seen.budget] == [story.PERIOD]
    assert seen.release is not None
    assert seen.budget[0]["micro_rho_spent"] == seen.release.micro_rho


def test_the_raw_files_are_attacked_beside_the_map(told: tuple[Seen, Path]) -> None:
    seen, root = told
    assert len(seen.raw) == 10 * len(story.RAW_RESOLUTIONS)
    four = rate_in(seen.raw, POINTS, HEADLINE)
    assert four.low > 0.9
    html = (root / "index.html").read_text(encoding="utf-8")
    assert f"Four points single out {four.text} of these phones" in html
    assert "by a factor of 2.7 at most" in html


def test_a_folder_in_use_is_left_alone(told: tuple[Seen, Path]) -> None:
    _, root = told
    before = sorted(root.rglob("*"))
    with pytest.raises(UsageError, match="not empty"):
        story.tell(root, devices=10, say=_quiet, bar=_quiet, step=_quiet)
    assert sorted(root.rglob("*")) == before


class _Balance(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        for name in ("src", "href", "srcset", "action"):
            assert name not in names, f"{tag} points somewhere: {names[name]}"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else(told: tuple[Seen, Path]) -> None:
    seen, root = told
    html = (root / "index.html").read_text(encoding="utf-8")
    parser = _Balance()
    parser.feed(html)
    assert parser.open == []
    assert "default-src 'none'" in html
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)
    assert f"{seen.rows:,}" in html
    assert all(refused.message in html for refused in seen.refusals)


def test_a_page_without_a_shown_cell_says_so(told: tuple[Seen, Path]) -> None:
    """What a very small demo comes to."""
    seen, _ = told
    assert seen.release is not None
    rows = seen.release.rows
    for name in ("estimate", "low", "high", "count"):
        place = rows.schema.get_field_index(name)
        rows = rows.set_column(
            place, rows.schema.field(name), pa.nulls(len(rows), rows.schema.field(name).type)
        )
    flags = pa.array([SUPPRESSED] * len(rows))
    rows = rows.set_column(rows.schema.get_field_index("flag"), rows.schema.field("flag"), flags)
    hidden = dataclasses.replace(seen, release=dataclasses.replace(seen.release, rows=rows))
    html = page.render(hidden)
    parser = _Balance()
    parser.feed(html)
    assert parser.open == []
    assert "No cell is shown" in html
    assert '<path class="hex' not in html


def test_the_page_draws_its_map_in_a_browser(told: tuple[Seen, Path], tmp_path: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine: install the Debian package chromium")
    _, root = told
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    found = subprocess.run(
        [chromium, *flags, *quiet, f"--user-data-dir={tmp_path}", "--enable-logging=stderr", "--dump-dom",
         (root / "index.html").as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "Uncaught" not in found.stderr
    assert "Refused to" not in found.stderr
    cells = re.findall(r'<path class="hex[^>]*>', found.stdout)
    assert cells
    assert all(re.search(r'fill="#[0-9a-f]{6}"', cell) for cell in cells)
    assert "95% interval" in re.sub(r"<[^>]*>", " ", found.stdout.split('id="read"')[1][:600])


def test_the_command_prints_one_json_value(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in-use").mkdir()
    assert main.call(["demo", str(tmp_path), "--json"]) == 2
    printed = capsys.readouterr()
    assert printed.out.count('"error"') == 1
