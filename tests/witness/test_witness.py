"""What a witness signs, and what it never does."""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from passersby.errors import OperationError, UsageError
from passersby.trustlog.checkpoint import Checkpoint, VerifierKey, sign
from passersby.trustlog.cosignature import cosigned
from passersby.trustlog.request import AddCheckpoint
from passersby.witness.memory import EMPTY, Memory
from passersby.witness.witness import Witness

NOW = 1_800_000_000
ORIGIN = "example.org/passersby"


def signs(witness: Witness, body: bytes, note: bytes, now: int = NOW) -> bool:
    """Send a request; tell whether the answer is a signature over the note, of this time."""
    reply = witness.add_checkpoint(body, now=now)
    if reply.status != 200:
        return False
    assert cosigned(note + reply.body, [witness.vkey]) == {witness.vkey: now}
    return True


def test_a_log_that_grows_is_signed(witness: Any, tree: Any) -> None:
    old = 0
    for size in (0, 1, 5, 5, 255, 256, 257, 600):
        assert signs(witness, tree.request(old, size), tree.note(size)), size
        old = size


def test_the_first_checkpoint_needs_no_proof_and_takes_none(witness: Any, tree: Any) -> None:
    body = AddCheckpoint(0, (b"\x00" * 32,), tree.note(7)).encode()
    assert witness.add_checkpoint(body, now=NOW).status == 422
    assert signs(witness, tree.request(0, 7), tree.note(7))


def test_a_rewritten_log_is_not_signed_and_kept_as_evidence(
    witness: Any, tree: Any, make_tree: Any, memory: Any
) -> None:
    fork = make_tree(salt=b"forged")
    assert signs(witness, tree.request(0, 300), tree.note(300))
    body = fork.request(300, 310)
    assert witness.add_checkpoint(body, now=NOW + 1).status == 422
    (kept,) = memory.evidence()
    assert (kept.origin, kept.received, kept.request) == (ORIGIN, NOW + 1, body)
    assert signs(witness, tree.request(300, 310), tree.note(310))


def test_a_second_history_of_the_same_size_is_a_conflict(
    witness: Any, tree: Any, make_tree: Any, memory: Any
) -> None:
    fork = make_tree(salt=b"forged")
    assert signs(witness, tree.request(0, 300), tree.note(300))
    reply = witness.add_checkpoint(AddCheckpoint(300, (), fork.note(300)).encode(), now=NOW)
    assert (reply.status, reply.body, reply.content_type) == (409, b"300\n", "text/x.tlog.size")
    assert [found.what for found in memory.evidence()] == ["a second history of 300 entries"]


def test_a_log_that_was_taken_back_is_a_conflict(witness: Any, tree: Any) -> None:
    assert signs(witness, tree.request(0, 20), tree.note(20))
    for old, new in ((10, 20), (0, 10), (10, 10), (0, 0)):
        reply = witness.add_checkpoint(tree.request(old, new), now=NOW)
        assert (reply.status, reply.body, reply.content_type) == (409, b"20\n", "text/x.tlog.size")


def test_an_old_size_above_the_checkpoint_is_a_bad_request(witness: Any, tree: Any) -> None:
    assert witness.add_checkpoint(tree.request(11, 10), now=NOW).status == 400


def test_an_unknown_log_is_not_found(witness: Any, make_tree: Any) -> None:
    other = make_tree(origin="example.org/other")
    assert witness.add_checkpoint(other.request(0, 3), now=NOW).status == 404


def test_a_wrong_key_is_forbidden(witness: Any, make_tree: Any) -> None:
    stranger = make_tree(key=Ed25519PrivateKey.from_private_bytes(b"\x08" * 32))
    assert witness.add_checkpoint(stranger.request(0, 3), now=NOW).status == 403


def test_a_log_may_have_two_keys(memory: Any, tree: Any, make_tree: Any) -> None:
    newer = Ed25519PrivateKey.from_private_bytes(b"\x08" * 32)
    keys = [VerifierKey.of(ORIGIN, tree.key), VerifierKey.of(ORIGIN, newer)]
    witness = Witness("w.example/1", Ed25519PrivateKey.generate(), keys, memory)
    later = make_tree(key=newer)
    assert signs(witness, tree.request(0, 3), tree.note(3))
    assert signs(witness, later.request(3, 5), later.note(5))


@pytest.mark.parametrize(
    "change",
    [
        lambda _: b"",
        lambda body: body.replace(b"old 0", b"old 00"),
        lambda body: body.replace(b"old 0", b"new 0"),
        lambda body: body.replace(b"old 0\n", b"old 0\nAAAA\n"),
        lambda body: body.replace(b"old 0\n", b"old 0\n" + (b"A" * 43 + b"=\n") * 64),
        lambda _: b"old 0\n\n",
        lambda body: body[:-1],
        lambda body: body.replace(b"\n3\n", b"\n03\n"),
    ],
)
def test_what_is_no_request_is_a_bad_request(witness: Any, tree: Any, change: Any, memory: Any) -> None:
    assert witness.add_checkpoint(change(tree.request(0, 3)), now=NOW).status == 400
    assert memory.all_seen() == {}


