"""The desk at which tasks are handed out, reported on and taken away.

Rules (the API references of PollForTask, ReportTaskProgress and SetTaskStatus):

1. An attempt that waits is handed out to one poll of its worker group, under a new task id.
2. Without a first report within the acknowledgement window that task id is dead and the same
   attempt waits again.
3. Each report renews the lease. A lease which runs out kills the task id, fails the attempt, and
   makes a new attempt while tries are left. At the very deadline it is too late already.
4. A terminal status ends the attempt and the task id. FAILED is retried while tries are left.
5. A canceled task answers ``canceled`` to its reports until it is silent for a lease.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING, NoReturn

from aiodp.emulator._audit import Audit, AuditKind
from aiodp.emulator._fields import Fields, check_reported, strings
from aiodp.emulator._records import (
    LIVE,
    TERMINAL,
    Attempt,
    Instance,
    Pipeline,
    Status,
    Task,
    TaskState,
)
from aiodp.emulator._replies import ServiceError, invalid
from aiodp.emulator._settings import CanceledStatusAnswer, DeletedAnswer
from aiodp.emulator._timers import Timer

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiodp.emulator._ids import Ids
    from aiodp.emulator._settings import Settings
    from aiodp.emulator._timers import Timers


class Desk:
    """Queues of attempts by worker group, and the tasks that were handed out."""

    def __init__(
        self,
        settings: Settings,
        ids: Ids,
        timers: Timers,
        *,
        work_available: Callable[[], None],
        settled: Callable[[Pipeline, float], None],
    ) -> None:
        self.audit = Audit()
        self.tasks: dict[str, Task] = {}
        self._settings = settings
        self._ids = ids
        self._timers = timers
        self._work_available = work_available
        self._settled = settled
        self._queues: defaultdict[str, deque[Attempt]] = defaultdict(deque)

    # Handing out

    def start(self, instance: Instance, now: float) -> None:
        """Make a new attempt of an instance, and offer it."""
        attempt = Attempt(instance)
        instance.attempts.append(attempt)
        instance.pipeline.attempts[attempt.id] = attempt
        self._set_instance(instance, Status.WAITING_FOR_RUNNER)
        self.offer(attempt, now)

    def offer(self, attempt: Attempt, now: float) -> None:
        """Let the next poll of the worker group have this attempt."""
        group = attempt.instance.worker_group
        if group is None or attempt.queued or not _may_run(attempt):
            return
        attempt.queued = True
        self._queues[group].append(attempt)
        self.audit.note(AuditKind.OFFERED, attempt, now)
        self._work_available()

    def offer_waiting(self, pipeline: Pipeline, now: float) -> None:
        """Offer all that waits, after a pipeline or a component of it may run again."""
        for instance in pipeline.instances.values():
            if instance.head is not None and instance.head.task is None:
                self.offer(instance.head, now)

    def take(self, worker_group: str, hostname: str, now: float) -> Task | None:
        """Hand out the attempt that has waited longest."""
        queue = self._queues.get(worker_group)
        while queue:
            attempt = queue.popleft()
            attempt.queued = False
            if attempt.task is None and _may_run(attempt):
                return self.hand_out(attempt, hostname, now)
        return None

    def hand_out(self, attempt: Attempt, hostname: str, now: float) -> Task:
        """Assign an attempt under a new task id, which must be acknowledged in time."""
        attempt.hostname = hostname
        timer = Timer(lambda when: self._on_silence(task, when))
        task = Task(self._ids.task(), attempt, now, timer)
        attempt.task = self.tasks[task.id] = attempt.instance.pipeline.held[task.id] = task
        if attempt.started_at is None:
            attempt.started_at = now
        if attempt.instance.started_at is None:
            attempt.instance.started_at = now
        self._timers.move(timer, now + self._settings.acknowledge_timeout)
        self.audit.note(AuditKind.ASSIGNED, attempt, now, task)
        return task

    # What workers say

    def report(self, task_id: str, fields: Fields, now: float) -> bool:
        """Renew a lease; return whether the task is canceled."""
        task = self._answering(task_id, now)
        attempt = task.attempt
        if task.state is TaskState.CANCELED:
            task.told_canceled = True
            self._timers.move(task.timer, now + attempt.instance.lease_timeout)
            self.audit.note(AuditKind.CANCELED_TOLD, attempt, now, task)
            return True
        try:
            attempt.reported = check_reported(fields, attempt.reported)
        except ServiceError as error:
            self._refuse(task, error, now)
        attempt.reported_at = now
        task.reports += 1
        if task.state is TaskState.ASSIGNED:
            task.state = TaskState.HELD
            attempt.status = Status.RUNNING
            self._set_instance(attempt.instance, Status.RUNNING)
            self.audit.note(AuditKind.ACKNOWLEDGED, attempt, now, task)
        else:
            self.audit.note(AuditKind.PROGRESS, attempt, now, task)
        self._timers.move(task.timer, now + attempt.instance.lease_timeout)
        return False

    def set_status(self, task_id: str, status: str, outcome: Fields, now: float) -> None:
        """End a task with FINISHED, FAILED or FALSE; of an activity FALSE counts as FAILED."""
        task = self._answering(task_id, now)
        if task.state is TaskState.CANCELED:
            self._refuse_status_of_canceled(task, now)
            return
        self._end(task, TaskState.DONE, AuditKind.STATUS, now, status)
        attempt = task.attempt
        attempt.outcome = outcome
        if status == Status.FINISHED:
            self._close_attempt(attempt, Status.FINISHED, now)
            self.close(attempt.instance, Status.FINISHED, now)
        else:
            self._fail(attempt, attempt.instance.retry_delay, now)

    # What the service's users do

    def cancel(self, instance: Instance, now: float, status: Status = Status.CANCELED) -> None:
        """End an instance whose worker, if it has one, is told so at its next report."""
        attempt = instance.head
        if instance.status in TERMINAL:
            return
        if attempt is not None and attempt.task is not None:
            self._end(attempt.task, TaskState.CANCELED, AuditKind.CANCELED, now)
        if attempt is not None and attempt.status not in TERMINAL:
            self._close_attempt(attempt, status, now)
        self.close(instance, status, now)

    def delete(self, pipeline: Pipeline, now: float) -> None:
        """Take the tasks of a deleted pipeline away."""
        canceled = self._settings.deleted_answer is DeletedAnswer.CANCELED
        state = TaskState.CANCELED if canceled else TaskState.DELETED
        for task in list(pipeline.held.values()):
            self._end(task, state, AuditKind.CANCELED, now, "deleted")
            self._close_attempt(task.attempt, Status.CANCELED, now)
            self._set_instance(task.attempt.instance, Status.CANCELED)

    def close(self, instance: Instance, status: Status, now: float) -> None:
        """Put an instance into a terminal status."""
        self._set_instance(instance, status)
        instance.ended_at = now
        self._settled(instance.pipeline, now)

    def refusal_of(self, task: Task) -> ServiceError | None:
        """Return the error which every call with this task's id gets, if it is dead."""
        if task.state in LIVE or task.state is TaskState.CANCELED:
            return None
        if task.state is TaskState.DELETED:
            code = self._settings.deleted_answer.value
            return ServiceError(code, f"Pipeline {task.attempt.instance.pipeline.id} was deleted")
        return ServiceError("TaskNotFoundException", "The specified task was not found")

    # What happens by itself

    def _on_silence(self, task: Task, when: float) -> None:
        attempt = task.attempt
        if task.state is TaskState.CANCELED:
            task.state = TaskState.LAPSED
        elif task.state is TaskState.ASSIGNED:
            self._end(task, TaskState.UNACKNOWLEDGED, AuditKind.REASSIGNED, when)
            self.offer(attempt, when)
            self._settled(attempt.instance.pipeline, when)
        else:
            self._end(task, TaskState.LAPSED, AuditKind.LAPSED, when)
            seconds = f"{attempt.instance.lease_timeout:g}"
            attempt.outcome = strings(errorMessage=f"No progress was reported for {seconds} s")
            self._fail(attempt, self._settings.stalled_retry_delay, when)

    def _fail(self, attempt: Attempt, delay: float, now: float) -> None:
        instance = attempt.instance
        self._close_attempt(attempt, Status.FAILED, now)
        if instance.tries_left <= 0:
            self.close(instance, Status.FAILED, now)
            return
        instance.tries_left -= 1
        self._set_instance(instance, Status.WAITING_FOR_RUNNER)
        if delay <= 0:
            self.start(instance, now)
        else:
            self._timers.move(Timer(lambda when: self._retry(attempt, when)), now + delay)
        self._settled(instance.pipeline, now)

    def _retry(self, failed: Attempt, now: float) -> None:
        instance = failed.instance
        deleted = instance.pipeline.deleted
        if instance.head is failed and instance.status not in TERMINAL and not deleted:
            self.start(instance, now)

    # Parts

    def _answering(self, task_id: str, now: float) -> Task:
        task = self.tasks.get(task_id)
        if task is None:
            raise ServiceError("TaskNotFoundException", "The specified task was not found")
        error = self.refusal_of(task)
        if error is not None:
            self._refuse(task, error, now)
        return task

    def _refuse(self, task: Task, error: ServiceError, now: float) -> NoReturn:
        self.audit.note(AuditKind.REFUSED, task.attempt, now, task, error.code)
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
        task.attempt.instance.pipeline.held.pop(task.id, None)
        if state is not TaskState.CANCELED:  # a canceled one is heard until it is silent
            task.timer.due = None
        self.audit.note(kind, task.attempt, now, task, detail)

    def _close_attempt(self, attempt: Attempt, status: Status, now: float) -> None:
        attempt.status = status
        attempt.ended_at = now

    def _set_instance(self, instance: Instance, status: Status) -> None:
        was_open, is_open = instance.status not in TERMINAL, status not in TERMINAL
        instance.pipeline.open += is_open - was_open
        instance.status = status


def _may_run(attempt: Attempt) -> bool:
    pipeline = attempt.instance.pipeline
    return (
        attempt.status is Status.WAITING_FOR_RUNNER
        and pipeline.state is Status.SCHEDULED
        and not pipeline.deleted
        and attempt.instance.component.id not in pipeline.paused
    )
