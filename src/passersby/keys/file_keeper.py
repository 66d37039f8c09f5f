"""Key-encryption keys in files that only their owner can read: the keeper that needs nothing."""

from __future__ import annotations

from pathlib import Path

from passersby.keys import private
from passersby.keys.envelope import Envelope, load_kek, load_or_create_kek, unusable
from passersby.keys.keeper import gone


class FileKeeper:
    """Keeps each KEK in a file of its name, 32 random bytes, mode 0600. A `keeper.Keeper`.

    Args:
        folder: where the files lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def place(self, kek: str) -> str:
        """Return in words where a KEK is kept."""
        return f"the key file {self._folder / kek}"

    def create(self, kek: str) -> None:
        """Make the file, unless it is there."""
        load_or_create_kek(self._folder / kek)

    def destroy(self, kek: str) -> None:
        """Overwrite and remove the file, and what a killed `create` left."""
        path = self._folder / kek
        try:
            for draft in self._folder.glob(f".{kek}.*"):
                private.destroy(draft)
            private.destroy(path)
        except OSError as error:
            raise unusable(path, error) from error

    def wrapper(self, kek: str) -> Envelope:
        """Return the KEK.

        Raises:
            IntegrityError: the file is not there, is not a key, or others can read it.
            OperationError: it cannot be read.
        """
        path = self._folder / kek
        try:
            return Envelope(load_kek(path))
        except FileNotFoundError:
            raise gone(self.place(kek)) from None
        except OSError as error:
            raise unusable(path, error) from error
