"""The fields by which instances and attempts are found, each of which is read without the others.

They are those on which the operators of QueryObjects act (the API reference of Operator).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiodp.emulator._model.records import Attempt, Instance

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiodp.emulator._calendar import Calendar

Run = Instance | Attempt

REFERENCES: Final = frozenset({"parent", "@componentParent", "@instanceParent"})
FOUND_BY: Final[dict[str, Callable[[Run, Calendar], str | None]]] = {
    "@componentParent": lambda run, _: _instance(run).component.id,
    "parent": lambda run, _: _instance(run).component.id,
    "@instanceParent": lambda run, _: run.instance.id if isinstance(run, Attempt) else None,
    "@sphere": lambda run, _: "ATTEMPT" if isinstance(run, Attempt) else "INSTANCE",
    "@status": lambda run, _: run.status.value,
    "@scheduledStartTime": lambda run, calendar: calendar.stamp(_instance(run).scheduled_at),
    "@scheduledEndTime": lambda run, calendar: calendar.stamp(_instance(run).ends_at),
    "@actualStartTime": lambda run, calendar: calendar.maybe(run.started_at),
    "@actualEndTime": lambda run, calendar: calendar.maybe(run.ended_at),
}


def _instance(run: Run) -> Instance:
    return run.instance if isinstance(run, Attempt) else run
