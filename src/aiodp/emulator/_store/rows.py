"""The records of the service as rows: their attributes in JSON, save those that follow from others.

A row's members are the attributes of its record. JSON has no infinity: an infinite time is null.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, TypeVar

from msgspec import Struct, json

from aiodp.emulator._definition.fields import Fields  # noqa: TC001 - msgspec reads the annotations
from aiodp.emulator._definition.slots import Slots  # noqa: TC001
from aiodp.emulator._model.listing.ends import Health  # noqa: TC001
from aiodp.emulator._model.records import (
    Attempt,
    Instance,
    Pipeline,
    Status,
    Task,
    TaskState,
    Timeline,
)
from aiodp.emulator._model.timers import Due, Timed

if TYPE_CHECKING:
    from aiodp.emulator._model.changes import Persisted
    from aiodp.emulator._model.timers import Timers

    Value = TypeVar("Value")

Timings = dict[Due, tuple[float | None, int]]
"""What is due when, and its order among what is due at that time."""


class PipelineRow(Struct):
    """Of a pipeline; its definitions are rows of their own."""

    created_at: float
    description: str | None
    tags: list[dict[str, str]]
    state: Status
    deleted: bool
    helper: bool
    version: int
    paused: set[str]
    first_activated_at: float | None
    latest_run_at: float | None
    finished_at: float | None
    deactivated_at: float | None
    errors: dict[str, str]


class TimelineRow(Struct):
    """Of a timeline."""

    slots: Slots | None
    next_slot: int
    made_at: float | None
    timers: Timings


class InstanceRow(Struct):
    """Of an instance; its part follows from its component."""

    timeline: str
    scheduled_at: float
    ends_at: float
    runs_at: float
    status: Status
    version: int
    plan_number: int
    runs_on: str | None
    guards: str | None
    preconditions: tuple[str, ...]
    resource_id: str | None
    cascaded_on: str | None
    reason: str | None
    rerun: bool
    max_retries: int
    tries_left: int
    started_at: float | None
    ended_at: float | None
    health: Health | None
    checks: int
    checked_at: float | None
    timers: Timings


class AttemptRow(Struct):
    """Of an attempt; its task is the one which is ASSIGNED or HELD."""

    status: Status
    worker_group: str | None
    lease_timeout: float | None
    place: int | None
    hostname: str
    reported: Fields
    outcome: Fields
    started_at: float | None
    reported_at: float | None
    ended_at: float | None
    timers: Timings


class TaskRow(Struct):
    """Of a task."""

    assigned_at: float
    state: TaskState
    hostname: str
    reports: int
    told_canceled: bool
    timers: Timings


ROWS: Final[dict[type[Persisted], type[Struct]]] = {
    Pipeline: PipelineRow,
    Timeline: TimelineRow,
    Instance: InstanceRow,
    Attempt: AttemptRow,
    Task: TaskRow,
}


def encode(value: Any) -> str:
    """Return a plain value, such as a dataclass, in JSON."""
    return json.encode(value).decode()


def decode(data: str, kind: type[Value]) -> Value:
    """Return the value; raises `ValueError` if it is no such thing."""
    return json.decode(data, type=kind)


def encode_record(record: Persisted, kind: type[Persisted]) -> str:
    """Return a record of this kind as its row."""
    values = {name: getattr(record, name) for name in ROWS[kind].__struct_fields__}
    if isinstance(record, Timed):
        timers = [timer for timer in record.timers.values() if timer.due is not None]
        values["timers"] = {timer.kind: (timer.due, timer.order) for timer in timers}
    return encode(values)


def fill(record: Persisted, kind: type[Persisted], data: str, timers: Timers) -> None:
    """Give a record the attributes of its row, and let its timers run."""
    row = decode(data, ROWS[kind])
    for name in ROWS[kind].__struct_fields__:
        if name != "timers":
            setattr(record, name, getattr(row, name))
        elif isinstance(record, Timed):
            _set(record, getattr(row, name), timers)
    if isinstance(row, AttemptRow) and row.lease_timeout is None:
        record.lease_timeout = math.inf  # type: ignore[attr-defined]  # of an attempt


def _set(record: Timed, timings: Timings, timers: Timers) -> None:
    for due, (when, order) in timings.items():
        timers.restore(record, due, math.inf if when is None else when, order)
