"""What the demo promises, and whether it was kept, by the service's own records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiodp.cli._demo.board import Stage
from aiodp.emulator import Audit, AuditKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from aiodp import Statistics
    from aiodp.cli._demo.board import Entry
    from aiodp.emulator import AuditEvent

_CALLS: Final = (
    AuditKind.ACKNOWLEDGED,
    AuditKind.PROGRESS,
    AuditKind.CANCELED_TOLD,
    AuditKind.STATUS,
    AuditKind.REFUSED,
)
_GIVEN_AWAY: Final = (AuditKind.LAPSED, AuditKind.REASSIGNED)
_FATES: Final = {"FINISHED": Stage.FINISHED, "CANCELED": Stage.CANCELED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What there is to judge by when the demo has ended."""

    entries: tuple[Entry, ...]
    to_be_canceled: frozenset[str]
    most_held: int
    events: Sequence[AuditEvent]
    """The service's own record."""
    statuses: Mapping[str, str]
    """By instance, as DescribeObjects tells."""
    progress: Mapping[str, str]
    """percentComplete by attempt, as DescribeObjects tells."""
    statistics: Statistics
    elapsed: float

    def at(self, stage: Stage) -> list[Entry]:
        """Return the handings-out that ended so."""
        return [entry for entry in self.entries if entry.stage is stage]

    @property
    def silent(self) -> list[Entry]:
        """What was handed to the worker that went silent."""
        return [entry for entry in self.entries if entry.silent_until is not None]

    def of(self, task_id: str, *kinds: AuditKind) -> list[AuditEvent]:
        """Return what the service recorded of a handing-out."""
        return [e for e in self.events if e.task_id == task_id and e.kind in kinds]

    def finals(self, instance_id: str) -> list[AuditEvent]:
        """Return what ended a task for good at the service."""
        return [
            event
            for event in self.events
            if event.instance_id == instance_id
            and (event.kind is AuditKind.CANCELED or event.detail == "FINISHED")
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A promise, and what of the evidence breaks it: nothing, if it was kept."""

    text: str
    broken_by: tuple[str, ...]

    @property
    def kept(self) -> bool:
        """Whether nothing breaks it."""
        return not self.broken_by


def judge(evidence: Evidence, *, tasks: int) -> list[Promise]:
    """Return every promise, judged. `tasks` is how many of them the demo has."""
    numbers = evidence.statistics
    failed = sum(numbers.failed.values())
    texts: tuple[tuple[str, Callable[[Evidence], Iterator[str]]], ...] = (
        (f"each of the {tasks} tasks came to exactly one end", _one_end(tasks)),
        (f"one reporter held {evidence.most_held} of them at once", _all_at_once(tasks)),
        ("no task had two owners at any time", _one_owner),
        ("each canceled task was told, cleaned up, and got no status", _canceled_were_told),
        ("the silent worker's task was given to another and finished once", _taken_over),
        ("no call was made for a task after its end", _no_late_call),
        ("no task was lost but those that the service gave away", _no_needless_loss),
        (f"{numbers.throttled} throttled and {failed} failed reports cost no lease", _weathered),
        ("the progress of the longer tasks reached the service", _progress_arrived),
    )
    return [Promise(text=text, broken_by=tuple(broken(evidence))) for text, broken in texts]


def _one_end(tasks: int) -> Callable[[Evidence], Iterator[str]]:
    def broken(evidence: Evidence) -> Iterator[str]:
        if len(evidence.statuses) != tasks:
            yield f"the service knows {len(evidence.statuses)} tasks"
        for instance_id, status in evidence.statuses.items():
            ends = [e.stage for e in evidence.entries if e.instance_id == instance_id]
            ends = [stage for stage in ends if stage is not Stage.LOST]
            finals = evidence.finals(instance_id)
            if len(finals) != 1 or ends != [_FATES.get(status)]:
                worker = ", ".join(ends) or "nothing"
                yield f"{instance_id}: {status} at the service, {worker} at its worker"

    return broken


def _all_at_once(tasks: int) -> Callable[[Evidence], Iterator[str]]:
    def broken(evidence: Evidence) -> Iterator[str]:
        if evidence.most_held < tasks - 1:  # all but the one that the silent worker had
            yield f"there were {tasks - 1} to hold"

    return broken


def _one_owner(evidence: Evidence) -> Iterator[str]:
    audit = Audit()
    audit.extend(evidence.events)
    try:
        audit.assert_single_owner()
    except AssertionError as error:
        yield str(error)


def _canceled_were_told(evidence: Evidence) -> Iterator[str]:
    canceled = evidence.at(Stage.CANCELED)
    if not canceled or {entry.instance_id for entry in canceled} != evidence.to_be_canceled:
        yield f"{len(evidence.to_be_canceled)} were canceled, {len(canceled)} workers heard of it"
    for entry in canceled:
        if not (entry.told and entry.cleaned_up):
            yield f"{entry.label}: its event is not set, or its work did not clean up"
        if not evidence.of(entry.task_id, AuditKind.CANCELED_TOLD):
            yield f"{entry.label}: the service never told its worker"
        if evidence.of(entry.task_id, AuditKind.STATUS):
            yield f"{entry.label}: a status was set"


def _taken_over(evidence: Evidence) -> Iterator[str]:
    if not evidence.silent:
        yield "no worker went silent"
    for entry in evidence.silent:
        if not evidence.of(entry.task_id, AuditKind.LAPSED):
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
        if evidence.of(entry.task_id, AuditKind.REFUSED):
            yield f"{entry.label}: the service refused a call"
        calls = evidence.of(entry.task_id, *_CALLS)
        if entry.ended_at is not None and any(call.at > entry.ended_at for call in calls):
            yield f"{entry.label}: a call came after its worker knew the end"


def _no_needless_loss(evidence: Evidence) -> Iterator[str]:
    for entry in evidence.at(Stage.LOST):
        if not evidence.of(entry.task_id, *_GIVEN_AWAY):
            yield f"{entry.label}: lost ({entry.reason}), though the service kept it for us"
    for entry in evidence.at(Stage.BROKEN):
        yield f"{entry.label}: {entry.reason}"


def _weathered(evidence: Evidence) -> Iterator[str]:
    if not evidence.statistics.throttled:
        yield "nothing was throttled, so nothing was shown"
    if not any(evidence.statistics.failed.values()):
        yield "nothing failed, so nothing was shown"
    for entry in evidence.at(Stage.LOST):
        if entry.silent_until is None:
            yield f"{entry.label}: lost ({entry.reason})"


def _progress_arrived(evidence: Evidence) -> Iterator[str]:
    finished = [entry for entry in evidence.at(Stage.FINISHED) if entry.steps]
    if not finished:
        yield "none of them finished"
    for entry in finished:
        attempt_id = f"{entry.instance_id}_Attempt={entry.attempt}"
        if attempt_id not in evidence.progress:
            yield f"{entry.label}: the service knows no progress"
