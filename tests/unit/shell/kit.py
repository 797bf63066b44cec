"""A task without a service behind it, and looks at processes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

import anyio
from aiobotocore.session import get_session

from aiodp import LeaseLost, LostReason, Ref
from aiodp._concurrency import interruptible
from aiodp._core.objects import parse_object, read_assignment
from aiodp.shell import ShellHandler

if TYPE_CHECKING:
    from aiodp._runner.task import Task

TOO_LONG = 60
ACTIVITY = "ShellCommandActivity"
ATTEMPT = "@Work_2026-01-01T00:00:00_Attempt=1"
IGNORES_TERM = 'trap "" TERM; while :; do sleep 0.05; done'
"""A command that SIGTERM does not end."""


def wire_object(object_id, fields):
    """An object as PollForTask gives it; a list is a repeated field."""
    wire = []
    for key, value in fields.items():
        for item in value if isinstance(value, list) else [value]:
            text = {"refValue": item.object_id} if isinstance(item, Ref) else {"stringValue": item}
            wire.append({"key": key, **text})
    return {"id": object_id, "name": object_id, "fields": wire}


class Event:
    def __init__(self):
        self.happened = False

    def is_set(self):
        return self.happened


class FakeTask:
    """A task as far as the handler looks at it.

    `nodes` come along with it, `asked` only if the handler asks for them.
    """

    def __init__(
        self, fields, *, kind=ACTIVITY, attempt_id=ATTEMPT, pipeline_id="df-1", nodes=(), asked=()
    ):
        attempt = wire_object(attempt_id, {"type": kind, **fields})
        assignment = read_assignment(
            {
                "taskId": "task",
                "pipelineId": pipeline_id,
                "attemptId": attempt_id,
                "objects": {wire["id"]: wire for wire in (attempt, *nodes)},
            },
            0.0,
        )
        self.task_id = "task"
        self.pipeline_id = pipeline_id
        self.attempt_id = attempt_id
        self.attempt = assignment.attempt
        self.objects = assignment.objects
        self.fields = assignment.attempt.fields
        self.type = kind
        self.is_precondition = kind.endswith("Precondition")
        self.canceled, self.lost = Event(), Event()
        self.deadline = anyio.current_time() + 3600
        self.statuses = []
        self._asked = {wire["id"]: parse_object(wire) for wire in asked}

    async def describe(self, object_ids):
        for object_id in object_ids:
            if object_id in self._asked:
                yield self._asked[object_id]

    def update(self, **fields):
        self.statuses.append(fields["attemptStatus"])

    def raise_if_ended(self):
        if self.lost.is_set():
            raise LeaseLost("lost", task_id="task", reason=LostReason.EXPIRED)


def logs(output: Path) -> Path:
    return output / "logs" / "df-1" / "Work" / "@Work_2026-01-01T00:00:00" / ATTEMPT


async def handle(task: FakeTask, output: Path, *, session=None, **options):
    """Have the task done by a handler with these options."""
    handler = ShellHandler(session or get_session(), output=output, **options)
    with anyio.fail_after(TOO_LONG):
        return await handler(cast("Task", task))


async def interrupt(task: FakeTask, output: Path, *, when, **options):
    """Have the task done, interrupt that once something is true, and wait for its end.

    As a runner does: the cancellation comes once.
    """

    async def interrupt_then():
        await eventually(when)
        stop()

    async with interruptible() as stop, anyio.create_task_group() as group:
        group.start_soon(interrupt_then)
        await handle(task, output, **options)


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def group_alive(group: int) -> bool:
    """Whether a process of the group runs."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            after = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(after[2]) == group and after[0] != "Z":
            return True
    return False


def filled(path: Path):
    return lambda: path.exists() and path.stat().st_size > 0


async def eventually(condition) -> None:
    deadline = time.monotonic() + TOO_LONG
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        await anyio.sleep(0.01)
