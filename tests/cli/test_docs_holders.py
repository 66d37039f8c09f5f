"""The page for holders of devices is followed to its end: shown, withdrawn, erased, proven."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from cli.test_docs import DOCS
from cli.test_docs_orders import follow
from passersby.gate import gate
from passersby.subjects import proofs, receipts

PAGE = DOCS / "how-to" / "withdraw-and-erase.md"


@pytest.mark.slow
def test_withdraw_and_erase_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("the program `openssl` is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gate, "TICK_S", 0.001)
    for name in ("PASSERSBY_DEPLOYMENT", "PASSERSBY_KEY"):
        monkeypatch.setenv(name, "")
    section = PAGE.read_text(encoding="utf-8").partition("## Try it")[2].replace("\\\n", " ")
    ran = 0
    for line in re.findall(r"^    (\S.*)$", section, flags=re.MULTILINE):
        ran += line.startswith("passersby ")
        follow(tmp_path, line if "od -An" in line else " ".join(line.split()))
    assert ran == 15
    vkey = (tmp_path / "try" / "deployment" / "log.vkey").read_text().strip()
    kinds = [
        receipts.check((tmp_path / f"{n}.json").read_bytes(), vkey).kind for n in ("withdrawn", "erased")
    ]
    assert kinds == ["subject.withdrawn", "subject.erased"]


def test_the_reference_describes_every_field() -> None:
    page = (DOCS / "reference" / "holder-proof.md").read_text(encoding="utf-8")
    assert [name for name in (*proofs.FIELDS, *proofs.WHAT) if f"`{name}`" not in page] == []
    example = json.loads(page.partition("```json\n")[2].partition("```")[0])
    assert set(example) == {*proofs.FIELDS, "signature"}
    for name in ("format", "says", "outside", "salt", "log"):
        assert f"`{name}`" in page
    for line in receipts.OUTSIDE:
        assert line in (DOCS / "explanation" / "holders.md").read_text(encoding="utf-8").replace("\n  ", " ")
