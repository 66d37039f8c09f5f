"""Small private files: whole or not there."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from passersby.errors import DiskFull, OperationError
from passersby.store import durable


def test_a_file_and_its_folder_are_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    durable.write(path, b"one")
    assert path.read_bytes() == b"one"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_what_was_there_is_replaced(tmp_path: Path) -> None:
    durable.write(tmp_path / "file", b"one")
    durable.write(tmp_path / "file", b"two")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"two"


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, DiskFull), (errno.EDQUOT, DiskFull), (errno.EIO, OperationError)]
)
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[OperationError]
) -> None:
    durable.write(tmp_path / "file", b"one")

    def fail(_: int) -> None:
        raise OSError(number, "a text that names /secret/path")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(kind) as caught:
        durable.write(tmp_path / "file", b"two")
    assert type(caught.value) is kind
    assert "secret" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"one"
