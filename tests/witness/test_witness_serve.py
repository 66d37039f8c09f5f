"""The witness on HTTP, and its folder."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path
from typing import Any

import pytest

import loopback
from passersby.errors import BadRecord, OperationError, UsageError
from passersby.trustlog.checkpoint import VerifierKey
from passersby.trustlog.cosignature import cosigned
from passersby.trustlog.web import Site
from passersby.witness import folder, serve
from passersby.witness.witness import Reply


def test_a_signature_comes_over_http(witness: Any, tree: Any) -> None:
    with loopback.serving(witness) as url:
        for path in ("add-checkpoint", "below/some/prefix/add-checkpoint"):
            answer = Site(url).post(path, tree.request(0, 0), 1 << 16)
            assert answer.status == 200
            assert witness.vkey in cosigned(tree.note(0) + answer.body, [witness.vkey])
        assert Site(url).post("add-checkpoint", tree.request(0, 5), 1 << 16).status == 200
        conflict = Site(url).post("add-checkpoint", tree.request(0, 5), 1 << 16)
        assert (conflict.status, conflict.content_type, conflict.body) == (409, "text/x.tlog.size", b"5\n")


def test_nothing_else_is_there(witness: Any) -> None:
    with loopback.serving(witness) as url:
        assert Site(url).get("", 100).status == 404
        assert Site(url).get("add-checkpoint", 100).status == 405
        assert Site(url).post("add-checkpoint", b"x" * 70_000, 100).status == 413
        assert Site(url).post("add-checkpoint", b"x", 100).status == 400


def test_a_request_that_never_ends_is_given_up(witness: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "_BODY_S", 0.2)
    with loopback.serving(witness) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: 100\r\n\r\nold")
            connection.settimeout(10)
            assert b" 408 " in connection.recv(4096)


def test_a_memory_that_fails_is_told_without_its_reason() -> None:
    class Failing:
        def add_checkpoint(self, _body: bytes, **_: int) -> Reply:
            raise OperationError("/secret/path", "")

    sent: list[Any] = []

    async def receive() -> Any:
        return {"body": b"x", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"path": "/add-checkpoint", "method": "POST"}
    application = serve.Application(Failing(), time.time)  # type: ignore[arg-type]  # a fake
    asyncio.run(application(scope, receive, send))
    assert sent[0]["status"] == 500
    assert b"secret" not in sent[1]["body"]


def test_a_port_that_is_taken_is_said() -> None:
    with serve.listen("127.0.0.1", 0) as first, pytest.raises(UsageError, match="cannot be listened on"):
        serve.listen("127.0.0.1", first.getsockname()[1])


def test_a_folder_is_made_and_read(tmp_path: Path, tree: Any) -> None:
    place = tmp_path / "w"
    vkey = folder.create(place, "w.example/1")
    assert folder.load(place).vkey == vkey
    assert folder.load(place).logs == ()
    settings = place / folder.SETTINGS
    log = VerifierKey.of(tree.origin, tree.key)
    settings.write_text(settings.read_text().replace("logs = [", f'logs = [\n  "{log.encode()}",'))
    assert folder.load(place).logs == (log,)
    for path in (place, *place.iterdir()):
        assert path.stat().st_mode & 0o077 == 0, path
    settings.write_text(settings.read_text().replace(log.encode(), log.encode()[:-3]))
    with pytest.raises(UsageError, match="not a verifier key of a log"):
        folder.load(place)
    settings.write_text("name = 1\n")
    with pytest.raises(BadRecord):
        folder.load(place)


@pytest.mark.parametrize("name", ["", "two words", "a+b"])
def test_a_witness_needs_a_proper_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="name of a witness"):
        folder.create(tmp_path / "w", name)
    assert not (tmp_path / "w").exists()


def test_a_folder_is_never_made_twice(tmp_path: Path) -> None:
    folder.create(tmp_path / "w", "w.example/1")
    with pytest.raises(UsageError, match="is not empty"):
        folder.create(tmp_path / "w", "w.example/1")
    with pytest.raises(UsageError, match="no witness in"):
        folder.load(tmp_path)
