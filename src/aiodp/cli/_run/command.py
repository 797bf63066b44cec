"""`aiodp run`: a task runner with the options of AWS's Task Runner, without Java."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import anyio
import click
from botocore.exceptions import BotoCoreError

from aiodp._log import logger
from aiodp._redaction import remember
from aiodp.cli._command import command
from aiodp.cli._run.access import Access, mixes_local_and_aws, region_of
from aiodp.cli._run.descriptors import needed, tasks_at_once
from aiodp.cli._run.exit_codes import EXIT_CODES, Exit
from aiodp.cli._run.handlers import load_handlers
from aiodp.cli._run.health_server import serve_health
from aiodp.cli._run.log import Log
from aiodp.cli._run.options import LogFormat, Options, all_options
from aiodp.cli._run.runner import make_runner
from aiodp.cli._run.session import Session

if TYPE_CHECKING:
    from aiobotocore.session import AioSession

    from aiodp.cli._run.health import Health
    from aiodp.cli._run.health_server import Address

_REJECTED: Final = int(Exit.REJECTED)


class _RejectedError(click.ClickException):
    """The AWS configuration allows no client."""

    exit_code = _REJECTED


@command(epilog=EXIT_CODES)
@all_options
def run(**given: Any) -> int:
    """Work on the tasks of a worker group.

    It polls AWS Data Pipeline for tasks, keeps each alive while it runs, and sets its
    status. Shell commands are run as AWS's Task Runner does, anything else by
    your own functions. The log goes to stderr and to DIRECTORY/logs.

    SIGINT, SIGTERM and SIGHUP stop it: it takes no more tasks, and ends when the running
    ones have ended. A second signal interrupts these, which fail; handlers have 30
    seconds to clean up. A third one ends the process at once, and commands are killed.
    """
    asked = Options(**given)
    options = replace(asked, tasks=tasks_at_once(asked.tasks))
    access = Access.of(options)
    secrets = tuple(access.secrets)
    for secret in secrets:  # for what is told to the service
        remember(secret)
    handlers = load_handlers(options.handlers)  # before the log: they may configure logging
    with Log(LogFormat(options.log_format), table=options.table, secrets=secrets) as log:
        aws_session = access.session()
        region = _region(aws_session, options)
        runner, types = make_runner(options, handlers, aws_session, region)
        _open_files(log, options)
        _warn(access, aws_session, options, asked.tasks)
        session = Session(
            options=options,
            runner=runner,
            types=types,
            aws_session=aws_session,
            region=region,
            log=log,
        )
        if options.health is not None:
            _serve_health(options.health, session.health, options.worker_group)
        return anyio.run(session.run)


def _serve_health(address: Address, health: Health, worker_group: str) -> None:
    try:
        serve_health(address, health, worker_group)
    except OSError as error:
        raise click.BadParameter(
            f"{error.strerror}.", ctx=click.get_current_context(), param_hint="'--health'"
        ) from error


def _open_files(log: Log, options: Options) -> None:
    try:
        log.open_files(options.output)
    except OSError as error:
        raise click.BadParameter(
            f"{error.filename or options.output} cannot be written: {error.strerror}.",
            ctx=click.get_current_context(),
            param_hint="'--output'",
        ) from error


def _warn(access: Access, session: AioSession, options: Options, tasks: int) -> None:
    if options.tasks < tasks:
        logger.warning(
            "%d tasks at once, not %d: the limit of open files allows no more; raise its hard "
            "limit to %d (ulimit -Hn, LimitNOFILE=)",
            *(options.tasks, tasks, needed(tasks)),
        )
    if access.keys is not None and access.keys.unused:
        names = ", ".join(access.keys.unused)
        logger.warning("of %s this was not used: %s; give it as an option", options.config, names)
    if mixes_local_and_aws(session, options):
        logger.warning(
            "--endpoint is of Data Pipeline alone, S3 is AWS's: AWS_ENDPOINT_URL is for both"
        )


def _region(session: AioSession, options: Options) -> str:
    try:
        return region_of(session, options)
    except BotoCoreError as error:
        raise _RejectedError(f"the AWS configuration cannot be used: {error}") from error
