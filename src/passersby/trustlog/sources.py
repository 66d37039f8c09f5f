"""Where the files of a published log are read from: a folder, or a web server.

Whoever serves a log is a stranger: each file has a length that it cannot exceed, each request an end.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from passersby.errors import IntegrityError, OperationError, UsageError
from passersby.trustlog.web import Site


class Source(Protocol):
    """The files of a published log."""

    def read(self, path: str, most: int) -> bytes | None:
        """Return a file, None if there is none.

        Args:
            path: relative to the log, such as `tile/0/000`.
            most: bytes that it can have.

        Raises:
            IntegrityError: it is longer.
            OperationError: it cannot be read.
        """

    def widths(self, stem: str) -> list[int]:
        """Return the widths in which partial versions of a tile or bundle are there, as far as is known."""


class Disk:
    """A log in a folder.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, path: str, most: int) -> bytes | None:
        """See `Source.read`."""
        try:
            with (self.root / path).open("rb") as file:
                data = file.read(most + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:
            msg = f"{path} of the log cannot be read."
            raise OperationError(msg, "Check the disk and the permissions of the log's folder.") from None
        return _bounded(path, data, most)

    def widths(self, stem: str) -> list[int]:
        """See `Source.widths`."""
        try:
            found = (self.root / f"{stem}.p").iterdir()
            return sorted(int(file.name) for file in found if file.name.isdecimal())
        except (FileNotFoundError, NotADirectoryError):
            return []


class Web:
    """A log on a web server.

    Args:
        url: where `checkpoint` lies, without that name; http or https.

    Raises:
        UsageError: it is no such address.
    """

    def __init__(self, url: str) -> None:
        self._site = Site(url)

    def read(self, path: str, most: int) -> bytes | None:
        """See `Source.read`."""
        answer = self._site.get(path, most + 1)
        if answer.status in {404, 410}:
            return None
        if answer.status != 200:
            msg = f"The web server answers a request for {path} of the log with status {answer.status}."
            raise OperationError(
                msg, "Give the address of the folder that holds `checkpoint`, or try again later."
            )
        return _bounded(path, answer.body, most)

    def widths(self, stem: str) -> list[int]:  # noqa: ARG002 (a web server lists nothing)
        """Return nothing: a web server does not list its files, and a copy needs no earlier versions."""
        return []


def source_of(place: str) -> Source:
    """Return the source of a log that a person named: a folder, or an address that begins with http.

    Raises:
        UsageError: there is no such folder, or it is no address.
    """
    if place.startswith(("http://", "https://")):
        return Web(place)
    if not Path(place).is_dir():
        raise UsageError(f"There is no folder {place}.", "Name the folder or the address of a published log.")
    return Disk(Path(place))


def damaged(path: str, what: str) -> IntegrityError:
    """Return the error for a file of the published log that is not as it should be."""
    return IntegrityError(
        f"{path} {what}.",
        "Keep a copy of the folder as evidence and compare it with another copy of the log; the operator can "
        "move it away and publish it anew from the database.",
    )


def _bounded(path: str, data: bytes, most: int) -> bytes:
    if len(data) > most:
        raise damaged(path, "is longer than it can be")
    return data
