"""What a handler gets: a tracked task with the objects that came with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from aiodp._core.objects import REQUIRED
from aiodp._core.text import shorten
from aiodp._errors import RunnerStopped
from aiodp._reporter.task import TrackedTask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    import anyio

    from aiodp._aws.queries import PipelineQueries, Selector
    from aiodp._core.objects import Assignment, ObjectField, PipelineObject
    from aiodp._reporter.access import EngineAccess, StatusAccess
    from aiodp._reporter.record import TaskRecord

_T = TypeVar("_T")


class Task(TrackedTask):
    """A task that a `TaskRunner` works on. Made by the runner, for a handler.

    It is a `TrackedTask`, with the objects that came with it. The handler may call `set_status`;
    the runner sets no other status then. If the handler's call fails, and the handler with it, none
    is set: the service may have applied it all the same.
    """

    __slots__ = ("_assignment", "_queries", "_stop")

    def __init__(
        self,
        engine: EngineAccess,
        statuses: StatusAccess,
        record: TaskRecord,
        *,
        assignment: Assignment,
        queries: PipelineQueries,
        stop: anyio.Event,
    ) -> None:
        super().__init__(engine, statuses, record)
        self._assignment = assignment
        self._queries = queries
        self._stop = stop

    def __repr__(self) -> str:
        state = super().__repr__().rpartition(f"{shorten(self.task_id)!r} ")[2]
        return f"<Task {self.type or 'of no type'} {self.attempt_id!r} {state}"

    @property
    def pipeline_id(self) -> str:
        """The id of the pipeline that it belongs to."""
        return self._assignment.pipeline_id

    @property
    def attempt_id(self) -> str:
        """The id of the attempt, such as `@Copy_2026-01-01T00:00:00_Attempt=1`."""
        return self._assignment.attempt_id

    @property
    def type(self) -> str:
        """The type of its object, such as `ShellCommandActivity`; empty if it has none."""
        return self._assignment.type

    @property
    def is_precondition(self) -> bool:
        """Whether it is a precondition, whose handler may return False; see `TaskStatus.FALSE`."""
        return self.type == "Exists" or self.type.endswith("Precondition")

    @property
    def fields(self) -> Mapping[str, ObjectField]:
        """The fields of the attempt: str, `Ref`, or a list of these where a key is repeated.

        The service has added what the component inherits, and has evaluated the expressions.
        """
        return self._assignment.fields

    @property
    def objects(self) -> Mapping[str, PipelineObject]:
        """All objects that came with the task, by their ids: the attempt, and what it refers to."""
        return self._assignment.objects

    @property
    def attempt(self) -> PipelineObject:
        """The object of the attempt: `fields`, and methods that read them."""
        return self._assignment.attempt

    @property
    def assigned_at(self) -> float:
        """When PollForTask returned it, on the scale of `anyio.current_time()`."""
        return self._assignment.assigned_at

    @overload
    def text(self, key: str) -> str: ...

    @overload
    def text(self, key: str, default: _T) -> str | _T: ...

    def text(self, key: str, default: Any = REQUIRED) -> Any:
        """Return the one string value of a field, such as `task.text("command")`.

        If it has none, this returns the default, and raises `LookupError` without one. Raises
        `ValueError` if there are several: see `texts`.
        """
        return self.attempt.text(key, default)

    def texts(self, key: str) -> tuple[str, ...]:
        """Return all string values of a field, none if there is no such field."""
        return self.attempt.texts(key)

    def ref(self, key: str) -> PipelineObject:
        """Return the object that a field refers to, such as `task.ref("input")`.

        Raises `LookupError` if there is none, or if it did not come with the task, and `ValueError`
        if there are several: see `refs`.
        """
        return self.attempt.ref(key)

    def refs(self, key: str) -> tuple[PipelineObject, ...]:
        """Return all objects that a field refers to, none if there is no such field.

        Raises `LookupError` for one that did not come with the task.
        """
        return self.attempt.refs(key)

    @property
    def report_progress_timeout(self) -> float | None:
        """Its `reportProgressTimeout` in seconds of the service, which is the length of its lease.

        None if it has none, or none that is a period such as `10 minutes`.
        """
        return self._assignment.report_progress_timeout

    @property
    def stopped(self) -> bool:
        """Whether the runner wants the work to end at once; see `raise_if_ended`."""
        return self._stop.is_set()

    def raise_if_ended(self) -> None:
        """Raise if the work must stop; a handler in a thread calls this now and then.

        Raises `TaskCanceled`, `LeaseLost`, or `RunnerStopped` if the runner is told to stop at
        once. May be called from any thread.
        """
        super().raise_if_ended()
        if self.stopped:
            raise stop_error(self.task_id)

    async def evaluate(self, expression: str, *, object_id: str | None = None) -> str:
        """Return the value of an expression such as `#{format(@scheduledStartTime,'YYYY')}`.

        It is evaluated by the service (API reference of EvaluateExpression), in the context of the
        attempt or of another object of the pipeline. Raises `CallFailed` if the service cannot.
        """
        self._engine.home.check()
        return await self._queries.evaluate(
            self.pipeline_id, object_id or self.attempt_id, expression
        )

    def query(self, sphere: str, *selectors: Selector) -> AsyncIterator[str]:
        """Yield the ids of the pipeline's objects for which all selectors hold, page by page.

        `sphere` is `COMPONENT`, `INSTANCE` or `ATTEMPT`; a selector is a tuple such as
        `("@status", "EQ", "FINISHED")` (API reference of QueryObjects). Iterating raises
        `CallFailed` if the service does not answer.
        """
        self._engine.home.check()
        return self._queries.query(self.pipeline_id, sphere, selectors)

    def describe(
        self, object_ids: Iterable[str], *, evaluate_expressions: bool = True
    ) -> AsyncIterator[PipelineObject]:
        """Yield objects of the pipeline by their ids, 25 a call (API reference of DescribeObjects).

        Iterating raises `CallFailed` if the service does not answer.
        """
        self._engine.home.check()
        return self._queries.describe(
            self.pipeline_id, object_ids, evaluate_expressions=evaluate_expressions
        )


def stop_error(task_id: str) -> RunnerStopped:
    """Return what is raised in a task whose runner stops at once."""
    return RunnerStopped(
        f"task {shorten(task_id)}: the task runner was stopped at once, the work was interrupted"
    )
