"""Envelope: what was wrapped opens for the same key and purpose only; the key file stays private."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passersby.errors import IntegrityError, OperationError
from passersby.keys.envelope import Envelope, load_or_create_kek

_KEK = bytes(range(32))


@given(st.binary(max_size=200), st.text(max_size=20))
def test_a_secret_comes_back(secret: bytes, purpose: str) -> None:
    envelope = Envelope(_KEK)
    assert envelope.unwrap(envelope.wrap(secret, purpose), purpose) == secret


@given(st.binary(min_size=32, max_size=32), st.data())
def test_any_changed_bit_is_found(secret: bytes, data: st.DataObject) -> None:
    blob = bytearray(Envelope(_KEK).wrap(secret, "p"))
    bit = data.draw(st.integers(0, 8 * len(blob) - 1))
    blob[bit // 8] ^= 1 << bit % 8
    with pytest.raises(IntegrityError):
        Envelope(_KEK).unwrap(bytes(blob), "p")


@given(st.integers(0, 59))
def test_a_shortened_blob_is_found(length: int) -> None:
    blob = Envelope(_KEK).wrap(bytes(32), "p")
    with pytest.raises(IntegrityError):
        Envelope(_KEK).unwrap(blob[:length], "p")


def test_another_purpose_does_not_open_it() -> None:
    blob = Envelope(_KEK).wrap(b"secret", "epoch:1:a")
    with pytest.raises(IntegrityError):
        Envelope(_KEK).unwrap(blob, "epoch:2:a")


def test_another_key_does_not_open_it() -> None:
    blob = Envelope(_KEK).wrap(b"secret", "p")
    with pytest.raises(IntegrityError) as raised:
        Envelope(bytes(32)).unwrap(blob, "p")
    assert "key file" in raised.value.next_step
    assert "secret" not in str(raised.value)


def test_no_nonce_comes_twice() -> None:
    envelope = Envelope(_KEK)
    assert len({envelope.wrap(b"", "p")[:12] for _ in range(1000)}) == 1000


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_kek_has_32_bytes(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Envelope(bytes(length))


def test_a_key_file_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "kek"
    kek = load_or_create_kek(path)
    assert len(kek) == 32
    assert load_or_create_kek(path) == kek
    assert [file.name for file in tmp_path.iterdir()] == ["kek"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_two_key_files_differ(tmp_path: Path) -> None:
    assert load_or_create_kek(tmp_path / "a") != load_or_create_kek(tmp_path / "b")


def test_whoever_makes_it_first_wins(tmp_path: Path) -> None:
    start = threading.Barrier(8)
    keks = set()

    def work() -> None:
        start.wait()
        keks.add(load_or_create_kek(tmp_path / "kek"))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert keks == {(tmp_path / "kek").read_bytes()}
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o622, 0o644])
def test_a_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "kek"
    load_or_create_kek(path)
    path.chmod(mode)
    with pytest.raises(IntegrityError) as raised:
        load_or_create_kek(path)
    assert f"chmod 600 {path}" in raised.value.next_step


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_file_of_another_length_is_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / "kek"
    path.write_bytes(bytes(length))
    path.chmod(0o600)
    with pytest.raises(IntegrityError, match="32 bytes"):
        load_or_create_kek(path)


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(OperationError, match="No such file"):
        load_or_create_kek(tmp_path / "none" / "kek")


def test_a_failed_write_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OperationError, match="No space"):
        load_or_create_kek(tmp_path / "kek")
    assert list(tmp_path.iterdir()) == []
