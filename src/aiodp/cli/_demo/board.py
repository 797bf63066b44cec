"""What the demo knows of its tasks, from the workers' side: one entry for each handing-out."""

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
    """How far a worker is with what it was given."""

    ASSIGNED = "assigned"
    HELD = "held"
    SILENT = "silent"
    FINISHED = "finished"
    CANCELED = "canceled"
    LOST = "lost"
    BROKEN = "broken"


OVER: Final = frozenset({Stage.FINISHED, Stage.CANCELED, Stage.LOST, Stage.BROKEN})


@dataclass(slots=True, kw_only=True, eq=False)
class Entry:
    """One handing-out of a task. Times are on the scale of `anyio.current_time()`."""

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
    tracked: TrackedTask | None = None
    silent_until: float | None = None
    told: bool = False
    cleaned_up: bool = False
    reason: str = ""
    ended_at: float | None = None
    """When its worker heard that it was over, on the scale of the service's clock."""

    @property
    def deadline(self) -> float | None:
        """When the service may give the task away; None before it is held and once it is over."""
        if self.stage in OVER:
            return None
        return self.silent_until if self.tracked is None else self.tracked.deadline

    @property
    def holding(self) -> bool:
        """Whether the reporter holds it now."""
        return self.tracked is not None and self.tracked.state is LeaseState.HELD


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something to tell: an entry's new stage, or a text of its own. `at` is in real seconds."""

    at: float
    text: str
    stage: Stage | None = None


@dataclass(slots=True, eq=False)
class Board:
    """Where the workers write down what becomes of their tasks, for those who watch."""

    service_clock: Callable[[], float]
    entries: list[Entry] = field(default_factory=list)
    happenings: list[Happening] = field(default_factory=list)
    to_be_canceled: set[str] = field(default_factory=set)
    """Instances for which the demo asked the service to cancel them."""
    most_held: int = 0
    statistics: Callable[[], Statistics] | None = None
    """The reporter's, as soon as there is one."""
    started_at: float = field(default_factory=time.monotonic)
    _changed: anyio.Event = field(default_factory=anyio.Event)

    def add(self, entry: Entry) -> None:
        """Write down a task that was just handed out; whoever had it before has lost it."""
        for earlier in self.of(entry.instance_id):
            self.end(earlier, Stage.LOST, f"given away as attempt {entry.attempt}")
            self.say(f"{earlier.label}: {earlier.reason}, for its worker was silent")
        self.entries.append(entry)
        self._notify()

    def hold(self, entry: Entry, task: TrackedTask) -> None:
        """Write down that the reporter holds it from now on."""
        entry.tracked = task
        self.most_held = max(self.most_held, sum(each.holding for each in self.entries))
        self.move(entry, Stage.HELD)

    def move(self, entry: Entry, stage: Stage) -> None:
        """Write down an entry's next stage."""
        entry.stage = stage
        self.happenings.append(Happening(at=self.elapsed, text=entry.label, stage=stage))
        self._notify()

    def end(self, entry: Entry, stage: Stage, reason: str = "") -> None:
        """Write down how it ended for its worker."""
        entry.ended_at = self.service_clock()
        entry.reason = reason or entry.reason
        self.move(entry, stage)

    def say(self, text: str) -> None:
        """Tell those who watch; may be called from any thread."""
        self.happenings.append(Happening(at=self.elapsed, text=text))

    def of(self, instance_id: str) -> Iterator[Entry]:
        """Return the handings-out of one task that are not over."""
        return (e for e in self.entries if e.instance_id == instance_id and e.stage not in OVER)

    def count(self, *stages: Stage) -> int:
        """Return how many entries are at these stages."""
        return sum(entry.stage in stages for entry in self.entries)

    @property
    def elapsed(self) -> float:
        """Real seconds since the demo began."""
        return time.monotonic() - self.started_at

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when the condition holds; it is looked at after each change."""
        while not condition():
            await self._changed.wait()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
