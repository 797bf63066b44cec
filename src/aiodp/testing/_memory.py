"""The local service in process: a real client's calls are answered without any socket."""

from __future__ import annotations

import json
import os
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio
from aiobotocore.awsrequest import AioAWSResponse
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

from aiodp.emulator._clock import ManualClock, ServiceClock
from aiodp.emulator._model.outside import FakeOutside
from aiodp.emulator._model.replies import Answer, Hang, Pending, Slow
from aiodp.emulator._model.service import Service
from aiodp.emulator._settings import Settings
from aiodp.testing._isolation import forget_missing_profile

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

    from aiobotocore.session import AioSession
    from botocore.awsrequest import AWSPreparedRequest

    from aiodp.emulator._model.audit import Audit
    from aiodp.emulator._model.faults import Faults
    from aiodp.emulator._model.replies import Reply
    from aiodp.emulator._model.runner_registry import TaskRunnerView
    from aiodp.emulator._model.views import TaskView

    Session = TypeVar("Session", bound=AioSession)

_EVENT: Final = "before-send.data-pipeline"
_CALL: Final = "before-call.data-pipeline"
_read_timeout: ContextVar[float | None] = ContextVar("read_timeout", default=None)
"""Of the client which makes the call; the request itself does not name it."""
MIN_WAIT: Final = 0.001  # below the clock's resolution a virtual clock would never move on


