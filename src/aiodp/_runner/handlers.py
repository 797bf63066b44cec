"""The handlers of a runner: coroutine functions are awaited, plain functions run in threads."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio
import anyio.to_thread

from aiodp._concurrency import cancellation_requested
from aiodp._core.text import shown
from aiodp._errors import TaskFailed
from aiodp._reporter.task import current
from aiodp._reporter.work import work_on

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiodp._runner.task import Task

Handler: TypeAlias = "Callable[[Task], Awaitable[bool | None]] | Callable[[Task], bool | None]"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Activity:
    """What does the tasks of one type; `limit` is how many of them at once, None for no limit.

    Two are never equal: the same handler for two types has two limits.
    """

    handler: Handler
    limit: int | None = None


def check_handler(handler: object) -> None:
    """Raise `TypeError` for what can be no handler."""
    if not callable(handler):
        raise TypeError(f"a handler must be a function of a task, not {shown(handler)}")
    for function in _functions(handler):
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"a handler must not be a generator, which does nothing: {handler!r}")


class Handlers:
    """Finds the handler of a type: its own, or the one that takes the rest."""

    def __init__(self, rest: Handler | None) -> None:
        self._rest = None if rest is None else Activity(handler=rest)
        self._by_type: dict[str, Activity] = {}

    def __bool__(self) -> bool:
        return self._rest is not None or bool(self._by_type)

    def add(self, type_name: str, activity: Activity) -> None:
        """Register a handler; raise `ValueError` if the type has one."""
        if type_name in self._by_type:
            raise ValueError(f"{type_name!r} has a handler already")
        self._by_type[type_name] = activity

    def find(self, task: Task) -> Activity:
        """Return the activity for a task; raise `TaskFailed` if there is none."""
        activity = self._by_type.get(task.type, self._rest)
        if activity is None:
            known = ", ".join(sorted(self._by_type))
            raise TaskFailed(
                f"this task runner has no handler for {task.type or 'objects without a type'}; "
                f"it has handlers for {known}",
                error_id="NoHandler",
            )
        return activity


class Call:
    """One call of a handler, in a task of its own: what that does to itself is its own affair.

    `finished` tells whether it returned, and `result` what; if not, and nothing was raised, it was
    interrupted. `error` is what it raised, `left_behind` tells that its thread goes on, although
    nobody waits for it.
    """

    def __init__(self, handler: Handler, task: Task, threads: anyio.CapacityLimiter) -> None:
        self.finished = False
        self.result: object = None
        self.left_behind = False
        self._handler = handler
        self._task = task
        self._threads = threads
        self.error: BaseException | None = None

    async def run(self) -> None:
        """Call it; raise what it raises, and `TaskCanceled` or `LeaseLost` if the task ends."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._run, name="aiodp handler")
        if self.error is not None:
            raise self.error

    async def _run(self) -> None:
        try:
            if _is_asynchronous(self._handler):
                await self._await(self._handler)
            else:
                await self._in_thread()
        except anyio.get_cancelled_exc_class() as canceled:
            self.error = canceled  # its own doing, unless `run` is canceled as well
            raise
        except BaseException as error:  # noqa: BLE001 - raised by `run`, outside the group
            self.error = error

    async def _await(self, handler: Callable[[Task], Any]) -> None:
        async def work() -> None:
            self._finish(await handler(self._task))

        self._task.raise_if_ended()  # it may have come before there was something to interrupt
        await work_on(self._task, work, ())

    def _finish(self, result: object) -> None:
        self.result = result
        self.finished = True

    async def _in_thread(self) -> None:
        result = await self._result_of_thread()
        if inspect.isawaitable(result):  # of a lambda, say, which calls a coroutine function
            try:
                await self._await(lambda _: result)
            finally:
                if inspect.iscoroutine(result):
                    result.close()  # no "was never awaited" if it did not come to that
        else:
            self._finish(result)

    async def _result_of_thread(self) -> Any:
        token = current.set(self._task)  # anyio hands the context to the thread
        try:
            return await anyio.to_thread.run_sync(
                self._handler, self._task, abandon_on_cancel=True, limiter=self._threads
            )
        except anyio.get_cancelled_exc_class():
            self.left_behind = cancellation_requested()
            raise
        finally:
            current.reset(token)


def _is_asynchronous(handler: object) -> bool:
    return any(inspect.iscoroutinefunction(one) for one in _functions(handler))


def _functions(handler: Any) -> tuple[object, object]:
    """Return what is called: a function, without the arguments it has already, or an object's."""
    while isinstance(handler, partial):
        handler = handler.func
    return handler, getattr(handler, "__call__", None)  # noqa: B004 - it may be asynchronous
