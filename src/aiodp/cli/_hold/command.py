"""`aiodp hold`: keeps a task alive while a command runs."""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import anyio
import click
from aiobotocore.session import get_session

from aiodp import ProgressReporter, Quota
from aiodp.cli._hold.holding import Holding
from aiodp.cli._params import Seconds, Url, option

if TYPE_CHECKING:
    from aiodp.cli._hold.holding import Say

_GRACE: Final = 10.0
_ATTEMPT: Final = 10.0
_SLOW_ATTEMPT: Final = 30.0  # of the service: this machine runs no faster than it does
_DEFAULT_QUOTA: Final = Quota()
_SPARE: Final = 5.0
"""Seconds between the killing of a lost task's command and the deadline, unless told otherwise."""
_OPTIONS: Final = re.compile(r"\b(interval(?= \()|ack_timeout|lease_timeout|safety_margin)\b")

_EXIT_CODES: Final = """\b
Exit codes:
  the command's own, or 128+N if signal N ended it; and
  2    wrong usage, nothing was sent
  121  the task was canceled
  122  the task was lost, or never was ours
  123  credentials, permission, region or endpoint do not allow reports
  124  the status could not be set
  125  a fault in aiodp hold itself
  126  the command cannot be run
  127  there is no such command"""


class _Field(click.ParamType[tuple[str, str]]):
    name = "key=value"
    envvar_list_splitter = "\n"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        key, equals, text = value.partition("=")
        if not key or not equals:
            self.fail(f"{value!r:.40} is not of the form KEY=VALUE.", param, ctx)
        return key, text


@click.command(epilog=_EXIT_CODES)
@click.argument("task_id", metavar="TASK_ID")
@click.argument("command", metavar="-- COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
@option(
    "--field",
    "fields",
    envvar="AIODP_HOLD_FIELD",
    metavar="KEY=VALUE",
    multiple=True,
    type=_Field(),
    help="Report this field of the task. Repeatable; one a line in the environment variable.",
)
@option(
    "--set-status",
    is_flag=True,
    help="When the command has ended, set the task FINISHED (exit code 0) or FAILED.",
)
@option(
    "--grace",
    metavar="SECONDS",
    type=Seconds(zero=True),
    show_default="10, divided by --time-scale",
    help="From SIGTERM to SIGKILL when the task is canceled or lost.",
)
@option(
    "--interval",
    metavar="SECONDS",
    type=Seconds(),
    default=60,
    show_default=True,
    help="Between two reports.",
)
@option(
    "--ack-timeout",
    metavar="SECONDS",
    type=Seconds(),
    default=120,
    show_default=True,
    help="In which the first report must succeed.",
)
@option(
    "--lease-timeout",
    metavar="SECONDS",
    type=Seconds(),
    default=300,
    show_default=True,
    help="For which a report holds the task: its reportProgressTimeout, if it has one.",
)
@option(
    "--safety-margin",
    metavar="SECONDS",
    type=Seconds(),
    show_default="grace + 5 divided by --time-scale",
    help="How long before the lease ends the task counts as lost; longer than the grace, so that "
    "the command is dead before anybody else may get the task.",
)
@option(
    "--time-scale",
    metavar="FACTOR",
    type=Seconds(),
    default=1,
    show_default=True,
    help="How fast a local service runs, that of aiodp emulate --time-scale: the other durations "
    "but grace and margin are by its time.",
)
@option("--region", metavar="NAME", help="AWS region, unless the AWS configuration names it.")
@option(
    "--endpoint-url",
    "--endpoint",
    metavar="URL",
    type=Url(),
    help="Another endpoint than the region's.",
)
@option("--quiet", "-q", is_flag=True, help="Say nothing but errors.")
@click.pass_context
def hold(
    ctx: click.Context,
    /,
    task_id: str,
    command: tuple[str, ...],
    *,
    fields: tuple[tuple[str, str], ...],
    set_status: bool,
    grace: float | None,
    safety_margin: float | None,
    time_scale: float,
    region: str | None,
    endpoint_url: str | None,
    interval: float,
    ack_timeout: float,
    lease_timeout: float,
    quiet: bool,
) -> int:
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
    grace = _GRACE / time_scale if grace is None else grace
    margin = grace + _SPARE / time_scale if safety_margin is None else safety_margin
    if grace >= margin:
        raise click.BadParameter(
            f"{grace:g} s are not below the safety margin of {margin:g} s: "
            f"the command might live on when the task is somebody else's.",
            ctx=ctx,
            param_hint="'--grace'",
        )
    say = _sayer(quiet=quiet)
    _log_to(say)
    try:
        reporter = ProgressReporter(
            get_session(),
            region_name=region,
            endpoint_url=endpoint_url,
            interval=interval / time_scale,
            ack_timeout=ack_timeout / time_scale,
            lease_timeout=lease_timeout / time_scale,
            safety_margin=margin,
            attempt_timeout=min(_ATTEMPT, _SLOW_ATTEMPT / time_scale),
            quota=Quota(rate=_DEFAULT_QUOTA.rate * time_scale, burst=_DEFAULT_QUOTA.burst),
        )
        tracking = reporter.track(task_id, fields=_mapping(fields))
    except ValueError as error:
        raise click.UsageError(f"{_named_as_options(str(error))}.", ctx) from error

    async def run() -> int:
        holding = Holding(command, grace=grace, set_status=set_status, say=say)
        return await holding.run(reporter, tracking)

    return anyio.run(run)


def _mapping(fields: tuple[tuple[str, str], ...]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for key, value in fields:
        values.setdefault(key, []).append(value)
    return values


def _named_as_options(message: str) -> str:
    return _OPTIONS.sub(lambda found: "--" + found[1].replace("_", "-"), message)


def _sayer(*, quiet: bool) -> Say:
    def say(message: str, *, error: bool = False) -> None:
        if error or not quiet:
            with suppress(OSError):  # a closed terminal or a broken pipe must not cost the task
                click.echo(f"aiodp hold: {' '.join(message.split())}", err=True)

    return say


class _LogLines(logging.Handler):
    """Says the reporter's warnings, except that the task ended, which is said anyhow."""

    def __init__(self, say: Say) -> None:
        super().__init__(logging.WARNING)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        if not hasattr(record, "reason"):
            self._say(record.getMessage())


def _log_to(say: Say) -> None:
    """Turn log records into lines; other libraries' would be noise, or a traceback."""
    logging.getLogger("aiodp").addHandler(_LogLines(say))
    logging.getLogger().addHandler(logging.NullHandler())
