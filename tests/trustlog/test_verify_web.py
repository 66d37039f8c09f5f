"""Verification over HTTP: the same findings as in a folder, whatever the server does."""

from __future__ import annotations

import itertools
import shutil
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

import loopback
from passersby.errors import IntegrityError, OperationError, UsageError
from passersby.trustlog import web
from passersby.trustlog.export import export
from passersby.trustlog.sources import Disk, Web, source_of
from passersby.trustlog.verify import verify_source
from trustlog.witnessed import BOTH, NAMES, NOW, cosign_published


@pytest.fixture
def exported(published: Any, tmp_path: Path) -> Path:
    cosign_published(published, *NAMES)
    export(published.folder, tmp_path / "out", published.vkey)
    return tmp_path / "out"


def test_a_log_on_the_web_is_verified_with_nothing_but_the_key(exported: Path, published: Any) -> None:
    older = (exported / "checkpoint").read_bytes()
    with loopback.static(exported) as url:
        for address in (url, f"{url}/"):
            report = verify_source(source_of(address), published.vkey, quorum=BOTH, older=older)
            assert (report.size, report.entries, report.tiles) == (600, 600, 4)
            assert report.witnessed is not None
            assert report.witnessed.signers == dict.fromkeys(NAMES, NOW)


@pytest.mark.slow
def test_every_file_counts_on_the_web_too(exported: Path, published: Any) -> None:
    names = sorted(str(path.relative_to(exported)) for path in exported.rglob("*") if path.is_file())
    assert len(names) == 1 + 4 + 3 + 3 + 1  # checkpoint, tiles, bundles, pages, witnessed checkpoint
    with loopback.static(exported) as url:
        for name in sorted(set(names) - {"checkpoint.witnessed"}):
            whole = (exported / name).read_bytes()
            changed = bytearray(whole)
            changed[len(whole) // 2] ^= 1
            for damage in (bytes(changed), whole[:-1], whole + b"\x00" * 40, None):
                if damage is None:
                    (exported / name).unlink()
                else:
                    (exported / name).write_bytes(damage)
                if damage is None and name == "public/000.ndjson":  # no public view: not a part of the log
                    verify_source(Web(url), published.vkey)
                    continue
                with pytest.raises(IntegrityError) as caught:
                    verify_source(Web(url), published.vkey, quorum=BOTH)
                assert name in caught.value.message
            (exported / name).write_bytes(whole)
        verify_source(Web(url), published.vkey, quorum=BOTH)


def test_a_fork_on_the_web_is_caught_by_a_kept_checkpoint(published: Any, fork: Any) -> None:
    kept = (published.folder / "checkpoint").read_bytes()
    with loopback.static(fork.folder) as url, pytest.raises(IntegrityError, match="was rewritten"):
        verify_source(Web(url), fork.vkey, older=kept)


@pytest.mark.parametrize("status", [301, 302, 401, 403, 500, 503])
def test_another_status_is_no_damage(published: Any, status: int) -> None:
    with (
        loopback.answering(lambda handler: loopback.reply(handler, status)) as url,
        pytest.raises(OperationError, match=f"status {status}"),
    ):
        verify_source(Web(url), published.vkey)


def test_a_redirect_is_not_followed(published: Any) -> None:
    asked: list[str] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        handler.send_response(301)
        handler.send_header("Location", "/elsewhere")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with loopback.answering(answer) as url, pytest.raises(OperationError):
        verify_source(Web(url), published.vkey)
    assert asked == ["/checkpoint"]


def test_a_server_cannot_fill_the_memory(published: Any) -> None:
    sent = itertools.count()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while next(sent) < 4096:  # 256 MB
                handler.wfile.write(b"x" * 65_536)
        except OSError:
            return

    with loopback.answering(answer) as url, pytest.raises(IntegrityError, match="longer than it can be"):
        verify_source(Web(url), published.vkey)
    assert next(sent) < 1024


def test_compressed_answers_are_not_unpacked(published: Any) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        assert handler.headers["Accept-Encoding"] == "identity"
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", "4")
        handler.end_headers()
        handler.wfile.write(b"\x1f\x8b\x08\x00")

    with loopback.answering(answer) as url, pytest.raises(IntegrityError, match="the note is not UTF-8"):
        verify_source(Web(url), published.vkey)


def test_a_server_that_trickles_is_given_up(published: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "_ANSWER_S", 0.1)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            for _ in range(400):
                handler.wfile.write(b"x")
                time.sleep(0.02)
        except OSError:
            return

    begun = time.monotonic()
    with loopback.answering(answer) as url, pytest.raises(OperationError, match="too slowly"):
        verify_source(Web(url), published.vkey)
    assert time.monotonic() - begun < 7


def test_a_server_that_breaks_off_is_no_damage(published: Any) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b"half")
        handler.close_connection = True

    with loopback.answering(answer) as url, pytest.raises(OperationError, match="broke off"):
        verify_source(Web(url), published.vkey)


def test_nobody_there_is_said() -> None:
    with loopback.static(Path()) as url:
        pass
    with pytest.raises(OperationError, match="cannot be reached"):
        Web(url).read("checkpoint", 10)


def test_what_is_no_place_is_said(tmp_path: Path, exported: Path, published: Any) -> None:
    for place in (
        "http://",
        "https://user:word@host/",
        "https://host/?x=1",
        "https://host/#x",
        "http://[::1",
    ):
        with pytest.raises(UsageError, match="web address"):
            source_of(place)
    with pytest.raises(UsageError, match="There is no folder"):
        source_of(str(tmp_path / "nowhere"))
    shutil.rmtree(exported / "tile")
    with pytest.raises(IntegrityError, match="is missing"):
        verify_source(source_of(str(exported)), published.vkey)
    assert isinstance(source_of(str(exported)), Disk)
