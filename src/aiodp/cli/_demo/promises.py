"""The demo's promises, and whether the service's audit shows that they were kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiodp.cli._demo.task_log import Stage
from aiodp.emulator import Audit, AuditKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from aiodp import Statistics
    from aiodp.cli._demo.task_log import Entry
    from aiodp.emulator import AuditEvent

_CALLS: Final = (
    AuditKind.ACKNOWLEDGED,
    AuditKind.PROGRESS,
    AuditKind.CANCELED_TOLD,
    AuditKind.STATUS,
    AuditKind.REFUSED,
)
_GIVEN_AWAY: Final = (AuditKind.LAPSED, AuditKind.REASSIGNED)
_FINAL_STAGE: Final = {"FINISHED": Stage.FINISHED, "CANCELED": Stage.CANCELED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known when the demo has ended."""

    entries: tuple[Entry, ...]
    cancel_requested: frozenset[str]
    max_held: int
    events: Sequence[AuditEvent]
    """The service's audit."""
    statuses: Mapping[str, str]
    """By instance, from DescribeObjects."""
    progress: Mapping[str, str]
    """percentComplete by attempt, from DescribeObjects."""
    statistics: Statistics
    elapsed: float

    def at_stage(self, stage: Stage) -> list[Entry]:
        """Return the entries that ended at this stage."""
        return [entry for entry in self.entries if entry.stage is stage]

    @property
    def silent(self) -> list[Entry]:
        """The entries of the worker that went silent."""
        return [entry for entry in self.entries if entry.silent_until is not None]

    def events_of(self, task_id: str, *kinds: AuditKind) -> list[AuditEvent]:
        """Return the audit's events of one task id."""
        return [event for event in self.events if event.task_id == task_id and event.kind in kinds]

    def final_events(self, instance_id: str) -> list[AuditEvent]:
        """Return the audit's events that ended an instance."""
        return [
            event
            for event in self.events
            if event.instance_id == instance_id
            and (event.kind is AuditKind.CANCELED or event.detail == "FINISHED")
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A promise, and how it was broken: nothing if it was kept."""

    text: str
    broken_by: tuple[str, ...]

    @property
    def kept(self) -> bool:
        """Whether it was not broken."""
        return not self.broken_by


def judge(evidence: Evidence, *, tasks: int) -> list[Promise]:
    """Return all promises. `tasks` is the number of tasks in the demo."""
    numbers = evidence.statistics
    failed = sum(numbers.failed.values())
    checks: tuple[tuple[str, Callable[[Evidence], Iterator[str]]], ...] = (
        (f"each of the {tasks} tasks came to exactly one end", _one_end(tasks)),
        (f"one reporter held {evidence.max_held} of them at once", _all_at_once(tasks)),
        ("no task had two owners at any time", _one_owner),
        ("each canceled task was told, cleaned up, and got no status", _cancellations_arrived),
        ("the silent worker's task was given to another and finished once", _reassigned),
        ("no call was made for a task after its end", _no_late_call),
        ("no task was lost but those that the service gave away", _no_needless_loss),
        (
            f"{numbers.throttled} throttled and {failed} failed reports cost no lease",
            _survived_failures,
        ),
        ("the progress of the longer tasks reached the service", _progress_arrived),
    )
    return [Promise(text=text, broken_by=tuple(broken(evidence))) for text, broken in checks]


def _one_end(tasks: int) -> Callable[[Evidence], Iterator[str]]:
    def broken(evidence: Evidence) -> Iterator[str]:
        if len(evidence.statuses) != tasks:
            yield f"the service knows {len(evidence.statuses)} tasks"
        for instance_id, status in evidence.statuses.items():
            entries = [entry for entry in evidence.entries if entry.instance_id == instance_id]
            ends = [entry.stage for entry in entries if entry.stage is not Stage.LOST]
            final_events = evidence.final_events(instance_id)
            if len(final_events) != 1 or ends != [_FINAL_STAGE.get(status)]:
                worker = ", ".join(ends) or "nothing"
                yield f"{instance_id}: {status} at the service, {worker} at its worker"

    return broken


def _all_at_once(tasks: int) -> Callable[[Evidence], Iterator[str]]:
    def broken(evidence: Evidence) -> Iterator[str]:
        if evidence.max_held < tasks - 1:  # the silent worker has the other one
            yield f"there were {tasks - 1} to hold"

    return broken


def _one_owner(evidence: Evidence) -> Iterator[str]:
    audit = Audit()
    audit.extend(evidence.events)
    try:
        audit.assert_single_owner()
    except AssertionError as error:
        yield str(error)


def _cancellations_arrived(evidence: Evidence) -> Iterator[str]:
    canceled = evidence.at_stage(Stage.CANCELED)
    if not canceled or {entry.instance_id for entry in canceled} != evidence.cancel_requested:
        yield f"{len(evidence.cancel_requested)} were canceled, {len(canceled)} workers heard of it"
    for entry in canceled:
        if not (entry.canceled_set and entry.cleaned_up):
            yield f"{entry.label}: its event is not set, or its work did not clean up"
        if not evidence.events_of(entry.task_id, AuditKind.CANCELED_TOLD):
            yield f"{entry.label}: the service never told its worker"
        if evidence.events_of(entry.task_id, AuditKind.STATUS):
            yield f"{entry.label}: a status was set"


def _reassigned(evidence: Evidence) -> Iterator[str]:
    if not evidence.silent:
        yield "no worker went silent"
    for entry in evidence.silent:
        if not evidence.events_of(entry.task_id, AuditKind.LAPSED):
            yield f"{entry.label}: the service did not notice"
        finished = [
            event
            for event in evidence.events
            if event.instance_id == entry.instance_id and event.kind is AuditKind.STATUS
        ]
        if len(finished) != 1 or finished[0].task_id == entry.task_id:
            yield f"{entry.label}: finished {len(finished)} times"


def _no_late_call(evidence: Evidence) -> Iterator[str]:
    for entry in evidence.entries:
        if evidence.events_of(entry.task_id, AuditKind.REFUSED):
            yield f"{entry.label}: the service refused a call"
        calls = evidence.events_of(entry.task_id, *_CALLS)
        if entry.ended_at is not None and any(call.at > entry.ended_at for call in calls):
            yield f"{entry.label}: a call came after its worker knew the end"


def _no_needless_loss(evidence: Evidence) -> Iterator[str]:
    for entry in evidence.at_stage(Stage.LOST):
        if not evidence.events_of(entry.task_id, *_GIVEN_AWAY):
            yield f"{entry.label}: lost ({entry.reason}), though the service kept it for us"
    for entry in evidence.at_stage(Stage.FAILED):
        yield f"{entry.label}: {entry.reason}"


def _survived_failures(evidence: Evidence) -> Iterator[str]:
    if not evidence.statistics.throttled:
        yield "nothing was throttled, so this was not tested"
    if not any(evidence.statistics.failed.values()):
        yield "nothing failed, so this was not tested"
    for entry in evidence.at_stage(Stage.LOST):
        if entry.silent_until is None:
            yield f"{entry.label}: lost ({entry.reason})"


def _progress_arrived(evidence: Evidence) -> Iterator[str]:
    reported = [entry for entry in evidence.at_stage(Stage.FINISHED) if entry.progress_reported]
    if not reported:
        yield "none of them was reported"
    for entry in reported:
        attempt_id = f"{entry.instance_id}_Attempt={entry.attempt}"
        if attempt_id not in evidence.progress:
            yield f"{entry.label}: the service knows no progress"
