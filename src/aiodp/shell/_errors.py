"""How a shell command's task fails; each failure has an `errorId` of its own."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from aiodp._aws.errors import describe
from aiodp._errors import TaskFailed
from aiodp._process.exits import describe_exit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiodp.shell._uri import S3Uri

_MAX_SHOWN_BYTES: Final = 1024
"""How much of the end of stderr a message shows."""


class CommandFailed(TaskFailed):
    """The command ended with an exit code other than 0, or was killed.

    `returncode` is the exit code, or -n if signal n killed the shell. The message and the stack
    trace show the last 1,024 bytes of what it wrote to stderr.
    """

    def __init__(self, returncode: int, stderr: bytes = b"") -> None:
        shown = stderr[-_MAX_SHOWN_BYTES:].decode(errors="replace").strip("\ufffd\n")
        ending = f"; the end of its stderr:\n{shown}" if shown else "; it wrote nothing to stderr"
        how = "was" if returncode < 0 else "failed with"
        super().__init__(
            f"the command {how} {describe_exit(returncode)}{ending}",
            error_id="CommandFailed",
            error_stack_trace=shown,
        )
        self.returncode = returncode


def bad_definition(message: str) -> TaskFailed:
    """Return the failure of a task whose objects say what cannot be done."""
    return TaskFailed(message, error_id="BadDefinition")


def staging_failed(message: str) -> TaskFailed:
    """Return the failure of a task whose data could not be downloaded or uploaded."""
    return TaskFailed(message, error_id="StagingFailed")


def local_failed(message: str) -> TaskFailed:
    """Return the failure of a task for a reason of this machine, a full disk for instance."""
    return TaskFailed(message, error_id="LocalFailed")


@contextmanager
def staging_errors(uri: S3Uri, what: str) -> Iterator[None]:
    """Raise every error as a `TaskFailed` that says what could not be done."""
    try:
        yield
    except TaskFailed:
        raise
    except OSError as error:
        reason = f"{error.strerror or error} ({error.filename})" if error.filename else str(error)
        raise staging_failed(f"{uri} could not be {what}: {reason}") from error
    except Exception as error:  # botocore lets errors of broken answers through
        raise staging_failed(f"{uri} could not be {what}: {describe(error)}") from error
