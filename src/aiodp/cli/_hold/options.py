"""The options of `aiodp hold`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import click

from aiodp import ReporterOptions
from aiodp._reporter.options import scaled
from aiodp.cli._params import (
    ATTEMPT_TIMEOUT,
    ENDPOINT,
    REGION,
    CommonOptions,
    ParamType,
    Seconds,
    option,
    time_scale,
    with_parameters,
)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Options(CommonOptions):
    """The values of the options, by their names."""

    task_id: str
    command: tuple[str, ...]
    fields: tuple[tuple[str, str], ...]
    set_status: bool
    interval: float
    ack_timeout: float
    lease_timeout: float
    safety_margin: float | None
    quiet: bool

    def __post_init__(self) -> None:
        """Raise `click.BadParameter` if the command may outlive the lease."""
        if self.command_grace >= self.margin:
            raise click.BadParameter(
                f"{self.command_grace:g} s are not below the safety margin of {self.margin:g} s: "
                f"the command might live on when the task is somebody else's.",
                ctx=click.get_current_context(),
                param_hint="'--grace'",
            )

    @property
    def margin(self) -> float:
        """Seconds before its deadline at which the task counts as lost."""
        return self.least_margin if self.safety_margin is None else self.safety_margin

    def timings(self) -> ReporterOptions:
        """Return the reporter's timings; only grace, margin and calls are in real seconds."""
        return ReporterOptions(
            interval=self.interval / self.time_scale,
            ack_timeout=self.ack_timeout / self.time_scale,
            lease_timeout=self.lease_timeout / self.time_scale,
            safety_margin=self.margin,
            attempt_timeout=self.call_timeout,
            quota=scaled(self.time_scale)["quota"],
        )

    def field_values(self) -> dict[str, list[str]]:
        """Return the fields to report, as `ProgressReporter.track` expects them."""
        values: dict[str, list[str]] = {}
        for key, value in self.fields:
            values.setdefault(key, []).append(value)
        return values


class _Field(ParamType[tuple[str, str]]):
    name = "key=value"
    envvar_list_splitter = "\n"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        key, equals, text = value.partition("=")
        if not key or not equals:
            self.fail(f"{value!r:.40} is not of the form KEY=VALUE.", param, ctx)
        return key, text


all_options: Final = with_parameters(
    click.argument("task_id", metavar="TASK_ID"),
    click.argument(
        "command", metavar="-- COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED
    ),
    option(
        *("--field", "fields"),
        envvar="AIODP_HOLD_FIELD",
        metavar="KEY=VALUE",
        multiple=True,
        type=_Field(),
        help="Report this field of the task. Repeatable; one a line in the environment variable.",
    ),
    option(
        "--set-status",
        is_flag=True,
        help="When the command has ended, set the task FINISHED (exit code 0) or FAILED.",
    ),
    option(
        "--grace",
        metavar="SECONDS",
        type=Seconds(zero=True),
        show_default="10, divided by --time-scale",
        help="From SIGTERM to SIGKILL when the task is canceled or lost.",
    ),
    option(
        "--interval",
        metavar="SECONDS",
        type=Seconds(),
        default=60,
        show_default=True,
        help="Between two reports.",
    ),
    option(
        "--ack-timeout",
        metavar="SECONDS",
        type=Seconds(),
        default=120,
        show_default=True,
        help="In which the first report must succeed.",
    ),
    option(
        "--lease-timeout",
        metavar="SECONDS",
        type=Seconds(),
        default=300,
        show_default=True,
        help="For which a report holds the task: its reportProgressTimeout, if it has one.",
    ),
    option(
        "--safety-margin",
        metavar="SECONDS",
        type=Seconds(),
        show_default="grace + 5 divided by --time-scale",
        help="How long before the lease ends the task counts as lost; longer than the grace, so "
        "that the command is dead before anybody else may get the task.",
    ),
    ATTEMPT_TIMEOUT,
    time_scale("; interval, ack-timeout and lease-timeout are by its time"),
    REGION,
    ENDPOINT,
    option("--quiet", "-q", is_flag=True, help="Say nothing but errors."),
)
