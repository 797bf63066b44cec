"""The calls of a task runner about no task: polls and its own heartbeat."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

from aiobotocore.config import AioConfig

from aiodp._aws.queries import ClientPipelineQueries
from aiodp._aws.transport import ONCE, call_service, is_genuine, malformed, open_clients
from aiodp._aws.waiting import answer_within
from aiodp._types import Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from aiobotocore.session import AioSession
    from botocore.config import Config

    from aiodp._aws.queries import PipelineQueries

_READ_TIMEOUT: Final = 100.0  # a poll is held for 90 s: API reference of PollForTask
_POLL_TIMEOUT: Final = 110.0  # for all of it: a server that trickles would keep each read alive
_HEARTBEAT_TIMEOUT: Final = 60.0  # for all of it, as well, with its retries
_CALL_TIMEOUT: Final = 10.0
_CALLS_AT_ONCE: Final = 10
_TRIES: Final = 5  # of queries, which change nothing


class RunnerTransport(Protocol):
    """None of its calls raises anything but a cancellation."""

    async def poll(self, worker_group: str, hostname: str) -> Mapping[str, Any] | Outcome | None:
        """Call PollForTask: a taskObject, None if there is no task, or why the call failed."""
        ...

    async def heartbeat(
        self, taskrunner_id: str, worker_group: str, hostname: str, *, once: bool = False
    ) -> bool | Outcome:
        """Call ReportTaskRunnerHeartbeat: whether to terminate, or why the call failed.

        `once` says that it is not repeated: then it needs a connection for polls.
        """
        ...


class ClientRunnerTransport:
    """Over aiobotocore."""

    def __init__(self, polls: Any, others: Any) -> None:
        self._polls = polls
        self._others = others

    async def poll(self, worker_group: str, hostname: str) -> Mapping[str, Any] | Outcome | None:
        """Call PollForTask."""
        answer = await answer_within(
            _POLL_TIMEOUT,
            call_service(self._polls.poll_for_task(workerGroup=worker_group, hostname=hostname)),
        )
        if isinstance(answer, Outcome):
            return answer
        task = answer.get("taskObject")
        if not is_genuine(answer) or not isinstance(task, dict | None):
            return malformed("PollForTask", answer)
        return task or None

    async def heartbeat(
        self, taskrunner_id: str, worker_group: str, hostname: str, *, once: bool = False
    ) -> bool | Outcome:
        """Call ReportTaskRunnerHeartbeat."""
        client = self._polls if once else self._others
        answer = await answer_within(
            _HEARTBEAT_TIMEOUT,
            call_service(
                client.report_task_runner_heartbeat(
                    taskrunnerId=taskrunner_id, workerGroup=worker_group, hostname=hostname
                )
            ),
        )
        if isinstance(answer, Outcome):
            return answer
        terminate = answer.get("terminate")
        if not is_genuine(answer) or not isinstance(terminate, bool):
            return malformed("ReportTaskRunnerHeartbeat", answer)
        return terminate


@asynccontextmanager
async def open_runner_transport(
    session: AioSession,
    *,
    region_name: str | None,
    endpoint_url: str | None,
    config: Config | None,
    polls_at_once: int,
) -> AsyncIterator[tuple[RunnerTransport, PipelineQueries]]:
    """Open clients of their own: a long poll holds its connection, and nothing may wait for it.

    Raises `ReportRejected` if no client can be made.
    """
    own = [
        _poll_config(polls_at_once),
        AioConfig(
            connect_timeout=_CALL_TIMEOUT,
            read_timeout=_CALL_TIMEOUT,
            max_pool_connections=_CALLS_AT_ONCE,
            retries={"total_max_attempts": _TRIES, "mode": "standard"},
        ),
    ]
    async with open_clients(
        session, own, region_name=region_name, endpoint_url=endpoint_url, config=config
    ) as (polls, others):
        yield ClientRunnerTransport(polls, others), ClientPipelineQueries(others)


@asynccontextmanager
async def open_poll_transport(
    session: AioSession,
    *,
    region_name: str | None,
    endpoint_url: str | None,
    config: Config | None,
) -> AsyncIterator[RunnerTransport]:
    """Open a client for one poll after the other; raise `ReportRejected` if none can be made."""
    async with open_clients(
        session,
        [_poll_config(1)],
        region_name=region_name,
        endpoint_url=endpoint_url,
        config=config,
    ) as [client]:
        yield ClientRunnerTransport(client, client)


def _poll_config(polls_at_once: int) -> AioConfig:
    return AioConfig(
        connect_timeout=_CALL_TIMEOUT,
        read_timeout=_READ_TIMEOUT,
        max_pool_connections=polls_at_once,
        retries=ONCE,  # a poll that is sent again may lose the task that the first one got
    )
