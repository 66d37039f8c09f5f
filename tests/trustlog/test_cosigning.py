"""A log and its witnesses: who is asked, what is published, and what fails closed."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

import loopback
from passersby.errors import IntegrityError, Refusal, UsageError
from passersby.store.tables import LogEntry
from passersby.store.witness_tables import Witness
from passersby.trustlog import cosigning as module
from passersby.trustlog.cosigning import PROBLEMS, Cosigning, Outside
from passersby.trustlog.heads import ALONE, Quorum
from passersby.trustlog.publish import Publisher
from passersby.trustlog.verify import verify_folder
from passersby.trustlog.web import Site
from trustlog.witnessed import BOTH, KEYS, LOG_KEY, NAMES, NOW, ORIGIN, cosign_published, make_witness

pytestmark = pytest.mark.slow


class Asking:
    """A log with two witnesses on the loopback interface; each can be switched off."""

    def __init__(self, log: Any, folder: Path, stack: contextlib.ExitStack) -> None:
        self.log, self.folder, self.stack = log, folder, stack
        self.urls: dict[str, str] = {}
        self._running: dict[str, contextlib.ExitStack] = {}
        for name in NAMES:
            self.start(name)

    def start(self, name: str) -> None:
        mine = self.stack.enter_context(contextlib.ExitStack())
        witness = make_witness(self.folder, name)
        for log in witness.logs:
            assert log.name == ORIGIN
        self.urls[name] = mine.enter_context(loopback.serving(witness))
        self._running[name] = mine

    def stop(self, name: str) -> None:
        self._running.pop(name).close()

    def cosigning(
        self, quorum: Quorum = BOTH, *, demo: bool = False, folder: Path | None = None
    ) -> Cosigning:
        publisher = Publisher(folder or self.log.folder, ORIGIN, LOG_KEY, quorum=quorum)
        outside = [Outside(key, Site(self.urls[key.name], wait_s=5)) for key in quorum.witnesses]
        return Cosigning(self.log.database, publisher, outside, demo=demo)

    def standing(self) -> Any:
        return Publisher(self.log.folder, ORIGIN, LOG_KEY, quorum=BOTH).standing()


@pytest.fixture
def asking(log: Any, tmp_path: Path) -> Iterator[Asking]:
    with contextlib.ExitStack() as stack:
        yield Asking(log, tmp_path, stack)


def test_both_witnesses_sign_as_the_log_grows(asking: Asking) -> None:
    for count in (3, 250, 10, 300):
        asking.log.grown(count)
        assert not asking.standing().whole
        asking.cosigning().ask(now=NOW)
        standing = asking.standing()
        assert standing.whole
        assert set(standing.witnessed.signers) == set(NAMES)
        report = verify_folder(asking.log.folder, asking.log.vkey, quorum=BOTH)
        assert report.witnessed == standing.witnessed
    assert asking.cosigning().problems() == {}
    assert standing.text == "2 of 2 outside witnesses must sign this log; 2 signed all 563 published entries."


def test_publishing_goes_on_without_witnesses_and_says_so(asking: Asking) -> None:
    asking.log.grown(5)
    asking.cosigning().ask(now=NOW)
    asking.stop(NAMES[0])
    asking.log.grown(5)
    asking.cosigning().ask(now=NOW)
    standing = asking.standing()
    assert (standing.size, standing.witnessed.size) == (10, 5)
    assert "signed 5 of 10 entries: the operator could rewrite entries from 5 on" in standing.text
    assert "could rewrite it" in standing.limit
    assert asking.cosigning().problems() == {NAMES[0]: PROBLEMS["away"]}
    report = verify_folder(asking.log.folder, asking.log.vkey, quorum=BOTH)
    assert (report.size, report.witnessed and report.witnessed.size) == (10, 5)
    asking.start(NAMES[0])
    asking.cosigning().ask(now=NOW, force=True)
    assert asking.standing().whole
    publisher = Publisher(asking.log.folder, ORIGIN, LOG_KEY, quorum=BOTH)
    assert publisher.limit() == "What 2 of 2 outside witnesses did not sign, the operator could rewrite."
    asking.log.grown(1)
    assert "were away at the release: the operator could rewrite it" in publisher.limit()


def test_a_witness_that_was_away_is_asked_later_and_later(asking: Asking) -> None:
    asking.log.grown(5)
    asking.stop(NAMES[0])
    asked: list[int] = []
    for now in range(NOW, NOW + 600, 20):
        before = asking.cosigning().problems()
        asking.cosigning().ask(now=now)
        with asking.log.database.read() as session:
            row = session.get(Witness, KEYS[0].encode())
            assert row is not None
            if row.tried == now:
                asked.append(now - NOW)
        assert now == NOW or before == {NAMES[0]: PROBLEMS["away"]}
    assert asked == [0, 60, 180, 420]


def test_a_witness_that_does_not_answer_is_not_waited_for(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking.log.grown(5)
    monkeypatch.setattr(module, "_PATIENCE_S", 0.3)
    listening = asking.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    asking.urls[NAMES[0]] = f"http://127.0.0.1:{listening.getsockname()[1]}"
    asking.cosigning().ask(now=NOW)
    assert asking.cosigning().problems() == {NAMES[0]: PROBLEMS["away"]}


def test_require_quorum_takes_what_the_witnesses_signed(asking: Asking) -> None:
    asking.log.add(5)
    signed = asking.cosigning().require_quorum(4, now=int(time.time()))
    assert signed is not None
    assert (signed.size, set(signed.signers)) == (5, set(NAMES))


@pytest.mark.parametrize("away", NAMES)
def test_without_a_quorum_nothing_goes_on(asking: Asking, away: str) -> None:
    asking.log.grown(5)
    now = int(time.time())
    asking.cosigning().require_quorum(4, now=now)
    asking.stop(away)
    asking.log.add(1)
    with pytest.raises(Refusal) as caught:
        asking.cosigning().require_quorum(5, now=now)
    assert caught.value.code == "witnesses-away"
    one = Quorum(KEYS, 1)
    assert asking.cosigning(one).require_quorum(5, now=now) is not None


def test_an_entry_beyond_the_log_is_not_covered(asking: Asking) -> None:
    asking.log.grown(5)
    with pytest.raises(Refusal, match="newest checkpoint"):
        asking.cosigning().require_quorum(5, now=int(time.time()))


def test_an_old_signature_is_renewed_or_does_not_count(asking: Asking) -> None:
    asking.log.grown(5)
    now = int(time.time())
    cosign_published(asking.log, *NAMES, now=now - 7200)
    signed = asking.cosigning().require_quorum(4, now=now)
    assert signed is not None
    assert min(signed.signers.values()) >= now - 60
    cosign_published(asking.log, *NAMES, now=now - 7200)
    asking.stop(NAMES[1])
    with pytest.raises(Refusal):
        asking.cosigning().require_quorum(4, now=now)


def test_a_signature_from_the_future_does_not_count(asking: Asking) -> None:
    asking.log.grown(5)
    now = int(time.time())
    for name in NAMES:
        asking.stop(name)
    cosign_published(asking.log, *NAMES, now=now + 7200)
    with pytest.raises(Refusal):
        asking.cosigning().require_quorum(4, now=now)


def test_with_no_quorum_only_a_demo_goes_on(asking: Asking) -> None:
    asking.log.grown(5)
    with pytest.raises(Refusal) as caught:
        asking.cosigning(Quorum()).require_quorum(4, now=NOW)
    assert caught.value.code == "no-witness"
    with pytest.raises(Refusal):
        asking.cosigning(Quorum(KEYS, 0)).require_quorum(4, now=NOW)
    assert asking.cosigning(Quorum(), demo=True).require_quorum(4, now=NOW) is None
    asking.stop(NAMES[0])
    with pytest.raises(Refusal):  # a demo that has a quorum keeps to it
        asking.cosigning(demo=True).require_quorum(4, now=NOW)
    assert asking.log.publisher.limit() == ALONE


def test_a_second_history_gets_no_signature(asking: Asking, make_log: Any) -> None:
    """The operator rewrites the log from the first entry on, with its own key, and asks again."""
    asking.log.grown(300)
    asking.cosigning().ask(now=NOW)
    forged = make_log()
    forged.add(300, forged="yes")
    forged.publish()
    asking.log = forged
    asking.cosigning().ask(now=NOW)
    assert asking.cosigning().problems() == dict.fromkeys(NAMES, PROBLEMS["differs"])
    assert asking.standing().witnessed is None
    forged.add(10)
    forged.publish()
    asking.cosigning().ask(now=NOW, force=True)
    assert asking.cosigning().problems() == dict.fromkeys(NAMES, PROBLEMS["differs"])
    with pytest.raises(
        IntegrityError, match="Too few witnesses signed this log: 2 are needed, its checkpoint has none"
    ):
        verify_folder(forged.folder, forged.vkey, quorum=BOTH)
    with pytest.raises(Refusal):
        asking.cosigning().require_quorum(3, now=NOW)


def test_a_log_that_was_taken_back_gets_no_signature(asking: Asking, make_log: Any) -> None:
    asking.log.grown(300)
    asking.cosigning().ask(now=NOW)
    shorter = make_log().grown(200)
    asking.log = shorter
    asking.cosigning().ask(now=NOW)
    assert asking.cosigning().problems() == dict.fromkeys(NAMES, PROBLEMS["ahead"])


@pytest.mark.parametrize(
    ("status", "body", "kind", "problem"),
    [
        (200, b"", "text/plain", "broken"),
        (200, b"\xff\xfe", "text/plain", "broken"),
        (200, b"x" * 100_000, "text/plain", "broken"),
        (403, b"", "text/plain", "unknown"),
        (404, b"", "text/plain", "unknown"),
        (409, b"3\n", "text/plain", "differs"),
        (409, b"five\n", "text/x.tlog.size", "differs"),
        (409, b"99999999999999999999\n", "text/x.tlog.size", "differs"),
        (409, b"900\n", "text/x.tlog.size", "ahead"),
        (409, b"2\n", "text/x.tlog.size", "differs"),
        (422, b"", "text/plain", "differs"),
        (302, b"", "text/plain", "broken"),
        (500, b"", "text/plain", "away"),
        (429, b"", "text/plain", "away"),
    ],
)
def test_every_answer_of_a_witness_has_a_name(
    asking: Asking, status: int, body: bytes, kind: str, problem: str
) -> None:
    asking.log.grown(5)
    with loopback.answering(lambda handler: loopback.reply(handler, status, body, kind)) as url:
        asking.urls[NAMES[0]] = url
        asking.cosigning().ask(now=NOW)
    assert asking.cosigning().problems() == {NAMES[0]: PROBLEMS[problem]}
    assert asking.standing().witnessed is None


def test_a_signature_for_an_older_checkpoint_is_not_put_under_a_newer_one(asking: Asking) -> None:
    asking.log.grown(5)
    note = (asking.log.folder / "checkpoint").read_bytes()
    asking.log.grown(5)
    newer = (asking.log.folder / "checkpoint").read_bytes()
    publisher = Publisher(asking.log.folder, ORIGIN, LOG_KEY, quorum=BOTH)
    publisher.add_cosignatures(note, {KEYS[0]: "\u2014 w.example/1 AAAAAAAA\n"})
    assert (asking.log.folder / "checkpoint").read_bytes() == newer


def test_publishing_again_keeps_the_signatures(asking: Asking) -> None:
    asking.log.grown(5)
    asking.cosigning().ask(now=NOW)
    before = (asking.log.folder / "checkpoint").read_bytes()
    asking.log.publish()
    asking.cosigning().ask(now=NOW + 9)
    assert (asking.log.folder / "checkpoint").read_bytes() == before


def kinds(log: Any) -> list[dict[str, Any]]:
    with log.database.read() as session:
        bodies = session.scalars(select(LogEntry.body).order_by(LogEntry.index))
        return [entry for entry in map(json.loads, bodies) if entry["kind"] == "witnesses.changed"]


def test_each_change_of_the_witnesses_is_in_the_log(asking: Asking) -> None:
    asking.cosigning().declare(now=NOW)
    assert kinds(asking.log) == []  # the log's first entry is another one
    asking.log.add(1)
    for quorum in (Quorum(), BOTH, BOTH, Quorum(KEYS, 1), Quorum(KEYS[:1], 1), Quorum()):
        asking.cosigning(quorum).declare(now=NOW)
    told = [(len(entry["witnesses"]), entry["quorum"]) for entry in kinds(asking.log)]
    assert told == [(2, 2), (2, 1), (1, 1), (0, 0)]
    assert kinds(asking.log)[0]["witnesses"] == sorted(key.encode() for key in KEYS)


@pytest.mark.parametrize(
    "line", ["", "https://w.example", f"{KEYS[0].encode()}", f"{KEYS[0].encode()} ftp://x"]
)
def test_a_malformed_witness_is_refused(line: str) -> None:
    with pytest.raises(UsageError):
        Outside.parse(line)
    assert Outside.parse(f"{KEYS[0].encode()} https://w.example/x").key == KEYS[0]
