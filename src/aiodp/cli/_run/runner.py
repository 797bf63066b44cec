"""Makes the task runner from the options of `aiodp run`."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

from aiodp import TaskRunner
from aiodp.cli._run.handlers import OTHER_TYPES, has_sql, register, types_text, with_own
from aiodp.shell import ShellHandler
from aiodp.sql import CopyHandler, SqlHandler

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aiobotocore.session import AioSession

    from aiodp._runner.handlers import Handler
    from aiodp.cli._run.options import Options

_OPTION_NAMES: Final = {
    "worker_group": "--worker-group",
    "taskrunner_id": "--taskrunner-id",
    "hostname": "--hostname",
    "output": "--output",
    "log_uri": "--log-uri",
    "grace": "--grace",
}
"""The option for each argument that the runner and its handler check."""


def make_runner(
    options: Options,
    handlers: Mapping[str, Handler],
    session: AioSession,
    region: str,
) -> tuple[TaskRunner, str]:
    """Return the runner, and which types it does.

    Raises `click.UsageError` for a value that it or its handler refuses.
    """
    leave = options.unsupported == "leave"
    with _named_as_options():
        shell = ShellHandler(
            session,
            output=options.output,
            log_uri=options.log_uri,
            region_name=region,
            grace=options.command_grace,
            max_output=options.max_output,
        )
        sql = [make(session, region_name=region) for make in (SqlHandler, CopyHandler)]
        handlers = with_own(handlers, [shell, *(sql if has_sql() else ())], leave=leave)
        runner = TaskRunner(
            session,
            worker_group=options.worker_group,
            handler=handlers.get(OTHER_TYPES),
            max_concurrency=options.tasks,
            taskrunner_id=options.taskrunner_id,
            hostname=options.hostname,
            drain_timeout=options.drain_timeout,
            handle_signals=False,
            unsupported=options.unsupported,
            **options.timings() | {"region_name": region, "endpoint_url": options.endpoint_url},
        )
        register(runner, handlers)
    return runner, types_text(handlers, leave=leave)


@contextmanager
def _named_as_options() -> Iterator[None]:
    """Raise a `ValueError` as a `click.UsageError` with the option's name."""
    try:
        yield
    except ValueError as error:
        names = "|".join(_OPTION_NAMES)
        message = re.sub(
            rf"\b({names})\b", lambda match: _OPTION_NAMES[match[1]], str(error), count=1
        )
        raise click.UsageError(f"{message}.", click.get_current_context()) from error
