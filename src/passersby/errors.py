"""Every error that Passersby raises: one tree, each with its next step and its exit code.

    PassersbyError
    ├── UsageError (2)              the call itself is wrong
    │   ├── EmptyArea               an area that is smaller than the cells asked for
    │   ├── UnknownName             a measure, supplier, licence or release that is not there
    │   └── NotADeployment          no deployment at this path
    ├── InputError (3)              a supplier's or a user's file cannot be taken
    │   ├── UnreadableFile          truncated, damaged or not of a known kind
    │   ├── WrongSchema             columns or contents do not fit the declared schema
    │   └── BadRecord               a contract, licence or list file is not valid
    ├── NotReady (4)                a record is missing; the message names the command that makes it
    ├── Refusal (5)                 policy says no; constant text, no data in it
    │   ├── PeriodOpen              the period is not closed yet
    │   └── BudgetSpent             the privacy budget of a period does not allow it
    ├── IntegrityError (6)          log, ledger, lake or a signature contradict each other
    └── OperationError (7)          the machine failed: disk, database, engine
        ├── DiskFull
        ├── Busy                    another process holds what this one needs
        ├── KeeperAway              what holds the key-encryption key does not answer
        └── EngineFailed

Each error carries `message` (what happened), `next_step` (what to do now) and `code` (stable,
machine-readable). Texts of `Refusal` are constant per code: whatever the data, an analyst reads the
same words. `cli.main.run` is the only place that turns an error into an exit code.
"""

from __future__ import annotations

from typing import ClassVar


class PassersbyError(Exception):
    """Base of every error of this package.

    Args:
        message: what happened, in one sentence, without personal data.
        next_step: what the reader can do now, in one sentence.
    """

    exit_code: ClassVar[int] = 1
    code: str = "error"

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message} {self.next_step}".strip()


class UsageError(PassersbyError):
    """The call itself is wrong: an argument, a name, a combination."""

    exit_code = 2
    code = "usage"


class EmptyArea(UsageError):
    """An area holds no centre of a cell of the resolution asked for."""


class UnknownName(UsageError):
    """A measure, supplier, licence, release or schema that does not exist."""

    code = "unknown-name"


class NotADeployment(UsageError):
    """The path holds no deployment."""

    code = "not-a-deployment"


class InputError(PassersbyError):
    """A file that was given cannot be taken; nothing of it is stored."""

    exit_code = 3
    code = "input"


class UnreadableFile(InputError):
    """A file is truncated, damaged or of no known kind."""

    code = "unreadable-file"


class WrongSchema(InputError):
    """Columns or contents of a file do not fit the declared schema."""

    code = "wrong-schema"


class BadRecord(InputError):
    """A contract, licence, assessment or list file is not valid."""

    code = "bad-record"


class NotReady(PassersbyError):
    """A record that law or policy wants is missing; `next_step` is the command that makes it."""

    exit_code = 4
    code = "not-ready"


class Refusal(PassersbyError):
    """Policy says no. The text depends on the code alone, never on data."""

    exit_code = 5

    def __init__(self, code: str, message: str, next_step: str = "") -> None:
        super().__init__(message, next_step)
        self.code = code


class PeriodOpen(Refusal):
    """The question reads a period that is not closed yet."""

    def __init__(self) -> None:
        super().__init__(
            "period-open",
            "The question reads a period that is not closed yet.",
            "A period closes 72 hours or more after it ends; ask then, or ask an earlier period.",
        )


class BudgetSpent(Refusal):
    """The privacy budget of a period does not allow the charge; nothing was debited."""

    def __init__(self) -> None:
        super().__init__(
            "budget-spent",
            "The privacy budget of at least one period in the question does not allow this charge.",
            "Run `passersby budget`; ask with a smaller epsilon, or repeat a question that is already "
            "answered: a stored answer is free.",
        )


class IntegrityError(PassersbyError):
    """Log, ledger, lake or a signature contradict each other: stop and look."""

    exit_code = 6
    code = "integrity"


class OperationError(PassersbyError):
    """The machine failed; what was begun is undone or repaired by the next command."""

    exit_code = 7
    code = "operation"


class DiskFull(OperationError):
    """There is no room for what has to be written."""

    code = "disk-full"


class Busy(OperationError):
    """Another process holds what this one needs."""

    code = "busy"


class KeeperAway(OperationError):
    """The token or server that holds the key-encryption key does not answer; no key was lost."""

    code = "keeper-away"


class EngineFailed(OperationError):
    """The query engine could not run a statement. The text never quotes the engine's message."""

    code = "engine-failed"
