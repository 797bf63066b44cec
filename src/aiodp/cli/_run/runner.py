"""Makes the task runner from the options of `aiodp run`."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import click

from aiodp import ReporterOptions, TaskRunner
from aiodp.cli import hint
from aiodp.cli._run.handlers import OTHER_TYPES, ShellFallback, register
from aiodp.shell import ShellHandler

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aiobotocore.session import AioSession

    from aiodp._runner.handlers import Handler
    from aiodp.cli._run.options import Options

_GRACE: Final = 10.0
_SPARE: Final = 5.0
"""Seconds between the killing of a lost task's command and the deadline."""
_LONGEST_GRACE: Final = 25.0
"""Seconds. A runner that stops gives handlers 30, in which a command must have ended."""
_NAMES: Final = {
    "worker_group": "--worker-group",
    "taskrunner_id": "--taskrunner-id",
    "hostname": "--hostname",
    "output": "--output",
    "log_uri": "--log-uri",
}
"""The options behind the arguments that the runner and its handler check."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast the service's time passes, and how long commands may take to end, in our seconds."""

    scale: float
    grace: float

    @classmethod
    def of(cls, options: Options) -> Self:
        """Return what the options say; raise `click.BadParameter` for a grace beyond a lease."""
        scale = options.time_scale
        given = options.grace
        pace = cls(scale=scale, grace=_GRACE / scale if given is None else given)
        longest = _LONGEST_GRACE / scale
        if pace.grace > longest:
            raise click.BadParameter(
                f"{pace.grace:g} s are more than {longest:g} s"
                f"{'' if scale == 1 else f' at --time-scale {scale:g}'}: commands must have ended "
                f"before the runner does, and before the shortest lease.",
                ctx=click.get_current_context(),
                param_hint="'--grace'",
            )
        return pace

    @property
    def timing(self) -> ReporterOptions:
        """For the runner: a lost task is given up early enough for its command to be killed."""
        margin = self.grace + _SPARE / self.scale
        if self.scale == 1:
            return ReporterOptions(safety_margin=margin)
        with _extras():
            from aiodp.testing import scaled  # noqa: PLC0415 - needs an extra
        fast = scaled(self.scale)
        return ReporterOptions(
            interval=fast["interval"],
            ack_timeout=fast["ack_timeout"],
            lease_timeout=fast["lease_timeout"],
            safety_margin=max(margin, fast["safety_margin"]),
            attempt_timeout=fast["attempt_timeout"],
            quota=fast["quota"],
        )


def make_runner(
    options: Options,
    pace: Pace,
    handlers: Mapping[str, Handler],
    session: AioSession,
    region: str,
) -> TaskRunner:
    """Return the runner; raise `click.UsageError` for what it, or the shell handler, refuses."""
    with _named_as_options():
        shell = ShellHandler(
            session,
            output=options.output,
            log_uri=options.log_uri,
            region_name=region,
            grace=pace.grace,
            max_output=options.max_output,
        )
        runner = TaskRunner(
            session,
            worker_group=options.worker_group,
            handler=handlers.get(OTHER_TYPES) or ShellFallback(shell),
            max_concurrency=options.tasks,
            taskrunner_id=options.taskrunner_id,
            hostname=options.hostname,
            drain_timeout=options.drain_timeout,
            handle_signals=False,
            **pace.timing | {"region_name": region, "endpoint_url": options.endpoint_url},
        )
        register(runner, handlers)
    return runner


@contextmanager
def _extras() -> Iterator[None]:
    """Say what to install where the import of an extra's module fails."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"--time-scale needs the module {error.name}; {hint('emulate')}"
        ) from error


@contextmanager
def _named_as_options() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        names = "|".join(_NAMES)
        message = re.sub(rf"\b({names})\b", lambda found: _NAMES[found[1]], str(error), count=1)
        raise click.UsageError(f"{message}.", click.get_current_context()) from error
