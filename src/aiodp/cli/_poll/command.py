"""`aiodp poll`: polls once for a task, and prints it."""

from __future__ import annotations

import json
import logging
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

import anyio
import click
from aiobotocore.session import get_session

from aiodp._aws.errors import describe
from aiodp._aws.runner_transport import open_poll_transport
from aiodp._core.fields import Ref
from aiodp._core.text import printable
from aiodp._errors import CallFailed, ReportRejected
from aiodp._runner.polling import check_names, poll_once
from aiodp._types import Outcome
from aiodp.cli._command import command
from aiodp.cli._names import named_as_options
from aiodp.cli._params import ENDPOINT, REGION, option, with_parameters

if TYPE_CHECKING:
    from aiodp import ObjectField, PipelineObject, TaskObject

EXIT_CODES: Final = """\b
Exit codes:
  0    there is a task, and it is printed
  2    wrong usage, nothing was sent
  3    there is no task
  4    the poll failed, another one may succeed
  123  credentials, permission, region or endpoint do not allow the poll"""


class Exit(IntEnum):
    """Exit codes of `aiodp poll`."""

    TASK = 0
    NO_TASK = 3
    FAILED = 4
    REJECTED = 123


class _FailedError(click.ClickException):
    exit_code = int(Exit.FAILED)


class _RejectedError(click.ClickException):
    exit_code = int(Exit.REJECTED)


@command(epilog=EXIT_CODES)
@with_parameters(
    option(
        *("--worker-group", "--workerGroup", "worker_group"),
        required=True,
        metavar="NAME",
        help="Worker group to poll for.",
    ),
    option(
        "--hostname",
        metavar="NAME",
        help="Of this machine, as the service shows it. By default the system's.",
    ),
    REGION,
    ENDPOINT,
)
def poll(
    *, worker_group: str, hostname: str | None, region: str | None, endpoint_url: str | None
) -> int:
    """Poll once for a task, and print it.

    The service answers at once if there is a task, else after 90 seconds. Printed are the
    task's id, on a line, and the task as a JSON object, on another.

    From then on you have two minutes to let aiodp hold keep the task alive. If you do
    not, or end this command while it polls, the service offers the task again.
    """
    logging.getLogger().addHandler(logging.NullHandler())  # the exit code and a line say it all
    try:
        names = check_names(worker_group, hostname)
    except ValueError as error:
        message = f"{str(error).replace('worker_group', 'worker-group', 1)}."
        raise click.UsageError(f"--{message}", click.get_current_context()) from error

    async def run() -> TaskObject | Outcome | None:
        async with open_poll_transport(
            get_session(), region_name=region, endpoint_url=endpoint_url, config=None
        ) as transport:
            return await poll_once(transport, *names)

    try:
        found = anyio.run(run)
    except ReportRejected as error:
        raise _RejectedError(named_as_options(str(error))) from error
    except CallFailed as error:
        raise _FailedError(str(error)) from error
    if isinstance(found, Outcome):
        raise _FailedError(f"the poll failed: {describe(found.error)}")
    if found is None:
        return Exit.NO_TASK
    _print(found)
    return Exit.TASK


def _print(task: TaskObject) -> None:
    try:
        click.echo(f"{printable(task.task_id)}\n{json.dumps(as_json(task))}")
    except OSError as error:  # who reads it is gone: the service offers the task again
        raise _FailedError(f"the task cannot be printed: {error.strerror}") from error


def as_json(task: TaskObject) -> dict[str, Any]:
    """Return a task as it is printed, in the form of a definition file."""
    return {
        "taskId": task.task_id,
        "pipelineId": task.pipeline_id,
        "attemptId": task.attempt_id,
        "type": task.type,
        "fields": _fields(task.attempt),
        "objects": {object_id: _fields(one) for object_id, one in task.objects.items()},
    }


def _fields(one: PipelineObject) -> dict[str, Any]:
    return {key: _value(field) for key, field in one.fields.items()}


def _value(field: ObjectField) -> Any:
    if isinstance(field, list):
        return [_value(part) for part in field]
    return {"ref": field.object_id} if isinstance(field, Ref) else field
