"""What happened in a run, as the workers and the network saw it, and which promises it broke."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from aiodp import LeaseState, LostReason, ReportKind
from aiodp._reporter.task import record_of
from aiodp.testing import AuditKind
from virtual.fake_transport import read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiodp import TrackedTask
    from aiodp.emulator._model.replies import Answer
    from aiodp.testing import Audit

INVARIANTS: Final = {
    "one owner": "no step of work while somebody else has it and the task does not say so",
    "interrupted": "no step of obedient work after its task has ended",
    "cancel heard": "a cancellation is heard while the service can be reached",
    "lease kept": "no lease runs out while the service can be reached",
    "status once": "no second status where the first may have been applied",
    "status kept": "the status of finished work arrives while the service can be reached",
    "status true": "a status says what the work said, and no cancellation is made up",
    "silent end": "no call about a task after its end",
    "nothing left": "no task, call, record or permit is left behind",
    "ends": "everything comes to an end in bounded time",
    "no crash": "the library raises no error that is not its own, and logs no fault of its own",
}
"""What each run is checked for."""

_APPLIED_NEVER: Final = frozenset(
    {ReportKind.THROTTLED, ReportKind.INVALID, ReportKind.CONFIGURATION, ReportKind.REFUSED}
)
_OVER: Final = (LeaseState.CANCELED, LeaseState.LOST)
_NOTICE: Final = 1.01
"""Seconds in which it must be noticed that the machine was suspended."""
_TAKEN: Final = (AuditKind.REASSIGNED, AuditKind.LAPSED, AuditKind.CANCELED)


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that did not hold."""

    invariant: str
    text: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.text}"


@dataclass(slots=True)
class Trouble:
    """A time in which the service could not be reached as usual."""

    start: float
    end: float


@dataclass(slots=True, eq=False)
class Work:
    """One piece of work, from its begin to its end; times are the service's."""

    task: TrackedTask
    process: str
    instance: tuple[str, str]
    began_at: float
    told_at: float | None = None
    """When the work could know that its task has ended."""
    lost_reason: LostReason | None = None
    deaf: bool = False
    """Whether it has ignored an interruption."""
    over_at: float | None = None
    """When it took its last step; it may clean up after that."""
    wanted: str | None = None
    """The status that it came to, if any."""
    wanted_at: float = 0.0
    told_itself: bool = False
    """Whether the work sets its status, and not its runner."""

    def __str__(self) -> str:
        return f"{self.instance[1]} in {self.process}, {self.task}"


@dataclass(slots=True, eq=False)
class TaskCalls:
    """The calls about one task."""

    owner: str
    statuses: Counter[str] = field(default_factory=Counter)
    """Calls by status which may have been applied."""
    invalid: bool = False
    """Whether a status was answered by InvalidRequest, which is final."""
    end: str = ""
    """Why no call may be made any more."""


