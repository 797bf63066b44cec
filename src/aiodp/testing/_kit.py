"""What a test does with a local service, over HTTP or in process."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, TypeVar

from aiodp.emulator._errors import invalid
from aiodp.emulator._settings import Settings
from aiodp.testing import _goals as goals
from aiodp.testing._local_pipeline import LocalPipeline, task_id_of
from aiodp.testing._owners import assert_single_owner, live_tasks
from aiodp.testing._pipelines import activity_definition, make_pipeline
from aiodp.testing._unawaited import Waits
from aiodp.testing._vain_polls import Patience, polls_in_vain

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from contextlib import AbstractContextManager

    from aiodp.emulator._model.audit import Audit
    from aiodp.emulator._model.service import Service
    from aiodp.emulator._model.views import TaskView
    from aiodp.testing._goals import Goal
    from aiodp.testing._local_pipeline import Work
    from aiodp.testing._pipelines import Definition, Run

T = TypeVar("T")

WAIT_TIMEOUT: Final = 30.0
"""Real seconds after which a wait fails, if the test does not say how long."""


class Kit(ABC):
    """Puts work in, waits for it, and judges what became of it.

    Work is a pipeline, the id of one or of a task, or several of these. Timeouts are service time.
    """

    default_timeout: float
    idle_polls = False
    """Whether waits and polls go on while polls are in vain, as `assert_polled` says it.

    Else, after some seconds, waits fail, and a worker that goes on polling gets an error.
    """

    def __init__(self, settings: Settings | None) -> None:
        if settings is not None and not isinstance(settings, Settings):
            raise TypeError(f"settings are aiodp.testing.Settings(...), not {settings!r}")
        self._waits = Waits()
        self._taken: set[str] = set()  # ids of the tasks which the test took from their workers

    # Put work in

    def pipeline(
        self,
        definition: Definition,
        values: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        activate: bool = True,
    ) -> LocalPipeline:
        """Make a pipeline of a definition file: a mapping, JSON text, or the path of one.

        `values` go before those of the definition. It costs no quota, and no fault applies to it.
        What the service only warns of is in the pipeline's `warnings`.

        Raises `ValueError`, which lists them, for a definition with errors.
        """
        with self._model() as service:
            made = make_pipeline(service, definition, values, name)
        pipeline = LocalPipeline(made.pipeline_id, self._model, made.warnings)
        if activate:
            pipeline.activate()
        return pipeline

    def activity(self, worker_group: str = "workers", **fields: Any) -> LocalPipeline:
        """Make and activate a pipeline of one ShellCommandActivity, which runs once.

        `fields` are added to the activity, as in a definition file; `type` is one of them.
        """
        return self.pipeline(activity_definition(worker_group, fields))

    # Change what was put in

    def task(self, task_id: str) -> TaskView:
        """Return what the service knows of a task it handed out.

        Raises `ValueError` for an id which nobody was given, `TypeError` for what is no id.
        """
        with self._model() as service:
            return service.task(task_id_of(service, task_id))

    def cancel(self, task_id: str) -> None:
        """Cancel a task in the service; its worker learns it from its next report.

        Raises as `task` does.
        """
        with self._model() as service:
            service.cancel(task_id_of(service, task_id))

    def give_away(self, task_id: str) -> None:
        """End a task's lease now, as if its worker had been silent for too long.

        Raises as `task` does, and `ValueError` for a task which nobody holds any more.
        """
        with self._model() as service:
            service.give_away(task_id_of(service, task_id))
        self._taken.add(task_id)
        self._on_change()

    def jump(self, seconds: float) -> None:
        """Let the service's time jump ahead; held tasks may be lost by it, through no fault."""
        self._taken |= live_tasks(self.audit)
        with self._model() as service:
            service.jump(seconds)
        self._on_change()

    # Check the outcome

    @property
    @abstractmethod
    def audit(self) -> Audit:
        """The record of who was given which task when."""

    @property
    def now(self) -> float:
        """The service's time, in seconds since the test's service began."""
        with self._model() as service:
            return service.advance()

    def runs(self, work: Work) -> tuple[Run, ...]:
        """Return the instances of this work as they are now."""
        with self._model() as service:
            return goals.runs(service, work)

    def assert_finished(self, work: Work) -> None:
        """Raise `AssertionError`, with a line for each instance, unless all has FINISHED."""
        __tracebackhide__ = True
        with self._model() as service:
            goals.check_finished(service, work)

    def assert_single_owner(self) -> None:
        """Raise `AssertionError` if two workers ever had the same work in hand at one time.

        That is: one called the service about a task which it had lost, and which another had got
        meanwhile. Tasks taken from their workers by `give_away` or `jump` are left out.
        """
        __tracebackhide__ = True
        assert_single_owner(self.audit, self._taken)

    def assert_polled(self) -> None:
        """Raise `AssertionError` if polls found nothing while work of other groups waited unpolled.

        A worker that polls another group than that of the work does so. It is none of these polls
        if some pipeline has work for its group, however late, nor if the other group was polled.
        """
        __tracebackhide__ = True
        with self._model_to_read() as service:
            found = polls_in_vain(service)
        if found:
            raise AssertionError("\n".join(found))

    # Wait

    def finished(
        self, work: Work, *, timeout: float | None = None
    ) -> Coroutine[Any, Any, tuple[Run, ...]]:
        """Wait until all of this work is FINISHED, and return its runs.

        A pipeline with a schedule is FINISHED after its last slot, if there is one.

        Raises `AssertionError`, with a line for each instance, as soon as one ended otherwise, or
        when the time is up.
        """
        return self._waits.note("finished", self._reach(goals.finished(work), timeout))

    def ended(
        self, work: Work, *, timeout: float | None = None
    ) -> Coroutine[Any, Any, tuple[Run, ...]]:
        """Wait until nothing of this work goes on, however it ended, and return its runs."""
        return self._waits.note("ended", self._reach(goals.ended(work), timeout))

    def held(self, work: Work, *, timeout: float | None = None) -> Coroutine[Any, Any, TaskView]:
        """Wait until a worker has acknowledged a task of this work, and return that task."""
        return self._waits.note("held", self._reach(goals.held(work), timeout))

    def until(
        self, condition: Callable[[], object], *, timeout: float | None = None
    ) -> Coroutine[Any, Any, None]:
        """Wait until the condition holds; it is tried when something may have changed.

        Raises `TypeError` for a coroutine function.
        """
        return self._waits.note("until", self._reach(goals.holds(condition), timeout))

    def assert_awaited(self) -> None:
        """Raise `AssertionError` if one of these waits was made and never awaited."""
        __tracebackhide__ = True
        found = self._waits.end()
        if found:
            raise AssertionError(
                f"{', '.join(found)}: not awaited, so the test has not waited for it; write "
                f"`await ….{found[0]}(…)`, or over HTTP in a plain test `….wait_{found[0]}(…)`"
            )

    # Parts

    @abstractmethod
    def _model(self) -> AbstractContextManager[Service]:
        """Yield the model, and keep other threads from it until the block ends."""

    def _model_to_read(self) -> AbstractContextManager[Service]:
        """Yield the model as `_model` does, but to look at only, also when it serves no more."""
        return self._model()

    def _refuse_polls_in_vain(self, service: Service) -> None:
        """Have a service answer the poll of a worker with an error where it would poll for ever."""
        patience = Patience(time.monotonic)

        def refuse() -> None:
            if patience.is_over(service) and not self.idle_polls:
                raise invalid("; ".join(polls_in_vain(service)))

        service.model.worker_api.on_empty = refuse

    @abstractmethod
    def _on_change(self) -> None:
        """Have those who wait check their goals soon."""

    @abstractmethod
    async def _reach(self, goal: Goal[T], timeout: float | None) -> T:  # noqa: ASYNC109 - service time, which no cancel scope knows
        """Wait for a goal; raise `AssertionError` in service time."""

    def _check(self, goal: Goal[T], deadline: float) -> T | None:
        """Return what was reached; raise `AssertionError` once the deadline has passed."""
        __tracebackhide__ = True
        with self._model() as service:
            now = service.advance()
            reached = goal.check(service)
            if reached is None and now >= deadline:
                why = f"not {goal.text} by {_seconds(now)} of the service:"
                raise AssertionError(f"{why}\n{goal.explain(service)}")
            return reached

    def _deadline(self, timeout: float | None) -> float:
        return self.now + (self.default_timeout if timeout is None else timeout)


def _seconds(now: float) -> str:
    """Return a time as a test would write it: 0.3 s, but 3600 s."""
    return f"{now:.2g} s" if now < 10 else f"{now:.0f} s"  # noqa: PLR2004 - that many digits
