"""What the demo's workers record about their tasks: an entry each time a task is handed out."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import anyio

from aiodp import LeaseState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aiodp import Statistics, TrackedTask


class Stage(StrEnum):
    """The state of an entry, as its worker sees it."""

    ASSIGNED = "assigned"
    HELD = "held"
    SILENT = "silent"
    FINISHED = "finished"
    CANCELED = "canceled"
    LOST = "lost"
    FAILED = "failed"


ENDED: Final = frozenset({Stage.FINISHED, Stage.CANCELED, Stage.LOST, Stage.FAILED})


@dataclass(slots=True, kw_only=True, eq=False)
class Entry:
    """One assignment of a task to a worker. Times are those of `anyio.current_time()`."""

    label: str
    component: str
    task_id: str
    instance_id: str
    attempt: int
    assigned_at: float
    steps: int = 0
    command: str = ""
    stage: Stage = Stage.ASSIGNED
    percent: int | None = None
    progress_reported: bool = False
    """Whether the service has taken a report that was sent after the first progress."""
    tracked: TrackedTask | None = None
    silent_until: float | None = None
    canceled_set: bool = False
    """Whether the task's event `canceled` was set when the work ended."""
    cleaned_up: bool = False
    reason: str = ""
    ended_at: float | None = None
    """When its worker knew the end, by the service's clock."""

    @property
    def deadline(self) -> float | None:
        """When the service may assign the task again; None before the lease and after the end."""
        if self.stage in ENDED:
            return None
        return self.silent_until if self.tracked is None else self.tracked.deadline

    @property
    def held(self) -> bool:
        """Whether the reporter holds the task now."""
        return self.tracked is not None and self.tracked.state is LeaseState.HELD


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A new stage of an entry, or another text to show. `at` is in real seconds."""

    at: float
    text: str
    stage: Stage | None = None


@dataclass(slots=True, eq=False)
class TaskLog:
    """The entries of all tasks, and the events that the views show."""

    service_clock: Callable[[], float]
    entries: list[Entry] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    cancel_requested: set[str] = field(default_factory=set)
    """Instances that the demo has asked the service to cancel."""
    max_held: int = 0
    statistics: Callable[[], Statistics] | None = None
    """The reporter's, once there is a reporter."""
    started_at: float = field(default_factory=time.monotonic)
    _changed: anyio.Event = field(default_factory=anyio.Event)

    def add(self, entry: Entry) -> None:
        """Add a task that was just handed out; an earlier worker of it has lost it."""
        for earlier in self.open_entries(entry.instance_id):
            self.end(earlier, Stage.LOST, f"given away as attempt {entry.attempt}")
            self.add_text(f"{earlier.label}: {earlier.reason}, for its worker was silent")
        self.entries.append(entry)
        self._notify()

    def set_held(self, entry: Entry, task: TrackedTask) -> None:
        """Record that the reporter holds the task from now on."""
        entry.tracked = task
        self.max_held = max(self.max_held, sum(entry.held for entry in self.entries))
        self.set_stage(entry, Stage.HELD)

    def set_stage(self, entry: Entry, stage: Stage) -> None:
        """Record the next stage of an entry."""
        entry.stage = stage
        self.events.append(Event(at=self.elapsed, text=entry.label, stage=stage))
        self._notify()

    def end(self, entry: Entry, stage: Stage, reason: str = "") -> None:
        """Record how a task ended for its worker."""
        entry.ended_at = self.service_clock()
        entry.reason = reason or entry.reason
        self.set_stage(entry, stage)

    def add_text(self, text: str) -> None:
        """Record a text to show. May be called from any thread."""
        self.events.append(Event(at=self.elapsed, text=text))

    def open_entries(self, instance_id: str) -> Iterator[Entry]:
        """Return the entries of one task that have not ended."""
        return (e for e in self.entries if e.instance_id == instance_id and e.stage not in ENDED)

    def count(self, *stages: Stage) -> int:
        """Return how many entries are at these stages."""
        return sum(entry.stage in stages for entry in self.entries)

    @property
    def elapsed(self) -> float:
        """Real seconds since the demo started."""
        return time.monotonic() - self.started_at

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return once the condition holds; it is evaluated after each change."""
        while not condition():
            await self._changed.wait()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