def test_an_empty_log_has_one_root(witness: Any, tree: Any) -> None:
    forged = sign(Checkpoint(ORIGIN, 0, b"\x01" * 32), tree.key).encode()
    assert witness.add_checkpoint(AddCheckpoint(0, (), forged).encode(), now=NOW).status == 409
    assert tree.root(0) == EMPTY


@settings(max_examples=25)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 40), st.integers(0, 40)), max_size=12))
def test_whatever_is_sent_all_that_is_signed_is_one_history(
    tmp_path_factory: Any, witness_over: Any, make_tree: Any, steps: list[tuple[bool, int, int]]
) -> None:
    """Two histories that part at the first entry: once one was signed, the other never is."""
    memory = Memory.create(tmp_path_factory.mktemp("w") / "memory.db")
    trees = (make_tree(), make_tree(salt=b"forged"))
    signed: list[tuple[int, bool]] = []
    for forged, old, new in steps:
        tree = trees[forged]
        if signs(witness_over(memory), tree.request(old, new), tree.note(new)):
            signed.append((new, forged))
    assert [size for size, _ in signed] == sorted(size for size, _ in signed)
    assert len({forged for size, forged in signed if size}) <= 1


def test_a_restart_forgets_nothing(witness: Any, witness_over: Any, tree: Any, tmp_path: Path) -> None:
    assert signs(witness, tree.request(0, 20), tree.note(20))
    again = witness_over(Memory(tmp_path / "memory.db"))
    assert again.add_checkpoint(tree.request(0, 30), now=NOW).body == b"20\n"
    assert signs(again, tree.request(20, 30), tree.note(30))


def test_of_two_requests_at_once_one_is_signed(
    memory: Any, witness_over: Any, tree: Any, make_tree: Any
) -> None:
    """Both continue nothing; only one of the two histories may be signed."""
    bodies = [tree.request(0, 9), make_tree(salt=b"forged").request(0, 10)] * 8
    together, found = threading.Barrier(len(bodies)), []

    def run(body: bytes) -> None:
        witness = witness_over(memory)
        together.wait()
        found.append((witness.add_checkpoint(body, now=NOW).status, body))

    threads = [threading.Thread(target=run, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({body for status, body in found if status == 200}) == 1


def test_nothing_is_signed_that_cannot_be_remembered(
    witness: Any, tree: Any, memory: Any, tmp_path: Path
) -> None:
    assert signs(witness, tree.request(0, 3), tree.note(3))
    with sqlite3.connect(tmp_path / "memory.db") as connection:
        connection.execute("CREATE TRIGGER full BEFORE INSERT ON head BEGIN SELECT RAISE(FAIL, 'full'); END")
    connection.close()
    with pytest.raises(OperationError, match="nothing was signed"):
        witness.add_checkpoint(tree.request(3, 5), now=NOW)
    assert memory.seen(ORIGIN).size == 3


def test_it_is_on_the_disk_before_the_answer_leaves(
    witness: Any, tree: Any, tmp_path: Path, memory: Any
) -> None:
    assert signs(witness, tree.request(0, 3), tree.note(3))
    child = os.fork()
    if child == 0:  # a process that dies at once sees, and leaves, what was committed
        os._exit(0 if Memory(tmp_path / "memory.db").seen(ORIGIN).size == 3 else 1)
    assert os.waitpid(child, 0)[1] == 0
    connection = sqlite3.connect(tmp_path / "memory.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    with memory._reading() as held:
        assert held.execute("PRAGMA synchronous").fetchone() == (2,)


def test_evidence_has_an_end(witness: Any, tree: Any, make_tree: Any, memory: Any) -> None:
    fork = make_tree(salt=b"forged")
    assert signs(witness, tree.request(0, 3), tree.note(3))
    body = fork.request(3, 4)
    for _ in range(110):
        witness.add_checkpoint(body, now=NOW)
    assert len(memory.evidence()) == 100


def test_a_witness_without_its_memory_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"memory .* is not there") as caught:
        Memory(tmp_path / "memory.db")
    assert "new key" in caught.value.next_step


def test_a_memory_is_never_replaced(tmp_path: Path) -> None:
    Memory.create(tmp_path / "memory.db")
    with pytest.raises(OperationError):
        Memory.create(tmp_path / "memory.db")
    (tmp_path / "memory.db").write_bytes(b"no database " * 1000)
    with pytest.raises(OperationError, match="memory cannot be read"):
        Memory(tmp_path / "memory.db")
