"""`aiodp hold`: keeps a task alive while a command runs."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import anyio
import click
from aiobotocore.session import get_session

from aiodp import ProgressReporter
from aiodp._core.text import printable
from aiodp._redaction import redact
from aiodp.cli._command import command
from aiodp.cli._hold.held_command import HeldCommand
from aiodp.cli._hold.options import Options, all_options
from aiodp.cli._names import named_as_options

if TYPE_CHECKING:
    from aiodp.cli._hold.held_command import Say

_EXIT_CODES: Final = """\b
Exit codes:
  the command's own, or 128+N if signal N ended it; and
  2    wrong usage, nothing was sent
  120  the status may be set: its answer was lost, and its repetition refused
  121  the task was canceled
  122  the task was lost, or never was ours
  123  credentials, permission, region or endpoint do not allow reports
  124  the status could not be set
  125  a fault in aiodp hold itself
  126  the command cannot be run
  127  there is no such command"""


@command(epilog=_EXIT_CODES)
@all_options
def hold(**given: Any) -> int:
    """Keep a task alive while a command runs.

    The command starts once the service has acknowledged the task, and its exit code
    is passed on. If the task is canceled or lost, the command and all that it started
    in its session get SIGTERM, and SIGKILL after the grace.

    SIGINT, SIGTERM, SIGHUP and SIGQUIT are handed on to them, a second one kills
    them; the task is kept alive until the command has ended. Should hold itself be
    killed, they are ended as well. The command inherits input and output, but
    runs in a session of its own: it cannot be suspended from the terminal, nor open
    /dev/tty. Messages go to stderr.
    """
    options = Options(**given)
    say = _sayer(quiet=options.quiet)
    _add_log_handlers(say)
    try:
        reporter = ProgressReporter(
            get_session(),
            **options.timings()
            | {"region_name": options.region, "endpoint_url": options.endpoint_url},
        )
        tracking = reporter.track(options.task_id, fields=options.field_values())
    except ValueError as error:
        message = f"{named_as_options(str(error))}."
        raise click.UsageError(message, click.get_current_context()) from error

    async def run() -> int:
        held = HeldCommand(
            options.command, grace=options.command_grace, set_status=options.set_status, say=say
        )
        return await held.run(reporter, tracking)

    return anyio.run(run)


def _sayer(*, quiet: bool) -> Say:
    def say(message: str, *, error: bool = False) -> None:
        if error or not quiet:
            with suppress(OSError):  # a closed terminal or a broken pipe must not lose the task
                line = printable(redact(named_as_options(" ".join(message.split()))))
                click.echo(f"aiodp hold: {line}", err=True)

    return say


class _LogLines(logging.Handler):
    """Writes the reporter's warnings, except that the task has ended: `HeldCommand` says that."""

    def __init__(self, say: Say) -> None:
        super().__init__(logging.WARNING)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        if not hasattr(record, "reason"):
            self._say(record.getMessage())


def _add_log_handlers(say: Say) -> None:
    """Write our warnings as lines, and no records of other libraries."""
    logging.getLogger("aiodp").addHandler(_LogLines(say))
    logging.getLogger().addHandler(logging.NullHandler())
