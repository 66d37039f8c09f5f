"""The exported copy: what is in it, what is not, and how it grows."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from passersby.errors import IntegrityError, UsageError
from passersby.trustlog.export import export
from passersby.trustlog.kinds import KINDS
from passersby.trustlog.tiles import TileBuilder, tiles
from passersby.trustlog.verify import reveal, verify_folder
from trustlog.witnessed import BOTH, NAMES, cosign_published


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def lines(folder: Path) -> list[dict[str, Any]]:
    pages = sorted((folder / "public").rglob("*.ndjson"), key=lambda p: (p.parts, p.name))
    newest = [p for p in pages if p.parent.suffix != ".p"]
    newest += sorted((p for p in pages if p.parent.suffix == ".p"), key=lambda p: int(p.stem))[-1:]
    return [json.loads(line) for page in newest for line in page.read_text().splitlines()]


def test_a_copy_verifies_and_holds_every_entry(published: Any, tmp_path: Path) -> None:
    cosign_published(published, *NAMES)
    made = export(published.folder, tmp_path / "out", published.vkey)
    assert made.head.size == 600
    report = verify_folder(tmp_path / "out", published.vkey, quorum=BOTH)
    assert report.witnessed is not None
    assert (report.size, report.witnessed.size) == (600, 600)
    assert [line["index"] for line in lines(tmp_path / "out")] == list(range(600))


def test_the_public_view_shows_public_fields_alone(published: Any, tmp_path: Path) -> None:
    export(published.folder, tmp_path / "out", published.vkey)
    for line in lines(tmp_path / "out"):
        assert set(line) == {"index", "entry", "hidden"}
        assert set(line["entry"]) - {"kind", "time"} == set(KINDS[line["entry"]["kind"]])
        assert line["hidden"] == 2
        assert line["entry"]["delivery"] == line["index"] % 590


def test_no_salt_no_value_and_no_key_is_in_it(log: Any, tmp_path: Path) -> None:
    log.add(300, ids="38400000-8cf0-11bd-b23e-10b96e40000d")
    log.publish()
    export(log.folder, tmp_path / "out", log.vkey)
    everything = b"".join(files(tmp_path / "out").values())
    with log.database.read() as session:
        fields = [field for index in range(300) for field in reveal(session, index)]
    assert len(fields) == 900
    assert not [field for field in fields if field.salt.encode() in everything]
    assert b"38400000" not in everything
    assert b"held back" not in everything
    public_key = log.vkey.rpartition("+")[2].encode()
    assert public_key not in everything


def test_a_copy_is_readable_by_a_web_server_whatever_the_mask(published: Any, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        export(published.folder, tmp_path / "out", published.vkey)
    finally:
        os.umask(before)
    for path in [tmp_path / "out", *(tmp_path / "out").rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path


def test_a_copy_grows_and_what_is_right_is_left_alone(log: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for count in (10, 240, 0, 6, 300):
        log.grown(count)
        before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
        made = export(log.folder, out, log.vkey)
        kept = [path for path, time in before.items() if path.exists() and path.stat().st_mtime_ns == time]
        assert verify_folder(out, log.vkey).size == made.head.size == len(lines(out))
        assert count or made.written == 0
    assert out / "tile/0/000" in kept
    assert not (out / "public/000.p").exists()


def test_a_copy_of_a_log_that_was_rewritten_is_not_touched(published: Any, fork: Any, tmp_path: Path) -> None:
    export(published.folder, tmp_path / "out", published.vkey)
    before = files(tmp_path / "out")
    with pytest.raises(IntegrityError, match="was rewritten"):
        export(fork.folder, tmp_path / "out", fork.vkey)
    assert files(tmp_path / "out") == before


def test_a_damaged_log_is_not_exported(published: Any, tmp_path: Path) -> None:
    path = published.folder / "tile/0/001"
    path.write_bytes(path.read_bytes()[::-1])
    with pytest.raises(IntegrityError, match="tile/0/001"):
        export(published.folder, tmp_path / "out", published.vkey)
    assert not (tmp_path / "out").exists()


def test_nothing_of_others_is_written_over(published: Any, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "index.html").write_text("mine")
    with pytest.raises(UsageError, match="something else"):
        export(published.folder, tmp_path / "out", published.vkey)
    with pytest.raises(UsageError, match="something else"):
        export(published.folder, tmp_path / "out" / "index.html", published.vkey)
    (tmp_path / "out" / "index.html").unlink()
    export(published.folder, tmp_path / "out", published.vkey)


def test_a_killed_export_leaves_the_earlier_copy_whole(
    log: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.grown(250)
    export(log.folder, tmp_path / "out", log.vkey)
    log.grown(50)
    real, left = os.replace, [5]

    class Killed(BaseException):
        pass

    def dying(source: Any, target: Any) -> None:
        left[0] -= 1
        if not left[0]:
            raise Killed
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", dying)
        with pytest.raises(Killed):
            export(log.folder, tmp_path / "out", log.vkey)
    assert verify_folder(tmp_path / "out", log.vkey).size == 250
    export(log.folder, tmp_path / "out", log.vkey)
    assert verify_folder(tmp_path / "out", log.vkey).size == 300


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 65_536, 66_000])
def test_the_list_of_tiles_is_that_of_the_builder(size: int) -> None:
    builder = TileBuilder()
    made = [place for _ in range(size) for place, _ in builder.add(b"\x00" * 32)]
    made += [place for place, _ in builder.partial()]
    assert sorted(map(vars, made), key=str) == sorted(map(vars, tiles(size)), key=str)
