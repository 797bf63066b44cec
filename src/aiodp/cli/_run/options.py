"""The options of `aiodp run`: those of AWS's Task Runner, in two spellings, and our own."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Literal

import click

from aiodp import ReporterOptions
from aiodp._reporter.options import scaled
from aiodp.cli._params import (
    ATTEMPT_TIMEOUT,
    CommonOptions,
    ParamType,
    Seconds,
    option,
    time_scale,
    with_parameters,
)
from aiodp.cli._run.access import AccessOptions
from aiodp.cli._run.health_server import AddressParam
from aiodp.cli._run.task_runner_options import TASK_RUNNERS

if TYPE_CHECKING:
    from pathlib import Path

    from aiodp.cli._run.health_server import Address

MAX_GRACE: Final = 25.0
"""Seconds. A runner that stops gives handlers 30, in which a command must have ended."""
_MAX_OUTPUT: Final = 100 * 1024 * 1024


class LogFormat(StrEnum):
    """The forms of a line on stderr."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Options(CommonOptions, AccessOptions):
    """The values of the options, by their names."""

    worker_group: str
    taskrunner_id: str | None
    hostname: str | None
    output: Path
    log_uri: str | None
    tasks: int
    handlers: tuple[str, ...]
    unsupported: Literal["fail", "leave"]
    once: bool
    max_tasks: int | None
    drain_timeout: float | None
    max_output: int
    log_format: str
    table: bool | None
    health: Address | None

    def __post_init__(self) -> None:
        """Raise `click.UsageError` for values that exclude each other."""
        if self.once and self.max_tasks is not None:
            raise click.UsageError(
                "--once and --max-tasks exclude each other.", click.get_current_context()
            )
        if self.unsupported == "leave" and any("=" not in handler for handler in self.handlers):
            raise click.UsageError(
                "--unsupported leave leaves nothing: there is a --handler for all types.",
                click.get_current_context(),
            )
        longest = MAX_GRACE / self.time_scale
        if self.command_grace > longest:
            scale = "" if self.time_scale == 1 else f" at --time-scale {self.time_scale:g}"
            raise click.BadParameter(
                f"{self.command_grace:g} s are more than {longest:g} s{scale}: commands must have "
                f"ended before the runner does, and before the shortest lease.",
                ctx=click.get_current_context(),
                param_hint="'--grace'",
            )

    def timings(self) -> ReporterOptions:
        """Return the runner's timings: a task counts as lost before its command must be dead."""
        options = scaled(self.time_scale)
        margin = self.least_margin
        if self.time_scale != 1:
            margin = max(margin, options["safety_margin"])
        return ReporterOptions(
            interval=options["interval"],
            ack_timeout=options["ack_timeout"],
            lease_timeout=options["lease_timeout"],
            safety_margin=margin,
            attempt_timeout=self.call_timeout,
            quota=options["quota"],
        )


class _Handlers(ParamType[str]):
    name = "handler"
    envvar_list_splitter = "\n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value).strip()
        if not text:
            self.fail("a handler's name is empty.", param, ctx)
        return text


OURS: Final = (
    option(
        *("--handler", "handlers"),
        envvar="AIODP_RUN_HANDLER",
        metavar="[TYPE=]MODULE:FUNCTION",
        multiple=True,
        type=_Handlers(),
        help="Do the tasks of this type with a Python function; without a type, all that have no "
        "other. Repeatable; one a line in the environment variable. What no handler takes is run "
        "as a shell command.",
    ),
    option(
        "--unsupported",
        type=click.Choice(["fail", "leave"]),
        default="fail",
        show_default=True,
        help="What becomes of tasks of types that it cannot do: FAILED, or left to other runners "
        "of the worker group, which get them two minutes later.",
    ),
    option("--once", is_flag=True, help="Poll once, do the task that it brings, and end."),
    option(
        "--max-tasks",
        metavar="N",
        type=click.IntRange(min=1),
        help="Do so many tasks, and end.",
    ),
    option(
        "--drain-timeout",
        metavar="SECONDS",
        type=Seconds(zero=True),
        help="That tasks have to end by themselves when the runner stops; then they are "
        "interrupted. By default no limit.",
    ),
    ATTEMPT_TIMEOUT,
    option(
        "--grace",
        metavar="SECONDS",
        type=Seconds(zero=True),
        show_default="10",
        help="From SIGTERM to SIGKILL when a command is interrupted, at most 25. A task counts as "
        "lost so much earlier. With --time-scale, default and limit are divided by it.",
    ),
    option(
        "--max-output",
        metavar="BYTES",
        type=click.IntRange(min=0),
        default=_MAX_OUTPUT,
        show_default=True,
        help="That are kept of each of a command's two streams.",
    ),
    option(
        "--hostname",
        metavar="NAME",
        help="Of this machine, as the service shows it. By default the system's.",
    ),
    option(
        "--log-format",
        type=click.Choice([log_format.value for log_format in LogFormat]),
        default=LogFormat.TEXT.value,
        show_default=True,
        help="Form of a line on stderr.",
    ),
    option(
        "--table/--no-table",
        "table",
        default=None,
        show_default="on a terminal, unless --log-format is json",
        help="Show the running tasks in a table below the log. Never without a terminal.",
    ),
    option(
        "--health",
        metavar="[HOST:]PORT",
        type=AddressParam(),
        help="Serve /live and /ready for probes, and /metrics for Prometheus, over HTTP. Without a "
        "host, for this machine alone.",
    ),
    time_scale(),
)

all_options: Final = with_parameters(*TASK_RUNNERS, *OURS)
