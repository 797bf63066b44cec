"""One account's Data Pipeline in one region: pure, without I/O, threads or a clock of its own."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from aiodp.emulator._clock import JumpingClock
from aiodp.emulator._errors import ServiceError
from aiodp.emulator._model import helpers
from aiodp.emulator._model.context import Context
from aiodp.emulator._model.fault_injection import Call, apply_fault
from aiodp.emulator._model.faults import Faults
from aiodp.emulator._model.quota import Quotas
from aiodp.emulator._model.replies import Pending, counted, error_answer, json_answer
from aiodp.emulator._model.requests import read_request
from aiodp.emulator._model.views import TaskView, view_task
from aiodp.emulator._model.wiring import build
from aiodp.emulator._model.worker_api import HeldPoll
from aiodp.emulator._settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiodp.emulator._model.audit import Audit
    from aiodp.emulator._model.changes import Restored
    from aiodp.emulator._model.outside import Outside
    from aiodp.emulator._model.replies import Answer, Reply
    from aiodp.emulator._model.runner_registry import TaskRunnerView

_MAX_NAME: Final = 1024  # characters of an operation's name
_MAX_SHOWN: Final = 100
_MAX_UNKNOWN: Final = 100
"""Unknown operations that are counted by their names, which anybody may make up."""
_WITH_DEFINITION: Final = frozenset(
    {"ActivatePipeline", "PutPipelineDefinition", "ValidatePipelineDefinition"}
)


class Prepared(dict[str, Any]):
    """A request which has been read already."""


class Service:
    """The service's state and rules.

    `clock` gives its time in seconds, from any origin; it must never go back. Whatever is due by
    itself (an acknowledgement window or a lease that ran out) happens before the next call of any
    method, at the time at which it was due. Not safe for threads. `restored` is for a store, which
    keeps the service beyond the end of the process.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        settings: Settings | None = None,
        outside: Outside | None = None,
        restored: Restored | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self._clock = clock if isinstance(clock, JumpingClock) else JumpingClock(clock)
        self._clock.subscribe(self._notify)
        self._subscribers: dict[object, Callable[[], None]] = {}
        self.faults = Faults(self._clock)
        self.calls: Counter[tuple[str, str]] = Counter()
        """Calls by operation and outcome: `"ok"`, an error's code, or a fault's name.

        Of operations which the API does not have the first hundred count, then `"(others)"`.
        """
        now = self._clock()
        self._quotas = Quotas(self.settings.quotas, now)
        context = Context.make(self.settings, outside, restored, now=now, notify=self._notify)
        self.model = build(context)
        """Its parts, which may change without notice."""
        self._operations = self._list_operations()

    def _list_operations(self) -> dict[str, Callable[[dict[str, Any], float], Any]]:
        catalog, control, queries = self.model.catalog, self.model.control, self.model.queries
        return {
            "ActivatePipeline": control.activate,
            "AddTags": catalog.add_tags,
            "CreatePipeline": catalog.create,
            "DeactivatePipeline": control.deactivate,
            "DeletePipeline": control.delete,
            "DescribeObjects": queries.describe,
            "DescribePipelines": catalog.describe,
            "EvaluateExpression": queries.evaluate,
            "GetPipelineDefinition": catalog.definition,
            "ListPipelines": catalog.list,
            "PollForTask": self.model.worker_api.poll,
            "PutPipelineDefinition": catalog.put,
            "QueryObjects": queries.query,
            "RemoveTags": catalog.remove_tags,
            "ReportTaskProgress": self.model.worker_api.report,
            "ReportTaskRunnerHeartbeat": self.model.runners.heartbeat,
            "SetStatus": control.set_status,
            "SetTaskStatus": self.model.worker_api.set_status,
            "ValidatePipelineDefinition": catalog.validate,
        }

    # What a binding needs

    def request(self, operation: str, params: dict[str, Any]) -> Reply:
        """Do one call of the API."""
        now = self.advance()
        task_id = params.get("taskId") if isinstance(params, dict) else None
        fault = self.faults.match(operation, now, task_id)
        if fault is not None:
            return apply_fault(fault, self._call(operation, params, now))
        reply = self._serve(operation, params, now)
        return counted(reply, lambda outcome: self._count(operation, outcome))

    def prepare(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        """Return the request with that done which changes nothing.

        That is most of the work with a large definition, and safe for threads.
        """
        if operation not in _WITH_DEFINITION:
            return params
        try:
            return Prepared(self.model.catalog.examined(read_request(operation, params)))
        except ServiceError:  # which the call itself will answer
            return params

    def advance(self) -> float:
        """Let everything happen that is due by now; return the service time."""
        now = self._clock()
        self.model.context.timers.run(now)
        return now

    def next_event(self) -> float | None:
        """Return the next service time at which something happens by itself."""
        self.advance()
        return self.model.context.timers.next()

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have `callback` called when work may be available or `next_event()` is earlier.

        It is called from within other methods and must not call the service. Returns what ends it.
        """
        key = object()
        self._subscribers[key] = callback
        return lambda: self._subscribers.pop(key, None) and None

    # What tests and demonstrations need

    def perform(self, operation: str, **params: Any) -> dict[str, Any]:
        """Do a call of the API at no quota's cost; it meets no fault, and it is not counted.

        Raises `ServiceError` for what the service refuses.
        """
        now = self.advance()
        result: dict[str, Any] = self._operations[operation](read_request(operation, params), now)
        return result or {}

    @property
    def now(self) -> float:
        """The service's time."""
        return self._clock()

    def jump(self, seconds: float) -> None:
        """Let the service's time jump ahead: what is due meanwhile happens, at its own time.

        Raises `ValueError` for a negative or an infinite number.
        """
        self._jump(seconds)

    @property
    def audit(self) -> Audit:
        """The record of who was given which task when."""
        return self.model.context.audit

    def task(self, task_id: str) -> TaskView:
        """Return what the service knows of a task; raises `KeyError` for an id it never gave."""
        self.advance()
        return view_task(self.model.leases.tasks[task_id])

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
        return helpers.assign(
            self.model,
            count,
            self.advance(),
            worker_group=worker_group,
            report_progress_timeout=report_progress_timeout,
            hostname="localhost" if hostname is None else hostname,
        )

    def cancel(self, task_id: str) -> None:
        """Cancel the task's instance as SetStatus TRY_CANCEL does, at no quota's cost.

        An instance which has ended stays as it is. Raises `KeyError` for an id which was never
        given, `ServiceError` if the pipeline is deleted or FINISHED.
        """
        helpers.cancel(self.model, task_id, self.advance())

    def give_away(self, task_id: str) -> None:
        """End a task's lease now, as if it had run out, so that another worker may get it.

        Raises `KeyError` for an id which was never given, `ValueError` for a task which nobody
        holds any more.
        """
        now = self.advance()
        self.model.leases.give_away(self.model.leases.tasks[task_id], now)

    @property
    def runners(self) -> tuple[TaskRunnerView, ...]:
        """The task runners which sent a ReportTaskRunnerHeartbeat; the latest is the last."""
        return self.model.runners.views()

    def terminate(self, taskrunner_id: str) -> None:
        """Tell a task runner to terminate, at its next heartbeat and at each later one.

        Raises `KeyError` for a runner which never sent a heartbeat.
        """
        self.model.runners.terminate(taskrunner_id)

    # Serving

    def _call(self, operation: str, params: dict[str, Any], now: float) -> Call:
        return Call(
            now=now,
            serve=lambda at: self._serve(operation, params, at),
            apply=lambda: self._apply(operation, params, now),
            jump=self._jump,
            request_id=self.model.context.ids.request,
            count=lambda outcome: self._count(operation, outcome),
        )

    def _serve(self, operation: str, params: dict[str, Any], now: float) -> Answer | Pending:
        result = self._apply(operation, params, now)
        if isinstance(result, HeldPoll):
            return self._pending(result)
        if isinstance(result, ServiceError):
            return error_answer(result, self.model.context.ids.request())
        return json_answer(result, self.model.context.ids.request())

    def _apply(
        self, operation: str, params: dict[str, Any], now: float
    ) -> dict[str, Any] | HeldPoll | ServiceError | None:
        handler = self._operations.get(operation)
        if handler is None:
            message = f"The local service has no operation {operation[:_MAX_SHOWN]}"
            return ServiceError("UnknownOperationException", message)
        try:
            self._quotas.spend(operation, now)
            read = params if isinstance(params, Prepared) else read_request(operation, params)
            result: dict[str, Any] | HeldPoll | None = handler(read, now)
        except ServiceError as error:
            return error
        return result

    def _pending(self, poll: HeldPoll) -> Pending:
        def resume() -> Answer | None:
            try:
                result = self.model.worker_api.resume(poll, self.advance())
            except ServiceError as error:
                return error_answer(error, self.model.context.ids.request())
            return None if result is None else json_answer(result, self.model.context.ids.request())

        return Pending(
            deadline=poll.deadline,
            answer=resume,
            abandoned=lambda: self._count("PollForTask", "abandoned"),
        )

    def _jump(self, seconds: float) -> float:
        self._clock.jump(seconds)
        return self.advance()

    def _count(self, operation: str, outcome: str) -> None:
        self.calls[self._counted_as(operation), outcome] += 1

    def _counted_as(self, operation: str) -> str:
        """Return an operation's name, of those that the API does not have only some."""
        if operation in self._operations:
            return operation
        unknown = {name for name, _ in self.calls} - self._operations.keys()
        new = len(unknown) < _MAX_UNKNOWN and len(operation) <= _MAX_NAME
        return operation if new or operation in unknown else "(others)"

    def _notify(self) -> None:
        for callback in list(self._subscribers.values()):
            callback()
