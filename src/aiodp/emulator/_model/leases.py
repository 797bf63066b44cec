"""Leases: how tasks are handed out, reported on and taken away.

Rules (the API references of PollForTask, ReportTaskProgress and SetTaskStatus):

1. An attempt that waits is handed out to one poll of its worker group, under a new task id.
2. Without a first report within the acknowledgement window that task id becomes invalid, and the
   same attempt waits again.
3. Each report renews the lease. A lease which runs out ends the task id and fails the attempt. A
   report at the deadline itself is too late.
4. A terminal status ends the attempt and the task id.
5. Reports of a canceled task are answered `canceled` until there is none for a whole lease.

What becomes of the attempt's instance is decided by `AttemptRules`.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from itertools import count
from typing import TYPE_CHECKING, NoReturn, Protocol

from aiodp.emulator._definition.fields import Fields, check_reported
from aiodp.emulator._errors import ServiceError, invalid
from aiodp.emulator._model.audit import AuditKind
from aiodp.emulator._model.records import LIVE, Attempt, Pipeline, Task, TaskState
from aiodp.emulator._model.timers import Due
from aiodp.emulator._settings import AttemptTimeoutAnswer, CanceledStatusAnswer, DeletedAnswer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiodp.emulator._model.context import Context


class AttemptRules(Protocol):
    """Which attempts may be handed out, and what follows from the end of one."""

    def may_run(self, attempt: Attempt) -> bool:
        """Return whether the attempt may be handed out now."""

    def handed_out(self, attempt: Attempt, now: float) -> None:
        """Note that a worker has it."""

    def acknowledged(self, attempt: Attempt, now: float) -> None:
        """Note that its worker has reported for the first time."""

    def given_back(self, attempt: Attempt, now: float) -> None:
        """Note that its worker has never reported."""

    def lapsed(self, attempt: Attempt, now: float) -> None:
        """Note that its worker has not reported within the lease."""

    def ended(self, attempt: Attempt, status: str, outcome: Fields, now: float) -> None:
        """Note the status with which its worker has ended it."""


class Leases:
    """Queues of attempts by worker group, and the tasks that were handed out."""

    rules: AttemptRules

    def __init__(self, context: Context) -> None:
        self.tasks: dict[str, Task] = {}
        self.queues: defaultdict[str, OrderedDict[Attempt, None]] = defaultdict(OrderedDict)
        self._disordered: set[str] = set()
        self._settings = context.settings
        self._ids = context.ids
        self._timers = context.timers
        self._audit = context.audit
        self._work_available = context.notify
        self._places = count(1)
        self._timers.handle(Due.SILENCE, self._on_silence)

    def restore(self, attempts: Iterable[Attempt], tasks: Iterable[Task]) -> None:
        """Take over what a store has: all attempts, and all tasks in the order of handing out."""
        for task in tasks:
            self.tasks[task.id] = task
            if task.state in LIVE:
                task.attempt.task = task.pipeline.held[task.id] = task
        queued = [attempt for attempt in attempts if attempt.queued]
        for attempt in sorted(queued, key=_place):
            self.queues[attempt.worker_group or ""][attempt] = None
            self._places = count(_place(attempt) + 1)

    # Handing out

    def offer(self, attempt: Attempt, now: float) -> None:
        """Let the next poll of the worker group have this attempt, if it may run."""
        group = attempt.worker_group
        if group is None or attempt in self.queues[group] or attempt.task is not None:
            return
        if not self.rules.may_run(attempt):
            return
        if attempt.place is None:
            attempt.place = next(self._places)
        else:
            self._disordered.add(group)  # it is ahead of those that came while it was held back
        self.queues[group][attempt] = None
        self._audit.note(AuditKind.OFFERED, attempt, now)
        self._work_available()

    def hand_out_next(self, worker_group: str, hostname: str, now: float) -> Task | None:
        """Hand out the attempt that has waited longest; what is held back keeps its place."""
        if worker_group in self._disordered:
            in_order = sorted(self.queues[worker_group], key=_place)
            self.queues[worker_group] = OrderedDict.fromkeys(in_order)
            self._disordered.remove(worker_group)
        queue = self.queues.get(worker_group)
        while queue:
            attempt, _ = queue.popitem(last=False)
            if attempt.task is None and self.rules.may_run(attempt):
                return self.hand_out(attempt, hostname, now)
        return None

    def hand_out(self, attempt: Attempt, hostname: str, now: float) -> Task:
        """Assign an attempt under a new task id, which must be acknowledged in time."""
        self.withdraw(attempt)
        attempt.hostname = hostname
        task = Task(self._ids.task(), attempt, now)
        attempt.task = self.tasks[task.id] = attempt.pipeline.held[task.id] = task
        self._timers.set(task, Due.SILENCE, now + self._settings.acknowledge_timeout)
        self._audit.note(AuditKind.ASSIGNED, attempt, now, task)
        self.rules.handed_out(attempt, now)
        return task

    def withdraw(self, attempt: Attempt) -> None:
        """Take an attempt from its queue, if it is in one."""
        group = attempt.worker_group or ""
        self.queues[group].pop(attempt, None)
        if not self.queues[group]:  # a resource has a group of its own, for a while
            del self.queues[group]
            self._disordered.discard(group)
        attempt.place = None

    # What workers report

    def report(self, task_id: str, fields: Fields, now: float) -> bool:
        """Renew a lease; return whether the task is canceled."""
        task = self._answering(task_id, now)
        attempt = task.attempt
        if task.state is TaskState.CANCELED:
            task.told_canceled = True
            self._timers.set(task, Due.SILENCE, now + attempt.lease_timeout)
            self._audit.note(AuditKind.CANCELED_TOLD, attempt, now, task)
            return True
        try:
            attempt.reported = check_reported(fields, attempt.reported)
        except ServiceError as error:
            self._refuse(task, error, now)
        attempt.reported_at = now
        task.reports += 1
        self._timers.set(task, Due.SILENCE, now + attempt.lease_timeout)
        self._note_report(task, now)
        return False

    def set_status(self, task_id: str, status: str, outcome: Fields, now: float) -> None:
        """End a task with FINISHED, FAILED or FALSE."""
        task = self._answering(task_id, now)
        if task.state is TaskState.CANCELED:
            self._refuse_status_of_canceled(task, now)
            return
        self._end(task, TaskState.DONE, AuditKind.STATUS, now, status)
        self.rules.ended(task.attempt, status, outcome, now)

    # What the service does

    def cancel(self, attempt: Attempt, now: float) -> None:
        """Take an attempt from its worker, if any; the next report is answered `canceled`."""
        if attempt.task is not None:
            self._end(attempt.task, TaskState.CANCELED, AuditKind.CANCELED, now)

    def time_out(self, attempt: Attempt, now: float) -> None:
        """Take an attempt from its worker because it has lasted too long."""
        canceled = self._settings.attempt_timeout_answer is AttemptTimeoutAnswer.CANCELED
        state = TaskState.CANCELED if canceled else TaskState.TIMEDOUT
        if attempt.task is not None:
            self._end(attempt.task, state, AuditKind.CANCELED, now, "attemptTimeout")

    def delete(self, pipeline: Pipeline, now: float) -> None:
        """Take the tasks of a deleted pipeline away."""
        canceled = self._settings.deleted_answer is DeletedAnswer.CANCELED
        state = TaskState.CANCELED if canceled else TaskState.DELETED
        for task in list(pipeline.held.values()):
            self._end(task, state, AuditKind.CANCELED, now, "deleted")
        for instance in pipeline.open.values():
            if instance.head is not None:
                self.withdraw(instance.head)

    def forget(self, pipeline: Pipeline) -> None:
        """Forget the tasks of a deleted pipeline: their ids mean nothing any more."""
        for task in [task for task in self.tasks.values() if task.pipeline is pipeline]:
            self._timers.stop(task)
            del self.tasks[task.id]
        self._timers.compact()

    def give_away(self, task: Task, now: float) -> None:
        """End a task as if its lease had run out; raises `ValueError` if nobody holds it."""
        if task.state not in LIVE:
            raise ValueError(f"a task which is {task.state.name} cannot be given away")
        self._on_silence(task, now)

    def refusal_of(self, task: Task) -> ServiceError | None:
        """Return the error which every call with this task's id gets, if it is invalid."""
        if task.state in LIVE or task.state is TaskState.CANCELED:
            return None
        if task.state is TaskState.DELETED:
            code = self._settings.deleted_answer.value
            return ServiceError(code, f"Pipeline {task.pipeline.id} was deleted")
        return ServiceError("TaskNotFoundException", "The specified task was not found")

    # Parts

    def _note_report(self, task: Task, now: float) -> None:
        if task.state is TaskState.HELD:
            self._audit.note(AuditKind.PROGRESS, task.attempt, now, task)
            return
        task.state = TaskState.HELD
        self._audit.note(AuditKind.ACKNOWLEDGED, task.attempt, now, task)
        self.rules.acknowledged(task.attempt, now)

    def _on_silence(self, task: Task, when: float) -> None:
        if task.state is TaskState.CANCELED:
            task.state = TaskState.LAPSED
        elif task.state is TaskState.ASSIGNED:
            self._end(task, TaskState.UNACKNOWLEDGED, AuditKind.REASSIGNED, when)
            self.rules.given_back(task.attempt, when)
        else:
            self._end(task, TaskState.LAPSED, AuditKind.LAPSED, when)
            self.rules.lapsed(task.attempt, when)

    def _answering(self, task_id: str, now: float) -> Task:
        task = self.tasks.get(task_id)
        if task is None:
            raise ServiceError("TaskNotFoundException", "The specified task was not found")
        error = self.refusal_of(task)
        if error is not None:
            self._refuse(task, error, now)
        return task

    def _refuse(self, task: Task, error: ServiceError, now: float) -> NoReturn:
        self._audit.note(AuditKind.REFUSED, task.attempt, now, task, error.code)
        raise error

    def _refuse_status_of_canceled(self, task: Task, now: float) -> None:
        answer = self._settings.canceled_status_answer
        if answer is CanceledStatusAnswer.IGNORED:
            return
        message = "The specified task was canceled"
        if answer is CanceledStatusAnswer.INVALID_REQUEST:
            self._refuse(task, invalid(message), now)
        self._refuse(task, ServiceError("TaskNotFoundException", message), now)

    def _end(
        self, task: Task, state: TaskState, kind: AuditKind, now: float, detail: str = ""
    ) -> None:
        task.state = state
        task.attempt.task = None
        task.pipeline.held.pop(task.id, None)
        if state is not TaskState.CANCELED:  # reports of a canceled one are still answered
            self._timers.stop(task)
        self._audit.note(kind, task.attempt, now, task, detail)


def _place(attempt: Attempt) -> int:
    return attempt.place or 0
