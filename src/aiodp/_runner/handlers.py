"""The handlers of a runner, how many of their calls run at once, and the call of one.

Coroutine functions are awaited, plain functions run in threads.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import anyio
import anyio.to_thread

from aiodp._concurrency import Closable, cancellation_requested
from aiodp._core.text import shorten, shown
from aiodp._errors import TaskFailed
from aiodp._log import logger
from aiodp._reporter.interruption import Interruption
from aiodp._reporter.task import as_current, record_of
from aiodp._reporter.work import accepts, interrupted, signature_of, work_as_current

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiodp._runner.task import Task

Handler: TypeAlias = "Callable[[Task], Awaitable[bool | None]] | Callable[[Task], bool | None]"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Activity:
    """The handler of one type; `limit` is how many of its tasks run at once, None for no limit.

    Two are never equal: the same handler for two types has two limits.
    """

    handler: Handler
    limit: int | None = None


def check_handler(handler: object) -> None:
    """Raise `TypeError` for what cannot be a handler."""
    if inspect.iscoroutine(handler):
        raise TypeError(
            "a handler must not be a coroutine: give the function itself, do not call it"
        )
    if inspect.isclass(handler):
        raise TypeError(f"a handler is not the class {handler.__name__}: register an object of it")
    if not callable(handler):
        raise TypeError(f"a handler must be a function of a task, not {shown(handler)}")
    for function in _functions(handler):
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"a handler must not be a generator, which does nothing: {handler!r}")
    if not accepts(handler, None):
        raise TypeError(
            f"{signature_of(handler)} cannot be called with a task alone, as handlers are"
        )


class Handlers:
    """Finds the handler of a type: its own, or the one that takes the rest.

    With `leave`, tasks of types without one are left to other runners.
    """

    def __init__(self, rest: Handler | None, *, leave: bool) -> None:
        self._rest = None if rest is None else Activity(handler=rest)
        self.leave = leave
        self._by_type: dict[str, Activity] = {}

    def __bool__(self) -> bool:
        return self._rest is not None or bool(self._by_type)

    def add(self, type_name: str, activity: Activity) -> None:
        """Register a handler; raise `ValueError` if the type has one."""
        if type_name in self._by_type:
            raise ValueError(f"{type_name!r} has a handler already")
        self._by_type[type_name] = activity

    def has(self, type_name: str) -> bool:
        """Return whether the type has a handler of its own."""
        return type_name in self._by_type

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


class Permit:
    """The right to run, of which there are as many as the semaphore says.

    It is a context manager, at whose end the permit is released if it still is held.
    """

    def __init__(self, semaphore: anyio.Semaphore) -> None:
        self._semaphore = semaphore
        self._held = False

    async def acquire(self) -> None:
        """Wait until there is one."""
        await self._semaphore.acquire()
        self._held = True

    def release_early(self) -> None:
        """Let somebody else have it, before the end of the block."""
        if self._held:
            self._held = False
            self._semaphore.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release_early()


class Limits:
    """How many tasks a runner works on at once: in all, of one type, and in threads."""

    def __init__(self, max_concurrency: int) -> None:
        self.threads = anyio.CapacityLimiter(2 * max_concurrency)
        self._tasks = anyio.Semaphore(max_concurrency)
        # Preconditions that are evaluated again have permits of their own, as in AWS's Task Runner
        # (Developer Guide, "Task Runner Threads and Preconditions").
        self._rechecks = anyio.Semaphore(max_concurrency)
        self._types: dict[Activity, anyio.Semaphore] = {}

    def task_permit(self) -> Permit:
        """Return what a poll needs, and then the task that it brings."""
        return Permit(self._tasks)

    def recheck_permit(self) -> Permit:
        """Return what a further evaluation of a precondition needs."""
        return Permit(self._rechecks)

    def type_permit(self, activity: Activity) -> Permit | None:
        """Return what a task of this type needs in addition, None if the type has no limit."""
        if activity.limit is None:
            return None
        if activity not in self._types:
            self._types[activity] = anyio.Semaphore(activity.limit)
        return Permit(self._types[activity])


class Call:
    """One call of a handler, in a task of its own, so that a handler can cancel only itself.

    Its attributes say what happened. If the handler neither returned nor raised, it was
    interrupted.
    """

    def __init__(self, handler: Handler, task: Task, threads: anyio.CapacityLimiter) -> None:
        self.has_returned = False
        self.returned: object = None
        self.error: BaseException | None = None
        """What the handler raised, or `TaskCanceled` or `LeaseLost` if the task ended."""
        self.left_behind = False
        """Whether the handler's thread goes on, although nobody waits for it."""
        self._handler = handler
        self._task = task
        self._threads = threads

    async def run(self) -> None:
        """Call the handler; raise nothing but a cancellation of this."""
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._run, name="aiodp handler")
        except BaseExceptionGroup as errors:
            # A GeneratorExit of what the handler awaited: it closes each coroutine on its way,
            # `_run` among them, and goes on.
            self.error = errors.exceptions[0]

    async def _run(self) -> None:
        try:
            if _is_asynchronous(self._handler):
                await self._await(self._handler)
            else:
                await self._run_in_thread()
        except anyio.get_cancelled_exc_class() as canceled:
            self.error = canceled  # its own doing, unless `run` is canceled as well
            raise
        except BaseException as error:  # noqa: BLE001 - whatever a handler raises is reported
            self.error = error

    async def _await(self, handler: Callable[[Task], Any]) -> None:
        async def work() -> None:
            self._return(await handler(self._task))

        self._task.raise_if_ended()  # that may have been before there was something to interrupt
        call = Closable(work(), lambda: self._task.stopped)
        try:
            async with interrupted(self._task):
                await work_as_current(self._task, lambda: call, ())
        finally:
            if call.closed:
                logger.error(
                    "task %s: its handler goes on although it is interrupted; it is closed",
                    shorten(self._task.task_id),
                    extra=record_of(self._task).extra,
                )

    def _return(self, value: object) -> None:
        self.returned = value
        self.has_returned = True

    async def _run_in_thread(self) -> None:
        result = await self._wait_for_thread()
        if inspect.isawaitable(result):  # of a lambda, say, which calls a coroutine function
            try:
                await self._await(lambda _: result)
            finally:
                if inspect.iscoroutine(result):
                    result.close()  # no "was never awaited" if it did not come to that
        else:
            self._return(result)

    async def _wait_for_thread(self) -> Any:
        try:
            # Anyio hands the context to the thread. The interruption only names the work.
            with as_current(self._task), Interruption(record_of(self._task), None):
                [result] = await anyio.to_thread.run_sync(
                    lambda: [self._handler(self._task)],  # trio would refuse a bare coroutine
                    abandon_on_cancel=True,
                    limiter=self._threads,
                )
        except anyio.get_cancelled_exc_class():
            self.left_behind = cancellation_requested()
            raise
        else:
            return result


def _is_asynchronous(handler: object) -> bool:
    return any(map(inspect.iscoroutinefunction, _functions(handler)))


def _functions(handler: Any) -> tuple[object, object]:
    """Return what is called: a function, without the arguments it has already, or an object's."""
    while isinstance(handler, partial):
        handler = handler.func
    return handler, getattr(handler, "__call__", None)  # noqa: B004 - it may be asynchronous
