"""One account's Data Pipeline in one region: pure, without I/O, threads or a clock of its own."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from aiodp._core.period import parse_period
from aiodp._core.text import illegal_character
from aiodp.emulator._calendar import Calendar
from aiodp.emulator._clock import LeapingClock
from aiodp.emulator._definition.components import Definition
from aiodp.emulator._errors import ServiceError
from aiodp.emulator._model.actions import Actions
from aiodp.emulator._model.attempts import Attempts
from aiodp.emulator._model.catalog import Catalog, store
from aiodp.emulator._model.changes import Past
from aiodp.emulator._model.control import Control
from aiodp.emulator._model.effects import Consequences
from aiodp.emulator._model.faults import (
    APPLIED,
    HANGING,
    UNANSWERED,
    Fault,
    FaultKind,
    Faults,
    faulty_answer,
    spoil,
    when_answered,
)
from aiodp.emulator._model.ids import Ids
from aiodp.emulator._model.leases import Desk
from aiodp.emulator._model.lifecycle import Lifecycle
from aiodp.emulator._model.outside import FakeOutside
from aiodp.emulator._model.preconditions import Preconditions
from aiodp.emulator._model.query import Finder
from aiodp.emulator._model.quota import Quotas
from aiodp.emulator._model.reading import Reader
from aiodp.emulator._model.replies import (
    Answer,
    Hang,
    Pending,
    Reset,
    Slow,
    error_answer,
    json_answer,
)
from aiodp.emulator._model.requests import read_request
from aiodp.emulator._model.resources import Resources
from aiodp.emulator._model.runner_registry import TaskRunners, TaskRunnerView
from aiodp.emulator._model.scheduler import Scheduler
from aiodp.emulator._model.timers import Timers
from aiodp.emulator._model.views import TaskView, view_task
from aiodp.emulator._model.worker_api import Runners
from aiodp.emulator._settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiodp.emulator._model.audit import Audit
    from aiodp.emulator._model.outside import Outside
    from aiodp.emulator._model.replies import Reply

_LONGEST_NAME: Final = 1024  # the API reference of PollForTask


class Service:
    """The service's state and rules.

    `clock` gives its time in seconds, from any origin; it must never go back. Whatever is due by
    itself (an acknowledgement window or a lease that ran out) happens before the next call of any
    method, at the time at which it was due. Not safe for threads. `past` is for a store, which
    keeps it over the end of the process.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        settings: Settings | None = None,
        outside: Outside | None = None,
        past: Past | None = None,
    ) -> None:
        past = past or Past()
        self.settings = settings or Settings()
        self._clock = clock if isinstance(clock, LeapingClock) else LeapingClock(clock)
        self._clock.subscribe(self._notify)
        self.faults = Faults(self._clock)
        self.calls: Counter[tuple[str, str]] = Counter()
        """Calls by operation and outcome: `"ok"`, an error's code, or a fault's name."""
        now = self._clock()
        self._ids = Ids(self.settings.seed, past.life)
        self._quotas = Quotas(self.settings.quotas, now)
        origin = now if past.origin is None else past.origin
        self._calendar = Calendar(self.settings.epoch, origin)
        self._subscribers: dict[object, Callable[[], None]] = {}
        self._timers = Timers(self._notify)
        self._catalog = Catalog(self.settings, self._ids, self._calendar, past.changes)
        self._desk = Desk(self.settings, self._ids, self._timers, work_available=self._notify)
        self._control = self._runs(outside or FakeOutside())
        self._finder = Finder(self.settings, self._calendar, self._catalog)
        self._runners = Runners(
            self.settings,
            self._finder,
            self._desk,
            advance=self.advance,
            answer=lambda result: json_answer(result, self._ids.request()),
            abandoned=lambda: self.calls.update([("PollForTask", "abandoned")]),
        )
        self._taskrunners = TaskRunners()
        self._handlers = self._operations()

    def _runs(self, outside: Outside) -> Control:
        """Put together what makes pipelines run."""
        settings, calendar, timers, desk = self.settings, self._calendar, self._timers, self._desk
        reader = Reader(settings, calendar)
        lifecycle = Lifecycle(calendar, timers, reader)
        attempts = Attempts(settings, calendar, timers, desk, reader, lifecycle)
        actions = Actions(settings, calendar, timers, reader, lifecycle, outside, desk.audit)
        scheduler = Scheduler(settings, calendar, timers, reader, lifecycle, actions)
        effects = Consequences(
            Resources(settings, timers, self._ids, desk, reader, lifecycle),
            Preconditions(calendar, timers, reader, lifecycle, outside),
            actions,
            scheduler,
        )
        desk.holder = lifecycle.attempts = attempts
        lifecycle.effects = effects
        return Control(calendar, self._catalog, timers, desk, lifecycle, scheduler, effects)

    def _operations(self) -> dict[str, Callable[[dict[str, Any], float], Any]]:
        return {
            "ActivatePipeline": self._control.activate,
            "AddTags": self._catalog.add_tags,
            "CreatePipeline": self._catalog.create,
            "DeactivatePipeline": self._control.deactivate,
            "DeletePipeline": self._control.delete,
            "DescribeObjects": self._finder.describe,
            "DescribePipelines": self._catalog.describe,
            "EvaluateExpression": self._finder.evaluate,
            "GetPipelineDefinition": self._catalog.definition,
            "ListPipelines": self._catalog.list,
            "PollForTask": self._runners.poll,
            "PutPipelineDefinition": self._catalog.put,
            "QueryObjects": self._finder.query,
            "RemoveTags": self._catalog.remove_tags,
            "ReportTaskProgress": self._runners.report,
            "ReportTaskRunnerHeartbeat": self._taskrunners.heartbeat,
            "SetStatus": self._control.set_status,
            "SetTaskStatus": self._runners.set_status,
            "ValidatePipelineDefinition": self._catalog.validate,
        }

    # What a binding needs

    def request(self, operation: str, params: dict[str, Any]) -> Reply:
        """Do one call of the API."""
        now = self.advance()
        task_id = params.get("taskId") if isinstance(params, dict) else None
        fault = self.faults.take(operation, now, task_id)
        if fault is None:
            return self._counted(operation, self._serve(operation, params, now))
        return self._befall(fault, operation, params, now)

    def advance(self) -> float:
        """Let everything happen that is due by now; return the service time."""
        now = self._clock()
        self._timers.run(now)
        return now

    def next_event(self) -> float | None:
        """Return the next service time at which something happens by itself."""
        self.advance()
        return self._timers.next()

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have `callback` called when work may be available or `next_event()` is earlier.

        It is called from within other methods and must not call the service. Returns what ends it.
        """
        key = object()
        self._subscribers[key] = callback
        return lambda: self._subscribers.pop(key, None) and None

    # What tests and demonstrations need

    def perform(self, operation: str, **params: Any) -> dict[str, Any]:
        """Do a call of the API at no quota's cost; no fault befalls it, and it is not counted.

        Raises `ServiceError` for what the service refuses.
        """
        now = self.advance()
        result: dict[str, Any] = self._handlers[operation](read_request(operation, params), now)
        return result or {}

    @property
    def now(self) -> float:
        """The service's time."""
        return self._clock()

    def jump(self, seconds: float) -> None:
        """Let the service's time leap ahead: what is due meanwhile happens, at its own time.

        Raises `ValueError` for a time which is past or endless.
        """
        self._clock.jump(seconds)
        self.advance()

    @property
    def audit(self) -> Audit:
        """The record of who was given which task when."""
        return self._desk.audit

    def task(self, task_id: str) -> TaskView:
        """Return what the service knows of a task; raises `KeyError` for an id it never gave."""
        self.advance()
        return view_task(self._desk.tasks[task_id])

    def lease_deadline(self, task_id: str) -> float | None:
        """Return the service time from which a report is too late; `None` if it is already."""
        return self.task(task_id).deadline

    def assign(
        self,
        count: int = 1,
        *,
        worker_group: str = "workers",
        report_progress_timeout: str | None = None,
        hostname: str | None = None,
    ) -> list[str]:
        """Make an on-demand pipeline of `count` activities and hand them all out now.

        Returns the task ids. Neither quotas nor the limits of an account hold for it. Raises
        `ValueError` for a `report_progress_timeout` which is no period, and for a name which no
        poll could have: an empty one, one of more than 1,024 characters or of illegal ones.
        """
        hostname = "localhost" if hostname is None else hostname
        _check_name("worker_group", worker_group)
        _check_name("hostname", hostname)
        if report_progress_timeout is not None:
            parse_period(report_progress_timeout)
        now = self.advance()
        pipeline = self._catalog.add("assigned", "", now, helper=True)
        fields = _activity_fields(worker_group, report_progress_timeout)
        objects = [
            {"id": f"Activity{n}", "name": f"Activity{n}", "fields": fields}
            for n in range(1, count + 1)
        ]
        definition = Definition(objects=objects, parameter_objects=[], parameter_values=[])
        store(pipeline, definition)
        instances = self._control.start(pipeline, definition, now)
        attempts = [instance.head for instance in instances if instance.head is not None]
        return [self._desk.hand_out(one, hostname, now).id for one in attempts]

    def cancel(self, task_id: str) -> None:
        """Cancel the task's instance as SetStatus TRY_CANCEL does, at no quota's cost.

        An instance which has ended stays as it is. Raises `KeyError` for an id which was never
        given, `ServiceError` if the pipeline is deleted or FINISHED.
        """
        self.advance()
        instance = self._desk.tasks[task_id].attempt.instance
        self.perform(
            "SetStatus",
            pipelineId=instance.pipeline.id,
            objectIds=[instance.id],
            status="TRY_CANCEL",
        )

    def give_away(self, task_id: str) -> None:
        """End a task's lease now, as its worker's silence would: somebody else may have it.

        Raises `KeyError` for an id which was never given, `ValueError` for a task which nobody
        holds any more.
        """
        now = self.advance()
        self._desk.give_away(self._desk.tasks[task_id], now)

    @property
    def runners(self) -> tuple[TaskRunnerView, ...]:
        """The task runners which sent a ReportTaskRunnerHeartbeat; the latest is the last."""
        return self._taskrunners.views()

    def terminate(self, taskrunner_id: str) -> None:
        """Tell a task runner to terminate, at its next heartbeat and at each later one.

        Raises `KeyError` for a runner which never sent a heartbeat.
        """
        self._taskrunners.terminate(taskrunner_id)

    # Serving

    def _serve(self, operation: str, params: dict[str, Any], now: float) -> Answer | Pending:
        result = self._apply(operation, params, now)
        if isinstance(result, Pending):
            return result
        if isinstance(result, ServiceError):
            return error_answer(result, self._ids.request())
        return json_answer(result, self._ids.request())

    def _apply(
        self, operation: str, params: dict[str, Any], now: float
    ) -> dict[str, Any] | Pending | ServiceError | None:
        handler = self._handlers.get(operation)
        if handler is None:
            message = f"The local service has no operation {operation}"
            return ServiceError("UnknownOperationException", message)
        try:
            self._quotas.spend(operation, now)
            read = read_request(operation, params)
            result: dict[str, Any] | Pending | None = handler(read, now)
        except ServiceError as error:
            return error
        return result

    def _counted(self, operation: str, reply: Answer | Pending) -> Answer | Pending:
        def count(answer: Answer) -> Answer:
            self.calls[operation, answer.outcome] += 1
            return answer

        return when_answered(reply, count)

    def _befall(self, fault: Fault, operation: str, params: dict[str, Any], now: float) -> Reply:
        kind = fault.kind
        if kind in UNANSWERED:
            return self._let_down(kind, operation, params, now)
        if kind is FaultKind.CLOCK_JUMP:
            self.jump(fault.jump)
            now = self.advance()
        reply = faulty_answer(kind, self._ids.request()) or self._serve(operation, params, now)
        spoilt = self._counted(operation, spoil(kind, reply))
        return Slow(delay=fault.delay, reply=spoilt) if kind is FaultKind.SLOW else spoilt

    def _let_down(
        self, kind: FaultKind, operation: str, params: dict[str, Any], now: float
    ) -> Reply:
        self.calls[operation, kind.value] += 1
        if kind in APPLIED:
            self._apply(operation, params, now)  # a poll which would be held just ends
        return Hang(outcome=kind.value) if kind in HANGING else Reset(outcome=kind.value)

    def _notify(self) -> None:
        for callback in list(self._subscribers.values()):
            callback()


def _check_name(name: str, value: str) -> None:
    if not 1 <= len(value) <= _LONGEST_NAME or illegal_character(value) is not None:
        raise ValueError(f"{name} must be 1 to {_LONGEST_NAME} characters which are legal in XML")


def _activity_fields(
    worker_group: str, report_progress_timeout: str | None
) -> list[dict[str, str]]:
    fields = {
        "type": "ShellCommandActivity",
        "command": "true",
        "workerGroup": worker_group,
        "scheduleType": "ondemand",
        "reportProgressTimeout": report_progress_timeout,
    }
    return [{"key": key, "stringValue": value} for key, value in fields.items() if value]
