"""The task runner, as users make it."""

from __future__ import annotations

import os
import socket
import uuid
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Literal, Self, TypeVar

from anyio import AsyncContextManagerMixin

from aiodp._aws.runner_transport import open_runner_transport
from aiodp._concurrency import interruptible
from aiodp._core.text import checked_string, shown
from aiodp._errors import ReporterClosed
from aiodp._reporter.home import OneTaskBlock
from aiodp._reporter.runner_reporter import RunnerReporter
from aiodp._runner.arguments import at_least_one, leaves, timeout_of
from aiodp._runner.beside import beside
from aiodp._runner.dispatcher import Dispatcher
from aiodp._runner.execution import Shared
from aiodp._runner.handlers import Activity, Handlers, Limits, check_handler
from aiodp._runner.poller import Identity
from aiodp._runner.shutdown import Shutdown, Step
from aiodp._runner.signals import listening
from aiodp._types import Counts, RunnerStatistics

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from datetime import timedelta
    from typing import Unpack

    from aiobotocore.session import AioSession

    from aiodp._aws.queries import PipelineQueries
    from aiodp._aws.runner_transport import RunnerTransport
    from aiodp._reporter.options import ReporterOptions
    from aiodp._runner.handlers import Handler
    from aiodp._runner.task import Task

_H = TypeVar("_H", bound="Handler")


