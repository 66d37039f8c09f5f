"""Verification: whatever is changed in the folder or the database is caught, and named."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, text, update

from passersby.errors import IntegrityError, OperationError
from passersby.store.tables import LogEntry, LogSalt, LogState
from passersby.trustlog.checkpoint import Checkpoint, VerifierKey, sign
from passersby.trustlog.entries import stored
from passersby.trustlog.hashing import frontier_root, grow, leaf_hash, split
from passersby.trustlog.tiles import Place, decode_bundle, encode_bundle
from passersby.trustlog.verify import Report, verify_database, verify_folder

KEY = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
ORIGIN = "example.org/passersby"


def all_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def resign(folder: Path, size: int, root: bytes) -> None:
    """Sign a checkpoint as the operator could."""
    (folder / "checkpoint").write_text(sign(Checkpoint(ORIGIN, size, root), KEY), encoding="utf-8")


def test_the_report_says_what_was_checked(published: Any) -> None:
    report = verify_folder(published.folder, published.vkey)
    # level 0: 2 full, p/88 and the earlier p/78; level 1: p/2 of both checkpoints is one file
    assert report == Report(ORIGIN, 600, report.root, 600, 5)
    note = (published.folder / "checkpoint").read_text(encoding="utf-8")
    assert base64.b64decode(note.splitlines()[2]).hex() == report.root


def test_the_database_report_counts_what_is_not_published_yet(published: Any) -> None:
    published.add(7)
    report = verify_database(published.database, published.folder, published.vkey)
    assert (report.size, report.unpublished) == (600, 7)


@settings(max_examples=60)
@given(st.data())
def test_no_byte_of_any_file_can_change(published: Any, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(all_files(published.folder)))
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(changed))
    try:
        with pytest.raises(IntegrityError) as caught:
            verify_folder(published.folder, published.vkey)
    finally:
        path.write_bytes(whole)
    assert str(path.relative_to(published.folder)) in caught.value.message


def test_every_file_can_be_missing_and_is_named(published: Any) -> None:
    earlier = {"tile/0/002.p/78", "tile/entries/002.p/78"}
    for path in all_files(published.folder):
        name = str(path.relative_to(published.folder))
        whole = path.read_bytes()
        path.unlink()
        if name in earlier:
            verify_folder(published.folder, published.vkey)
        else:
            with pytest.raises(IntegrityError, match=f"{name.replace('.', '[.]')} is missing"):
                verify_folder(published.folder, published.vkey)
        path.write_bytes(whole)


def test_every_file_can_be_cut_short_and_is_named(published: Any) -> None:
    for path in all_files(published.folder):
        name = str(path.relative_to(published.folder))
        whole = path.read_bytes()
        for cut in (whole[:-1], whole[: len(whole) // 2], b""):
            path.write_bytes(cut)
            with pytest.raises(IntegrityError, match=name.replace(".", "[.]")):
                verify_folder(published.folder, published.vkey)
        path.write_bytes(whole)


def test_more_bytes_than_there_should_be_are_caught(published: Any) -> None:
    for name in ("tile/0/000", "tile/entries/002.p/88", "tile/1/000.p/2"):
        path = published.folder / name
        whole = path.read_bytes()
        path.write_bytes(whole + encode_bundle([b"{}"]) * 8)
        with pytest.raises(IntegrityError, match=name.replace(".", "[.]")):
            verify_folder(published.folder, published.vkey)
        path.write_bytes(whole)


def bundle(log: Any, place: Place) -> list[bytes]:
    return decode_bundle((log.folder / place.path).read_bytes(), place)


def test_reordered_entries_are_caught_at_the_first(published: Any) -> None:
    place = Place(-1, 1)
    entries = bundle(published, place)
    entries[3], entries[9] = entries[9], entries[3]
    (published.folder / place.path).write_bytes(encode_bundle(entries))
    with pytest.raises(IntegrityError, match="tile/entries/001 holds another entry 259 than"):
        verify_folder(published.folder, published.vkey)


def test_a_changed_tile_is_told_from_a_changed_entry(published: Any) -> None:
    path = published.folder / "tile/0/001"
    hashes = split(path.read_bytes())
    hashes[7] = leaf_hash(b"forged")
    path.write_bytes(b"".join(hashes))
    with pytest.raises(IntegrityError, match="tile/0/001 holds a wrong hash at position 7"):
        verify_folder(published.folder, published.vkey)


def forge(log: Any, index: int) -> None:
    """Change an entry and its level 0 tile together."""
    n, offset = divmod(index, 256)
    entries = bundle(log, Place(-1, n))
    entries[offset] = b'{"forged":true}'
    (log.folder / Place(-1, n).path).write_bytes(encode_bundle(entries))
    (log.folder / Place(0, n).path).write_bytes(b"".join(leaf_hash(entry) for entry in entries))


def test_an_entry_changed_with_its_tile_is_caught_a_level_up(published: Any) -> None:
    forge(published, 300)
    with pytest.raises(IntegrityError, match="tile/0/001 and the entries below it were changed together"):
        verify_folder(published.folder, published.vkey)


def test_entries_and_all_tiles_changed_together_are_caught_by_the_checkpoint(
    published: Any, fork: Any
) -> None:
    shutil.rmtree(published.folder / "tile")
    shutil.copytree(fork.folder / "tile", published.folder / "tile")
    with pytest.raises(IntegrityError, match="checkpoint has another root hash"):
        verify_folder(published.folder, published.vkey)


def test_a_wrong_tile_above_level_0_is_named(published: Any) -> None:
    path = published.folder / "tile/1/000.p/2"
    path.write_bytes(path.read_bytes()[::-1])
    with pytest.raises(IntegrityError, match=r"tile/1/000\.p/2 holds a wrong hash at position 0"):
        verify_folder(published.folder, published.vkey)


@pytest.mark.parametrize("size", [599, 601, 256, 1_000_000])
def test_a_forged_size_is_caught_even_when_signed(published: Any, size: int) -> None:
    root = bytes.fromhex(verify_folder(published.folder, published.vkey).root)
    resign(published.folder, size, root)
    with pytest.raises(IntegrityError):
        verify_folder(published.folder, published.vkey)


def test_a_checkpoint_of_a_stranger_is_caught(published: Any) -> None:
    stranger = VerifierKey.of(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"\x08" * 32)).encode()
    with pytest.raises(IntegrityError, match="no signature of the log's key"):
        verify_folder(published.folder, stranger)


def test_a_folder_without_a_log_is_said(tmp_path: Path, log: Any) -> None:
    with pytest.raises(IntegrityError, match="checkpoint is missing"):
        verify_folder(tmp_path, log.vkey)
    with pytest.raises(IntegrityError, match="checkpoint is missing"):
        verify_folder(tmp_path / "nowhere", log.vkey)


@pytest.mark.parametrize("name", ["checkpoint", "tile/0/000"])
def test_a_file_that_cannot_be_read_is_no_integrity_error(published: Any, name: str) -> None:
    (published.folder / name).unlink()
    (published.folder / name).mkdir()
    with pytest.raises(OperationError, match="cannot be read"):
        verify_folder(published.folder, published.vkey)


def test_files_of_others_in_the_folder_are_passed_over(published: Any) -> None:
    (published.folder / "index.html").write_bytes(b"<html>")
    (published.folder / "tile/0/002.p/.DS_Store").write_bytes(b"")
    assert verify_folder(published.folder, published.vkey).size == 600


def test_tiles_that_no_checkpoint_covers_yet_are_passed_over(published: Any) -> None:
    (published.folder / "tile/0/003.p").mkdir()
    (published.folder / "tile/0/003.p/9").write_bytes(b"\x00" * 288)
    (published.folder / "tile/0/002.p/99").write_bytes(b"\x00" * 32 * 99)
    assert verify_folder(published.folder, published.vkey).size == 600


def test_a_full_tile_stands_in_for_its_partial_one(published: Any) -> None:
    note = (published.folder / "checkpoint").read_bytes()
    published.grown(300)
    (published.folder / "checkpoint").write_bytes(note)
    assert not (published.folder / "tile/0/002.p").exists()
    assert verify_folder(published.folder, published.vkey).size == 600


def test_the_log_continues_a_saved_checkpoint(log: Any) -> None:
    saved = []
    for count in (0, 1, 255, 44, 0):
        log.grown(count)
        saved.append((log.folder / "checkpoint").read_bytes())
    for older in saved:
        assert verify_folder(log.folder, log.vkey, older=older).size == 300
        verify_database(log.database, log.folder, log.vkey, older=older)


@pytest.mark.parametrize("size", [10, 256, 600])
def test_a_forked_history_is_caught_by_a_saved_checkpoint(log: Any, fork: Any, size: int) -> None:
    log.grown(size)
    saved = (log.folder / "checkpoint").read_bytes()
    assert verify_folder(fork.folder, fork.vkey).size == 600
    with pytest.raises(IntegrityError, match=f"rewritten: its first {size} entries"):
        verify_folder(fork.folder, fork.vkey, older=saved)


def test_a_log_that_was_taken_back_is_caught_by_a_saved_checkpoint(log: Any) -> None:
    log.grown(10)
    before = (log.folder / "checkpoint").read_bytes()
    log.grown(10)
    saved = (log.folder / "checkpoint").read_bytes()
    (log.folder / "checkpoint").write_bytes(before)
    assert verify_folder(log.folder, log.vkey).size == 10
    with pytest.raises(IntegrityError, match="taken back"):
        verify_folder(log.folder, log.vkey, older=saved)


def test_a_saved_checkpoint_must_be_signed_too(log: Any) -> None:
    log.grown(10)
    forged = sign(Checkpoint(ORIGIN, 5, b"\x00" * 32), Ed25519PrivateKey.from_private_bytes(b"\x08" * 32))
    with pytest.raises(IntegrityError, match="The saved checkpoint: the note carries no signature"):
        verify_folder(log.folder, log.vkey, older=forged.encode())


def test_a_swapped_database_is_caught(published: Any, fork: Any) -> None:
    with pytest.raises(IntegrityError, match="Log entry 0 in the database is not the published one"):
        verify_database(fork.database, published.folder, published.vkey)


def test_a_database_that_is_behind_is_caught(log: Any, published: Any) -> None:
    log.add(10)
    with pytest.raises(IntegrityError, match="covers 600 log entries, the database holds 10"):
        verify_database(log.database, published.folder, published.vkey)


def rewrite(log: Any, index: int, body: bytes, *, state: bool) -> None:
    """Edit an entry as a database administrator would: body and leaf hash, and the state where asked."""
    with log.database.write() as session:
        change = update(LogEntry).where(LogEntry.index == index)
        session.execute(change.values(body=body, leaf=leaf_hash(body)))
        if state:
            size = session.execute(text("select size from log_state")).scalar_one()
            frontier: list[bytes] = []
            for i, entry in enumerate(stored(session, 0, size)):
                grow(frontier, i, leaf_hash(entry))
            session.execute(update(LogState).values(frontier=b"".join(frontier)))


@pytest.mark.parametrize("state", [True, False])
def test_a_rewritten_published_entry_is_caught(published: Any, state: bool) -> None:
    rewrite(published, 17, b"{}", state=state)
    with pytest.raises(IntegrityError, match="Log entry 17 in the database is not the published one"):
        verify_database(published.database, published.folder, published.vkey)


def test_a_rewritten_unpublished_entry_is_caught_by_the_state(published: Any) -> None:
    published.add(300)
    with published.database.write() as session:
        session.execute(delete(LogSalt).where(LogSalt.index == 870))
    rewrite(published, 870, b"{}", state=False)
    with pytest.raises(IntegrityError, match="state in the database does not fit its entries"):
        verify_database(published.database, published.folder, published.vkey)


def test_an_entry_beyond_the_log_is_caught(published: Any) -> None:
    with published.database.write() as session:
        session.execute(insert(LogEntry).values(index=600, body=b"{}", leaf=leaf_hash(b"{}")))
    with pytest.raises(IntegrityError, match="beyond the 600"):
        verify_database(published.database, published.folder, published.vkey)


@pytest.mark.parametrize("values", [{"value": "1000000"}, {"salt": b"\x00" * 16}])
def test_a_private_value_that_was_changed_is_caught(published: Any, values: dict[str, Any]) -> None:
    with published.database.write() as session:
        change = update(LogSalt).where(LogSalt.index == 300, LogSalt.name == "rows")
        session.execute(change.values(values))
    with pytest.raises(IntegrityError, match="private field 'rows' of log entry 300"):
        verify_database(published.database, published.folder, published.vkey)


def test_erased_salts_are_no_damage(published: Any) -> None:
    with published.database.write() as session:
        session.execute(delete(LogSalt).where(LogSalt.index < 300))
    assert verify_database(published.database, published.folder, published.vkey).size == 600


def test_the_root_is_that_of_the_database(published: Any) -> None:
    frontier: list[bytes] = []
    with published.database.read() as session:
        for index, body in enumerate(stored(session, 0, 600)):
            grow(frontier, index, leaf_hash(body))
    assert verify_folder(published.folder, published.vkey).root == frontier_root(frontier).hex()


@pytest.mark.parametrize("data", [b"\x00\x03ab", b"\x00\x03abc\x00", b"", b"\x00\x00\x00\x00"])
def test_a_bundle_holds_whole_entries_and_as_many_as_its_name_says(data: bytes) -> None:
    assert decode_bundle(b"\x00\x03abc", Place(-1, 0, 1)) == [b"abc"]
    with pytest.raises(IntegrityError, match=r"tile/entries/000\.p/1 does not hold the 1 whole"):
        decode_bundle(data, Place(-1, 0, 1))
