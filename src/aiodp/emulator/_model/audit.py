"""A record of who was given which task when, from which single ownership can be proved."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from enum import StrEnum, auto
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from aiodp.emulator._model.records import Attempt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiodp.emulator._model.records import Instance, Task


class AuditKind(StrEnum):
    """What happened to a task or to a call about it."""

    OFFERED = auto()
    ASSIGNED = auto()
    ACKNOWLEDGED = auto()
    PROGRESS = auto()
    CANCELED = auto()
    """Canceled or deleted in the service; its worker may not know yet."""
    CANCELED_TOLD = auto()
    REASSIGNED = auto()
    """Never acknowledged, so the attempt is offered again and the task id is invalid."""
    LAPSED = auto()
    """Not reported within its lease, so the attempt failed and the task id is invalid."""
    STATUS = auto()
    REFUSED = auto()
    ACTION = auto()
    """An instance's `onSuccess`, `onFail` or `onLateAction` was done; `detail`: its id."""


MAX_EVENTS: Final = 100_000
DROPPED_AT_ONCE: Final = 10_000
_ENDS: Final = frozenset(
    {AuditKind.CANCELED, AuditKind.REASSIGNED, AuditKind.LAPSED, AuditKind.STATUS},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One event, at a time of the service's clock."""

    at: float
    kind: AuditKind
    task_id: str
    attempt_id: str
    instance_id: str
    pipeline_id: str
    worker_group: str
    hostname: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """The time, from `start` to before `end` (`None`: still), in which a task was held."""

    task_id: str
    attempt_id: str
    hostname: str
    start: float
    end: float | None


class Audit(list[AuditEvent]):
    """All events in their order, or the latest hundred thousand if there were more."""

    def __init__(self) -> None:
        super().__init__()
        self.dropped = 0
        """How many events were dropped, because there were so many newer ones."""
        self._by_task: defaultdict[str, deque[AuditEvent]] = defaultdict(deque)

    def note(
        self,
        kind: AuditKind,
        subject: Attempt | Instance,
        at: float,
        task: Task | None = None,
        detail: str = "",
    ) -> None:
        """Add an event, which is the newest."""
        attempt = subject if isinstance(subject, Attempt) else subject.head
        instance = subject.instance if isinstance(subject, Attempt) else subject
        event = AuditEvent(
            at=at,
            kind=kind,
            task_id=task.id if task else "",
            attempt_id=attempt.id if attempt else "",
            instance_id=instance.id,
            pipeline_id=instance.pipeline.id,
            worker_group=(attempt.worker_group or "") if attempt else "",
            hostname=task.hostname if task else "",
            detail=detail,
        )
        self.add(event)

    def add(self, event: AuditEvent) -> None:
        """Add an event: a new one, or one from a store."""
        self.append(event)
        self._by_task[event.task_id].append(event)
        if len(self) >= MAX_EVENTS + DROPPED_AT_ONCE:
            self._drop(DROPPED_AT_ONCE)

    def page(self, since: int, most: int | None = None) -> tuple[int, list[AuditEvent]]:
        """Return the number of an event, and it and the later ones, `most` at most.

        It is the event `since`, counted from 0, or else the first of those which were not dropped.
        """
        start = max(0, since - self.dropped)
        return start + self.dropped, self[start : None if most is None else start + most]

    def of(self, task_id: str, *kinds: AuditKind) -> list[AuditEvent]:
        """Return the events of a task, of these kinds or of all."""
        events = self._by_task.get(task_id, ())
        return [event for event in events if not kinds or event.kind in kinds]

    def owners(self, object_id: str, pipeline_id: str | None = None) -> list[Ownership]:
        """Return who owned an attempt or an instance, by its id, in the order of handing out.

        Equal objects of different pipelines have equal ids, so name the pipeline if there are more.
        """
        events = [
            event
            for event in self
            if object_id in (event.attempt_id, event.instance_id)
            and pipeline_id in (None, event.pipeline_id)
        ]
        return list(ownerships(events))

    def _drop(self, count: int) -> None:
        for event in self[:count]:
            events = self._by_task[event.task_id]
            events.popleft()
            if not events:
                del self._by_task[event.task_id]
        del self[:count]
        self.dropped += count

    def assert_single_owner(self) -> None:
        """Raise `AssertionError` if any instance ever had two owners at one time."""
        by_instance: dict[tuple[str, str], list[AuditEvent]] = {}
        for event in self:
            by_instance.setdefault((event.pipeline_id, event.instance_id), []).append(event)
        for (_, instance_id), events in by_instance.items():
            for earlier, later in pairwise(ownerships(events)):
                if earlier.end is None or earlier.end > later.start:
                    raise AssertionError(f"{instance_id} had two owners: {earlier} and {later}")


def ownerships(events: list[AuditEvent]) -> Iterator[Ownership]:
    """Yield who owned what these events are about, in the order of handing out."""
    ends: dict[str, float] = {}
    for event in events:
        if event.kind in _ENDS:
            ends.setdefault(event.task_id, event.at)
    for event in events:
        if event.kind is AuditKind.ASSIGNED:
            yield Ownership(
                task_id=event.task_id,
                attempt_id=event.attempt_id,
                hostname=event.hostname,
                start=event.at,
                end=ends.get(event.task_id),
            )
