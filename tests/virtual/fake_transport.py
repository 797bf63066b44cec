"""A reporter without a client: its calls go to the service's model as they are.

Nothing is serialised, signed or parsed, so that tests of policy take a third of the time. That the
outcomes are those of a real client is what `test_transports.py` proves.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

from aiodp import ProgressReporter, ReportKind
from aiodp._aws.transport import CODES
from aiodp._types import Outcome
from aiodp.emulator._model.replies import Answer, Hang, Slow

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from aiodp._aws.transport import Transport
    from aiodp._core.fields import WireField
    from aiodp.testing import MemoryService

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
        await self._wait_latency()
        reply = self._service.service.request(action, members)
        if isinstance(reply, Slow):
            await anyio.sleep(reply.delay)
            reply = reply.reply
        if isinstance(reply, Hang):
            await anyio.sleep_forever()
        if not isinstance(reply, Answer) or reply.truncated:
            error = ConnectionError("the connection was closed before an answer came")
            return Outcome(kind=ReportKind.CONNECTION, error=error)
        await self._wait_latency()
        return read(reply)

    async def _wait_latency(self) -> None:
        latency = self._service.latency
        await anyio.sleep(latency() if callable(latency) else latency)


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
        self, service: MemoryService, *, transport: Transport | None = None, **options: Any
    ) -> None:
        super().__init__(NoSession(), **options)
        self._fake = transport or FakeTransport(service)

    def _open_transport(self) -> AbstractAsyncContextManager[Transport]:
        return given(self._fake)


@asynccontextmanager
async def given(transport: Transport) -> AsyncGenerator[Transport]:
    """Give a transport that is open already."""
    await anyio.lowlevel.checkpoint()
    yield transport
