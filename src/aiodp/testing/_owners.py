"""Whether two workers ever had the same work in hand at one time.

The service gives an instance to one task at a time, so its own record cannot show a worker that
goes on with a task which was taken from it. The worker's calls show it: a call about a task which
has another owner by then comes from a worker that still had it in hand.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from aiodp._core.text import shorten
from aiodp.emulator._model.audit import AuditEvent, AuditKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from aiodp.emulator._model.audit import Audit

_LOST: Final = {
    AuditKind.REASSIGNED: "did not acknowledge it",
    AuditKind.LAPSED: "fell silent",
    AuditKind.CANCELED: "was canceled",
}


def assert_single_owner(audit: Audit, excused: Collection[str] = ()) -> None:
    """Raise `AssertionError` if two workers ever had one instance in hand at one time.

    `excused`: ids of tasks which the test itself took from their workers.
    """
    __tracebackhide__ = True
    audit.assert_single_owner()
    overlaps = list(_overlaps(audit, excused))
    if overlaps:
        heading = "two workers had the same work in hand at once:"
        raise AssertionError("\n".join([heading, *overlaps]))


def live_tasks(audit: Audit) -> set[str]:
    """Return the ids of the tasks which somebody holds."""
    live: set[str] = set()
    for event in audit:
        if event.kind is AuditKind.ASSIGNED:
            live.add(event.task_id)
        elif event.kind in _LOST or event.kind is AuditKind.STATUS:
            live.discard(event.task_id)
    return live


def _overlaps(audit: Audit, excused: Collection[str]) -> Iterator[str]:
    by_instance: defaultdict[tuple[str, str], list[AuditEvent]] = defaultdict(list)
    for event in audit:
        by_instance[event.pipeline_id, event.instance_id].append(event)
    for events in by_instance.values():
        yield from _overlaps_in(events, excused)


def _overlaps_in(events: list[AuditEvent], excused: Collection[str]) -> Iterator[str]:
    lost: dict[str, AuditEvent] = {}
    owner: AuditEvent | None = None
    for event in events:
        if event.kind is AuditKind.ASSIGNED:
            owner = event
        elif event.kind in _LOST and event.task_id not in excused:
            lost[event.task_id] = event
        elif event.kind is AuditKind.REFUSED and owner is not None and event.task_id in lost:
            loss = lost[event.task_id]
            if owner.task_id != event.task_id:
                del lost[event.task_id]  # to be said once
                yield _sentence(loss, owner, event)


def _sentence(loss: AuditEvent, owner: AuditEvent, late: AuditEvent) -> str:
    detail = f" ({loss.detail})" if loss.detail else ""
    return (
        f"  {loss.instance_id}: {_worker(loss)} {_LOST[loss.kind]}{detail} "
        f"and lost it at {loss.at:.0f} s, {_worker(owner)} got it at {owner.at:.0f} s, "
        f"and at {late.at:.0f} s {_worker(late)} still called the service about it"
    )


def _worker(event: AuditEvent) -> str:
    return f"{event.hostname or 'a worker'} (task {shorten(event.task_id)})"
