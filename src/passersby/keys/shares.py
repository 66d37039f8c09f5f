"""Recovery shares: SLIP-39 word lists, any `needed` of which give the recovery key back.

SLIP-0039 (Shamir's scheme over GF(256) with a digest of the secret, and a checksum in each share) is a public
format with several implementations: shares do not depend on this program. A share is 33 words.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

from shamir_mnemonic import MnemonicError, combine_mnemonics, generate_mnemonics

from passersby.errors import BadRecord, IntegrityError, OperationError, UsageError
from passersby.keys import private

MOST = 16
"""Most shares of a set (SLIP-0039)."""

_LONGEST = 4096
_WORDS_A_LINE = 11


def split(secret: bytes, needed: int, number: int) -> list[str]:
    """Return `number` shares of 32 bytes, any `needed` of which give them back; each was tried.

    Raises:
        UsageError: the numbers are not 2 <= needed <= number <= 16.
    """
    if not 2 <= needed <= number <= MOST:
        raise UsageError(
            f"{number} share(s) of which {needed} are needed cannot be made.",
            f"Give 2 to {MOST} persons a share each, and need at least 2 of them.",
        )
    shares = generate_mnemonics(1, [(needed, number)], secret, extendable=True, iteration_exponent=0)[0]
    for some in itertools.combinations(shares, needed):
        assert combine(some) == secret  # noqa: S101 (a share that was never tried is none)
    return list(shares)


def combine(shares: Sequence[str]) -> bytes:
    """Return the secret of enough shares.

    Raises:
        BadRecord: a share is mistyped, there are too few, or they belong to different sets.
    """
    try:
        return bytes(combine_mnemonics(shares))
    except MnemonicError:  # its text quotes words
        raise BadRecord(
            "The shares do not go together: too few, of different sets, or a word is wrong.",
            "Compare the words with the paper, and give as many shares of one set as it says are needed.",
        ) from None


def write(path: Path, share: str, about: Sequence[str]) -> None:
    """Write a share to a new file for its owner alone: lines of words, after comment lines.

    Raises:
        UsageError: there is a file, or no folder that one may write to.
    """
    words = share.split()
    lines = [f"# {line}" for line in about]
    lines += [" ".join(words[i : i + _WORDS_A_LINE]) for i in range(0, len(words), _WORDS_A_LINE)]
    try:
        private.write_new(path, ("\n".join(lines) + "\n").encode())
    except FileExistsError:
        raise UsageError(
            f"There is a file at {path} already; it was left alone.",
            "Choose another name: it may be a share of a set that is in force.",
        ) from None
    except OSError as error:
        raise OperationError(
            f"No share can be written to {path} ({error.strerror}).", "Choose another folder."
        ) from None


def read(path: Path) -> str:
    """Return the share in a file that `write` made, or that somebody typed.

    Raises:
        BadRecord: it cannot be read, or holds no words.
        IntegrityError: others can read it.
    """
    try:
        text = private.read(path, "share", _LONGEST).decode("ascii")
    except (OSError, UnicodeDecodeError):
        text = ""
    words = [word for line in text.splitlines() if not line.startswith("#") for word in line.lower().split()]
    if not words:
        raise BadRecord(f"{path} is not a recovery share.", "Name the file that was handed to its holder.")
    return " ".join(words)


def check_files(paths: Sequence[Path], needed: int, secret: bytes) -> None:
    """Do nothing if any `needed` of the written files give the secret back.

    Raises:
        IntegrityError: they do not; the disk wrote something else.
    """
    texts = [read(path) for path in paths]
    if any(combine(some) != secret for some in itertools.combinations(texts, needed)):
        raise IntegrityError("The written shares do not give the key back.", "Write them to another disk.")