class TaskRunner(AsyncContextManagerMixin):
    """Polls a worker group for tasks, executes them by handlers, and reports their statuses.

    Each task is kept alive by a `ProgressReporter` from before its handler is called until its
    status is acknowledged. Any number of runners, in any number of processes, share a worker group.

    Use `run`, or use it as an async context manager, once, entered and left in the same task.
    Entering starts it, and raises what `run` raises at its start; the block goes on beside the
    tasks. Leaving it drains. If the block raises or is canceled, the tasks are interrupted as by
    `cancel`, and then the exception comes out. If the runner ends by itself, by a signal that
    nobody else handles or because the service tells it to terminate, the block is canceled once, as
    by `asyncio.timeout`, and ends without an exception when the tasks have ended.

    Raises `ValueError` and `TypeError` for arguments out of their limits.

    Args:
        session: An aiobotocore session; the runner opens clients of its own on it.
        worker_group: The group whose tasks it polls for: 1 to 1,024 characters, compared exactly
            (API reference of PollForTask).
        handler: Executes the tasks of the types without a handler of their own, see `activity`.
        max_concurrency: How many tasks run at once. It polls only when one more may run, at most
            twice a second (Developer Guide, "AWS Data Pipeline Limits").
        taskrunner_id: The runner's name in its own heartbeats, unique in the account; generated if
            not given.
        hostname: Of this machine, as the service shows it at the attempts.
        drain_timeout: Seconds that a drain may take before the tasks are interrupted; None for no
            limit.
        handle_signals: Drain at SIGINT and SIGTERM, and interrupt the tasks at a second one. A
            handler that the program has set is called as well. Signals that are ignored, or that
            the event loop has a handler for, are left alone, and all of them outside the main
            thread.
        check_access: Raise `ReportRejected` at the start if there are no credentials or if the
            service does not take them, by the answer to the runner's first heartbeat. False for
            programs that start before their credentials or their clock do: that is tried again
            then, as is at any time what cannot be reached.
        unsupported: What becomes of tasks of a type that no handler takes. "fail" sets them FAILED
            with `NoHandler`. "leave" does not acknowledge them, so that the service offers them
            again after two minutes, to another runner of the worker group that can do them; polls
            then wait for growing times of up to a minute, until a task comes that this one can do.
        reporter_options: As `ProgressReporter` takes them. An `ack_timeout` other than the two
            minutes of the service says that its time runs at another speed, and all periods are
            scaled by that: see `aiodp.testing.scaled`.

    """

    def __init__(
        self,
        session: AioSession,
        *,
        worker_group: str,
        handler: Handler | None = None,
        max_concurrency: int = 2,
        taskrunner_id: str | None = None,
        hostname: str | None = None,
        drain_timeout: float | timedelta | None = None,
        handle_signals: bool = True,
        check_access: bool = True,
        unsupported: Literal["fail", "leave"] = "fail",
        **reporter_options: Unpack[ReporterOptions],
    ) -> None:
        if handler is not None:
            check_handler(handler)
        host = socket.gethostname() or "localhost" if hostname is None else hostname
        generated = f"{host[:64]}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._identity = Identity(
            worker_group=checked_string("worker_group", worker_group),
            hostname=checked_string("hostname", host),
            taskrunner_id=checked_string(
                "taskrunner_id", generated if taskrunner_id is None else taskrunner_id
            ),
        )
        self._max_concurrency = at_least_one("max_concurrency", max_concurrency)
        self._drain_timeout = timeout_of("drain_timeout", drain_timeout)
        self._handle_signals = handle_signals
        self._check_access = check_access
        self._session = session
        self._options = reporter_options
        self._reporter = RunnerReporter(session, **reporter_options)
        if self._reporter.capacity == 0:
            raise ValueError(f"{reporter_options.get('quota')} cannot keep a single task alive")
        self._handlers = Handlers(handler, leave=leaves(unsupported, handler))
        self._shutdown = Shutdown()
        self._dispatcher: Dispatcher | None = None
        self._state = "new"

    def __repr__(self) -> str:
        running = len(self._dispatcher.executions) if self._dispatcher else 0
        group = self._identity.worker_group
        return f"<TaskRunner of {shown(group)}, {self._state}, {running} running>"

    @property
    def worker_group(self) -> str:
        """The worker group whose tasks it polls for."""
        return self._identity.worker_group

    @property
    def taskrunner_id(self) -> str:
        """The name of the runner in its own heartbeats."""
        return self._identity.taskrunner_id

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that are executed now, the oldest first."""
        executions = self._dispatcher.executions if self._dispatcher else ()
        return tuple(execution.task for execution in executions if execution.is_held)

    def activity(self, type_name: str, *, max_concurrency: int | None = None) -> Callable[[_H], _H]:
        """Decorate a handler for the tasks of one type, such as `ShellCommandActivity`.

        A handler is a coroutine function of a `Task`, or a plain function, which runs in a thread.
        `max_concurrency` limits how many of its tasks run at once; further ones are kept alive
        until they may. Raises `ValueError` if the type has a handler already, and `TypeError` for
        what cannot be called with a task, or without the name of a type.
        """
        if callable(type_name):
            raise TypeError('a type is missing: write @runner.activity("ShellCommandActivity")')
        checked_string("type_name", type_name)
        if max_concurrency is not None:
            at_least_one("max_concurrency", max_concurrency)

        def register(handler: _H) -> _H:
            check_handler(handler)
            self._handlers.add(type_name, Activity(handler=handler, limit=max_concurrency))
            return handler

        return register

    async def run(self, *, max_tasks: int | None = None, once: bool = False) -> None:
        """Work until `stop`, a signal, or a heartbeat that the service answers with `terminate`.

        Failing polls never end it; they are repeated with growing delays. A handler's return sets
        its task FINISHED (for a precondition, False sets FALSE), an exception FAILED. Tasks that
        are canceled or lost get no status. If this is canceled, the handlers are interrupted once
        and have 30 seconds to clean up; their tasks are FAILED with `RunnerStopped`.

        Args:
            max_tasks: Poll for so many tasks, and return when they have ended.
            once: Poll once, and return when the task that the poll brings, if any, has ended.

        Raises `ReportRejected` if the configuration allows no client or, unless `check_access` is
        False, if the service does not take its calls; `ReporterClosed` if the runner was used
        before or if its reporter crashed; `RunnerStopped` if its inner tasks were canceled one by
        one, as the end of an event loop does; and `ValueError` without any handler.

        """
        if max_tasks is not None:
            at_least_one("max_tasks", max_tasks)
        async with self._opened() as dispatcher:
            work = partial(dispatcher.run, max_tasks=max_tasks, once=once)
            async with beside(work, self._shutdown) as over:
                await over.wait()

    def __asynccontextmanager__(self) -> AbstractAsyncContextManager[Self]:
        return OneTaskBlock(self._started(), "task runner")

    @asynccontextmanager
    async def _started(self) -> AsyncGenerator[Self]:
        async with (
            self._opened() as dispatcher,
            beside(dispatcher.run, self._shutdown),
            interruptible() as interrupt,
        ):
            self._shutdown.on_end_by_itself(interrupt)
            yield self

    @asynccontextmanager
    async def _opened(self) -> AsyncGenerator[Dispatcher]:
        """Open what the work needs, once; raise at the end what made it impossible."""
        if not self._handlers:
            raise ValueError("give the runner a handler: TaskRunner(handler=…) or @runner.activity")
        if self._state != "new":
            raise ReporterClosed(
                f"the task runner is {self._state}, and can be run once: make another one"
            )
        self._state = "running"
        try:
            async with self._open_dispatcher() as dispatcher:
                with listening(self._shutdown) if self._handle_signals else nullcontext():
                    if self._check_access:
                        await dispatcher.heartbeats.check_access()
                    yield dispatcher
        finally:
            self._state = "closed"
        if dispatcher.failure is not None:
            raise dispatcher.failure

    def stop(self) -> None:
        """Drain: poll no more, and let `run` return when the tasks that run have ended.

        May be called from any thread, and before `run`.
        """
        self._shutdown.ask(Step.DRAINING)

    def cancel(self) -> None:
        """Stop at once: interrupt the handlers, and let their tasks fail with `RunnerStopped`.

        Handlers have 30 seconds to clean up; those in threads are left behind then, without a
        status. May be called from any thread.
        """
        self._shutdown.ask(Step.CANCELING)

    def statistics(self) -> RunnerStatistics:
        """Return a snapshot, which is empty before `run`; not from other threads."""
        dispatcher = self._dispatcher
        if dispatcher is None:
            return RunnerStatistics()
        return RunnerStatistics(
            polls=dispatcher.poller.polls,
            polls_failed=dispatcher.poller.unanswered.count,
            polling=dispatcher.poller.outstanding,
            received=dispatcher.received,
            left=dispatcher.poller.left,
            running=len(dispatcher.executions),
            ended=Counts({end.value: count for end, count in dispatcher.ended.items()}),
            reports=self._reporter.statistics(),
        )

    def _open_transport(
        self,
    ) -> AbstractAsyncContextManager[tuple[RunnerTransport, PipelineQueries]]:
        """Open what carries the calls; a subclass may carry them otherwise."""
        return open_runner_transport(
            self._session,
            region_name=self._options.get("region_name"),
            endpoint_url=self._options.get("endpoint_url"),
            config=self._options.get("config"),
            polls_at_once=self._max_concurrency,
        )

    @asynccontextmanager
    async def _open_dispatcher(self) -> AsyncIterator[Dispatcher]:
        async with self._open_transport() as (transport, queries), self._reporter:
            self._shutdown.open()
            shared = Shared(
                handlers=self._handlers,
                limits=Limits(self._max_concurrency),
                queries=queries,
                shutdown=self._shutdown,
                scale=self._reporter.scale,
                jitter=self._reporter.new_jitter(),
            )
            self._dispatcher = Dispatcher(
                self._identity,
                shared,
                reporter=self._reporter,
                transport=transport,
                drain_timeout=self._drain_timeout,
            )
            yield self._dispatcher