class MemoryService:
    """A Data Pipeline which answers the clients of the sessions it is attached to.

    The whole client stack runs, from botocore's serialiser to its parser; only the socket is
    missing. It waits by anyio, so it works on asyncio and trio, in real and in virtual time. One
    second of `clock` is a second of the service; with a `ManualClock`, to be moved in the thread
    of the event loop, whoever waits wakes at once when it is moved. `latency` is how long a
    request takes to the service, and as long takes the answer back, in seconds; a function is
    called for each of the two. A call which takes longer than its client's `read_timeout` fails,
    as it would over HTTP; botocore's default is 60 s, and a poll may take 90.

    The service itself is made at the first use, within the running event loop.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = anyio.current_time,
        settings: Settings | None = None,
        region_name: str = "us-east-1",
        latency: float | Callable[[], float] = 0.0,
    ) -> None:
        self.latency = latency
        self.outside = FakeOutside()
        """The S3 and DynamoDB which preconditions look at, and the SNS, of this service."""
        self._clock = clock
        self._settings = settings or Settings()
        self._region_name = region_name
        self._service: Service | None = None

    def attach(self, session: Session) -> Session:
        """Answer all Data Pipeline clients which this session creates from now on.

        A session without a region or credentials gets made-up ones; what it sends to other services
        still goes to AWS. Returns the session.
        """
        forget_missing_profile(session)
        if session.get_config_variable("region") is None:
            session.set_config_variable("region", self._region_name)
        if not _has_credentials(session):
            session.set_credentials("memory", "memory")
        session.register(_CALL, _note_read_timeout, unique_id=f"{self._registration}-call")
        session.register(_EVENT, self._on_send, unique_id=self._registration)
        return session

    def detach(self, session: AioSession) -> None:
        """Leave the clients which the session creates from now on to the network again."""
        session.unregister(_CALL, _note_read_timeout, unique_id=f"{self._registration}-call")
        session.unregister(_EVENT, self._on_send, unique_id=self._registration)

    @property
    def service(self) -> Service:
        """The model behind it."""
        if self._service is None:
            self._service = Service(self._clock, self._settings, self.outside)
        return self._service

    @property
    def faults(self) -> Faults:
        """The script of what goes wrong."""
        return self.service.faults

    @property
    def audit(self) -> Audit:
        """The record of who was given which task when."""
        return self.service.audit

    @property
    def calls(self) -> Counter[tuple[str, str]]:
        """Calls by operation and outcome."""
        return self.service.calls

    def assign(
        self,
        count: int = 1,
        *,
        worker_group: str = "workers",
        report_progress_timeout: str | None = None,
        hostname: str | None = None,
    ) -> list[str]:
        """Make tasks which are handed out already, and return their ids."""
        return self.service.assign(
            count,
            worker_group=worker_group,
            report_progress_timeout=report_progress_timeout,
            hostname=hostname,
        )

    def cancel(self, task_id: str) -> None:
        """Cancel a task in the service; its worker learns it from its next report."""
        self.service.cancel(task_id)

    def task(self, task_id: str) -> TaskView:
        """Return what the service knows of a task it handed out."""
        return self.service.task(task_id)

    def give_away(self, task_id: str) -> None:
        """End a task's lease now, as `Service.give_away` does: somebody else may have it."""
        self.service.give_away(task_id)

    @property
    def now(self) -> float:
        """The service's time."""
        return self.service.now

    def jump(self, seconds: float) -> None:
        """Let the service's time jump ahead of the clock; held polls and slow answers wake."""
        self.service.jump(seconds)

    def terminate(self, taskrunner_id: str) -> None:
        """Tell a task runner to terminate, as `Service.terminate` does."""
        self.service.terminate(taskrunner_id)

    @property
    def runners(self) -> tuple[TaskRunnerView, ...]:
        """The task runners which sent a heartbeat; the latest is the last."""
        return self.service.runners

    @property
    def _registration(self) -> str:
        return f"aiodp-memory-{id(self)}"

    async def _on_send(self, request: AWSPreparedRequest, **_: Any) -> AioAWSResponse:
        try:
            with anyio.fail_after(_read_timeout.get()):
                return await self._answer(request)
        except TimeoutError as error:
            raise ReadTimeoutError(endpoint_url=request.url) from error

    async def _answer(self, request: AWSPreparedRequest) -> AioAWSResponse:
        operation = _text(request.headers["X-Amz-Target"]).rpartition(".")[2]
        answer = await self._call(operation, json.loads(request.body or b"{}"), request.url)
        return _Response(request.url, answer)

    async def _call(self, operation: str, members: dict[str, Any], url: str) -> Answer:
        """Return the answer of the service, when a client that is sent it would have it."""
        await self._wait_latency()
        answer = await self._deliver(self.service.request(operation, members), url)
        await self._wait_latency()
        return answer

    async def _wait_latency(self) -> None:
        latency = self.latency() if callable(self.latency) else self.latency
        if latency > 0:
            await anyio.sleep(latency)

    async def _deliver(self, reply: Reply, url: str) -> Answer:
        if isinstance(reply, Slow):
            await self._wait_until(self.service.now + reply.delay)
            return await self._deliver(reply.reply, url)
        if isinstance(reply, Pending):
            return await self._deliver(await self._wait_poll(reply), url)
        if isinstance(reply, Answer) and not reply.truncated:
            return reply
        if isinstance(reply, Hang):
            await anyio.sleep_forever()
        raise ConnectionClosedError(endpoint_url=url)

    async def _wait_until(self, until: float) -> None:
        while self.service.now < until:
            changed = anyio.Event()
            unsubscribe = self.service.subscribe(changed.set)
            try:
                await self._wait_for(changed, until)
            finally:
                unsubscribe()

    async def _wait_poll(self, poll: Pending) -> Answer:
        service = self.service
        while True:
            changed = anyio.Event()
            unsubscribe = service.subscribe(changed.set)
            try:
                answer = poll.resume()
                if answer is not None:
                    return answer
                event = service.next_event()
                until = poll.deadline if event is None else min(poll.deadline, event)
                await self._wait_for(changed, until)
            except BaseException:
                poll.abandon()
                raise
            finally:
                unsubscribe()

    async def _wait_for(self, changed: anyio.Event, until: float) -> None:
        seconds = self._real(until - self.service.now)
        with anyio.move_on_after(max(MIN_WAIT, seconds)):
            await changed.wait()

    def _real(self, seconds: float) -> float:
        if isinstance(self._clock, ManualClock | ServiceClock):
            return self._clock.real(seconds)
        return seconds


class _Response(AioAWSResponse):  # type: ignore[misc]  # aiobotocore has no types
    """An answer whose body is there already, and not to be read from a socket."""

    def __init__(self, url: str, answer: Answer) -> None:
        super().__init__(url, answer.status, answer.headers, None)
        self._content = answer.body


def _note_read_timeout(context: dict[str, Any], **_: Any) -> None:
    _read_timeout.set(context["client_config"].read_timeout)


def _text(header: str | bytes) -> str:
    return header.decode() if isinstance(header, bytes) else header


def _has_credentials(session: AioSession) -> bool:
    """Return whether the session would find credentials without asking the network for them."""
    given = session._credentials is not None  # noqa: SLF001 - the public way is asynchronous
    return bool(given or "AWS_ACCESS_KEY_ID" in os.environ or session.full_config["profiles"])
