"""A reporter and a task runner without clients: their calls go to the service's model as they are.

Nothing is serialised, signed or parsed, so that tests of policy take a third of the time. That the
outcomes are those of a real client is what `test_transports.py` proves.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.lowlevel
from botocore.exceptions import ConnectionClosedError

from aiodp import CallFailed, ProgressReporter, ReportKind, TaskRunner
from aiodp._aws.errors import CODES, TIMED_OUT
from aiodp._core.objects import parse_object
from aiodp._reporter.clock import LeaseClock
from aiodp._reporter.runner_reporter import RunnerReporter
from aiodp._types import Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from aiodp._aws.runner_transport import RunnerTransport
    from aiodp._aws.transport import Transport
    from aiodp._core.fields import WireField
    from aiodp._core.objects import PipelineObject
    from aiodp.emulator._model.replies import Answer
    from aiodp.testing import MemoryService

T = TypeVar("T")

POLL_TIMEOUT = 100.0
HEARTBEAT_TIMEOUT = 60.0
DESCRIBE_TIMEOUT = 50.0
KINDS = {code: kind for kind, codes in CODES.items() for code in codes}


class FakeTransport:
    """The two calls that keep a task, answered by a service in process."""

    def __init__(self, service: MemoryService) -> None:
        self._service = service

    async def report(self, task_id: str, fields: Sequence[WireField]) -> Outcome:
        """Call ReportTaskProgress."""
        members = {"fields": [dict(field) for field in fields]} if fields else {}
        answer = await self._call("ReportTaskProgress", {"taskId": task_id, **members})
        if isinstance(answer, Outcome):
            return answer
        canceled = answer.get("canceled")
        if not isinstance(canceled, bool):
            return malformed(answer)
        return Outcome(kind=ReportKind.OK, canceled=canceled)

    async def set_status(self, task_id: str, status: str, error: Mapping[str, str]) -> Outcome:
        """Call SetTaskStatus."""
        members = {"taskId": task_id, "taskStatus": status, **error}
        answer = await self._call("SetTaskStatus", members)
        return answer if isinstance(answer, Outcome) else Outcome(kind=ReportKind.OK)

    async def _call(self, action: str, members: dict[str, Any]) -> dict[str, Any] | Outcome:
        await anyio.lowlevel.checkpoint()
        try:
            answer = await self._service._call(action, members, "memory")
        except ConnectionClosedError as error:
            return Outcome(kind=ReportKind.CONNECTION, error=error)
        return read(answer)


class FakeRunnerTransport(FakeTransport):
    """The calls of a task runner that hold no task, with the time limits of the client's."""

    async def poll(self, worker_group: str, hostname: str) -> Mapping[str, Any] | Outcome | None:
        """Call PollForTask."""
        answer: dict[str, Any] | Outcome = TIMED_OUT
        with anyio.move_on_after(POLL_TIMEOUT):
            answer = await self._call(
                "PollForTask", {"workerGroup": worker_group, "hostname": hostname}
            )
        if isinstance(answer, Outcome):
            return answer
        task = answer.get("taskObject")
        return (task or None) if isinstance(task, dict | None) else malformed(answer)

    async def describe(
        self, pipeline_id: str, object_ids: Iterable[str], *, evaluate_expressions: bool
    ) -> AsyncIterator[PipelineObject]:
        """Call DescribeObjects once, for as long as the client and its retries would take."""
        members = {
            "pipelineId": pipeline_id,
            "objectIds": list(object_ids),
            "evaluateExpressions": evaluate_expressions,
        }
        answer: dict[str, Any] | Outcome = TIMED_OUT
        with anyio.move_on_after(DESCRIBE_TIMEOUT):
            answer = await self._call("DescribeObjects", members)
        if isinstance(answer, Outcome):
            raise CallFailed(f"DescribeObjects failed: {answer.error}")
        for described in answer["pipelineObjects"]:
            yield parse_object(described)

    async def heartbeat(
        self, taskrunner_id: str, worker_group: str, hostname: str, **_: bool
    ) -> bool | Outcome:
        """Call ReportTaskRunnerHeartbeat."""
        members = {"taskrunnerId": taskrunner_id, "workerGroup": worker_group, "hostname": hostname}
        answer: dict[str, Any] | Outcome = TIMED_OUT
        with anyio.move_on_after(HEARTBEAT_TIMEOUT):
            answer = await self._call("ReportTaskRunnerHeartbeat", members)
        if isinstance(answer, Outcome):
            return answer
        terminate = answer.get("terminate")
        return terminate if isinstance(terminate, bool) else malformed(answer)


def read(answer: Answer) -> dict[str, Any] | Outcome:
    """Return the members of an answer, or what a client makes of it if it has none."""
    try:
        content = json.loads(answer.body) if answer.body else None
    except ValueError:
        content = ()
    if answer.status != 200:
        details = content if isinstance(content, dict) else {}
        code = details.get("__type", "").rpartition("#")[2]
        other = ReportKind.SERVER_ERROR if answer.status >= 500 else ReportKind.UNEXPECTED
        error = RuntimeError(f"{code or answer.status}: {details.get('message')}")
        return Outcome(kind=KINDS.get(code, other), error=error)
    if content is None and "x-amzn-RequestId" in answer.headers:
        return {}
    if not isinstance(content, dict) or "__type" in content:
        return malformed(content)
    return content


def malformed(content: object) -> Outcome:
    """Return the outcome of an answer that is none of the service."""
    error = ValueError(f"this is no answer of the service: {content!r:.40}")
    return Outcome(kind=ReportKind.MALFORMED, error=error)


class NoSession:
    """A session that makes no client."""

    def create_client(self, *_: object, **__: object) -> None:
        """Raise: a fake transport needs no client."""
        raise AssertionError("a reporter over a fake transport makes no client")


class FakeReporter(ProgressReporter):
    """A reporter over a fake transport."""

    def __init__(
        self,
        service: MemoryService,
        *,
        transport: Transport | None = None,
        suspended: Callable[[], float] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(NoSession(), **options)
        self._fake = transport or FakeTransport(service)
        self._suspended = suspended

    def _open_transport(self) -> AbstractAsyncContextManager[Transport]:
        return given(self._fake)

    def _new_clock(self) -> LeaseClock:
        if self._suspended is None:
            return super()._new_clock()
        return LeaseClock(suspended=self._suspended, system_time=anyio.current_time)


class FakeRunnerReporter(FakeReporter, RunnerReporter):
    """The reporter of a task runner over a fake transport."""


class FakeRunner(TaskRunner):
    """A task runner over a fake transport, whose handlers may ask for objects by their ids."""

    def __init__(
        self,
        service: MemoryService,
        *,
        suspended: Callable[[], float] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(NoSession(), **options)
        self._reporter = FakeRunnerReporter(service, suspended=suspended, **self._options)
        self._fake = FakeRunnerTransport(service)

    def _open_transport(self) -> AbstractAsyncContextManager[tuple[RunnerTransport, Any]]:
        return given((self._fake, self._fake))


@asynccontextmanager
async def given(transport: T) -> AsyncGenerator[T]:
    """Give a transport that is open already."""
    await anyio.lowlevel.checkpoint()
    yield transport
