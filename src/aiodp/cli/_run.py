"""``aiodp run``: a task runner with AWS' Task Runner's options, which needs no Java."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import anyio
import click
from botocore.exceptions import BotoCoreError

from aiodp.cli._run_access import Access, region_of
from aiodp.cli._run_exit import EXIT_CODES, Exit
from aiodp.cli._run_handlers import load_handlers
from aiodp.cli._run_log import Log
from aiodp.cli._run_options import LogFormat, Options, all_options
from aiodp.cli._run_runner import Pace, make_runner
from aiodp.cli._run_work import Work

if TYPE_CHECKING:
    from aiobotocore.session import AioSession

_REJECTED: Final = int(Exit.REJECTED)


class _RejectedError(click.ClickException):
    """The AWS configuration allows no client."""

    exit_code = _REJECTED


@click.command(epilog=EXIT_CODES)
@all_options
def run(**given: Any) -> int:
    """Work on the tasks of a worker group.

    It polls AWS Data Pipeline for tasks, keeps each alive while it is done, and tells
    how it ended. Shell commands are run as AWS' Task Runner does, anything else by
    your own functions. The log goes to stderr and to DIRECTORY/logs.

    SIGINT, SIGTERM and SIGHUP stop it: it takes no more tasks, and ends when those in
    hand have ended. A second signal interrupts these, which fail; handlers have 30
    seconds to clean up. A third one ends the process at once, and commands are killed.
    """
    options = Options(**given)
    access = Access.of(options)
    pace = Pace.of(options)
    secrets = tuple(access.secrets)
    with Log(LogFormat(options.log_format), table=options.table, secrets=secrets) as log:
        handlers = load_handlers(options.handlers)
        session = access.session()
        region = _region(session, options)
        runner = make_runner(options, pace, handlers, session, region)
        _open_files(log, options)
        work = Work(options=options, runner=runner, session=session, region=region, log=log)
        return anyio.run(work.run)


def _open_files(log: Log, options: Options) -> None:
    try:
        log.open_files(options.output)
    except OSError as error:
        raise click.BadParameter(
            f"{error.filename or options.output} cannot be written: {error.strerror}.",
            ctx=click.get_current_context(),
            param_hint="'--output'",
        ) from error


def _region(session: AioSession, options: Options) -> str:
    try:
        return region_of(session, options)
    except BotoCoreError as error:
        raise _RejectedError(f"the AWS configuration cannot be used: {error}") from error