class Journal:
    """All that is known of a run but what the service knows."""

    def __init__(self, audit: Audit, now: Any) -> None:
        self.audit = audit
        self.now = now
        self.violations: list[Violation] = []
        self.works: list[Work] = []
        self.calls: dict[str, TaskCalls] = {}
        self.log: list[str] = []
        """Every call and step, by which two runs of a seed are compared."""
        self.troubles: list[Trouble] = []
        self.counts: Counter[str] = Counter()
        self.woke_at = 0.0
        """When all processes went on after a pause."""
        self.stopped: dict[str, float] = {}
        """Processes that were killed or canceled, and when."""
        self.killed: set[str] = set()
        self._owners: dict[tuple[str, str], list[tuple[float, str]]] = {}
        self._read = 0

    def violate(self, invariant: str, text: object) -> None:
        assert invariant in INVARIANTS
        self.violations.append(Violation(invariant, f"at {self.now():.3f}: {text}"))

    # When the service could be reached

    def add_trouble(self, seconds: float, after: float) -> None:
        """Note a trouble from now on; calls that it caught may hang on for `after` seconds."""
        now = self.now()
        self.troubles.append(Trouble(now, now + seconds + after))

    def end_troubles(self, after: float) -> None:
        """Note that all is well again."""
        for trouble in self.troubles:
            trouble.end = min(trouble.end, self.now() + after)

    def reachable_until(self, start: float, seconds: float) -> float:
        """Return when, from `start` on, the service has been reachable for so long at a stretch."""
        for trouble in sorted(self.troubles, key=lambda trouble: trouble.start):
            if trouble.start >= start + seconds:
                break
            start = max(start, trouble.end)
        return start + seconds

    def is_quiet(self, start: float, end: float) -> bool:
        return all(trouble.end <= start or trouble.start >= end for trouble in self.troubles)

    # Calls, as the network sees them

    def begin_call(self, process: str, operation: str, members: dict[str, Any]) -> None:
        task_id = members.get("taskId", "")
        self.log.append(f"{self.now():.6f} {process} {operation} {task_id[-20:]}")
        if not task_id:
            return
        calls = self.calls.setdefault(task_id, TaskCalls(process))
        if calls.end:
            self.violate("silent end", f"{operation} of {task_id[-20:]} though {calls.end}")
        status = members.get("taskStatus")
        if status is None:
            return
        if others := [other for other in +calls.statuses if other != status]:
            self.violate("status once", f"{status} of {task_id[-20:]} after {others}")
        calls.statuses[status] += 1

    def end_call(self, operation: str, members: dict[str, Any], answer: Answer) -> None:
        """Note what a call was answered; not called for one that got no answer."""
        task_id = members.get("taskId", "")
        self.log.append(f"{self.now():.6f} {operation} {task_id[-20:]} {answer.outcome}")
        if not task_id:
            return
        content = read(answer)
        calls = self.calls[task_id]
        kind = None if isinstance(content, dict) else content.kind
        if operation == "SetTaskStatus":
            if kind is None:
                calls.end = f"{members['taskStatus']} was acknowledged"
            elif kind in _APPLIED_NEVER:
                calls.invalid |= kind is ReportKind.INVALID
                calls.statuses[members["taskStatus"]] -= 1
        elif isinstance(content, dict) and content.get("canceled") is True:
            calls.end = "a report was answered canceled"
        elif kind is ReportKind.REFUSED:
            calls.end = "a report was refused"

    def leave(self, task_id: str) -> None:
        """Note that a tracking block was left."""
        if task_id in self.calls and not self.calls[task_id].end:
            self.calls[task_id].end = "its block was left"

    # Work, as the workers see it

    def begin_work(self, task: TrackedTask, process: str, instance: tuple[str, str]) -> Work:
        work = Work(task, process, instance, self.now())
        self.works.append(work)
        return work

    def step(self, work: Work) -> None:
        """Check that work may be done now."""
        now = self.now()
        self.log.append(f"{now:.6f} {work.process} step {work.task.task_id[-20:]}")
        if work.process in self.stopped:
            return
        self.counts["steps of work"] += 1
        was_told = work.told_at
        self.look(work)
        must_know = now > self.woke_at + _NOTICE and not work.deaf
        if was_told is not None and now > was_told and must_know:
            self.violate("interrupted", f"{work} goes on, though it ended at {was_told:.3f}")
        elif (work.told_at is None or must_know) and (other := self._later_owner(work, now)):
            self.violate("one owner", f"{work} goes on, though given away at {other:.3f}")

    def look(self, work: Work) -> None:
        """Note whether the task of this work has ended, without any effect on it."""
        engine: Any = work.task._engine
        record, now = record_of(work.task), engine.clock.now()
        if work.told_at is None and (record.state in _OVER or record.lapsed(now)):
            work.told_at = self.now()
            work.lost_reason = record.lost_reason or LostReason.EXPIRED

    def tells_itself(self, task: TrackedTask) -> bool:
        """Return whether the work of a task is about to set its status."""
        return any(work.told_itself for work in self.works if work.task is task)

    def _later_owner(self, work: Work, now: float) -> float | None:
        """Return when somebody else got the instance after this task was handed out."""
        for event in self.audit[self._read :]:
            if event.kind is AuditKind.ASSIGNED:
                instance = event.pipeline_id, event.instance_id
                self._owners.setdefault(instance, []).append((event.at, event.task_id))
        self._read = len(self.audit)
        owners = iter(self._owners.get(work.instance, ()))
        for _, task_id in owners:
            if task_id == work.task.task_id:
                break
        return next((at for at, _ in owners if at < now), None)

    # What the service knows

    def end_in_service(self, work: Work) -> tuple[float, AuditKind, str] | None:
        """Return when and how the service ended the task of this work."""
        kinds = (*_TAKEN, AuditKind.STATUS)
        events = self.audit.of(work.task.task_id, *kinds)
        return (events[0].at, events[0].kind, events[0].detail) if events else None

    def lost_works(self) -> Iterator[Work]:
        """Yield the works whose leases ran out as their workers saw it."""
        for work in self.works:
            lost = work.task.state is LeaseState.LOST and work.lost_reason is LostReason.EXPIRED
            if lost and work.process not in self.stopped:
                yield work

    def was_made_up(self, work: Work) -> bool:
        """Return whether a task is canceled of which the service knows no cancellation."""
        canceled = work.task.state is LeaseState.CANCELED
        return canceled and not self.audit.of(work.task.task_id, AuditKind.CANCELED)
