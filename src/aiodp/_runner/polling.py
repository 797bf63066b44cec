"""Polls for those who poll themselves."""

from __future__ import annotations

import socket
from random import SystemRandom
from typing import TYPE_CHECKING, Final

import anyio

from aiodp._aws.errors import describe
from aiodp._aws.runner_transport import open_poll_transport
from aiodp._aws.sessions import check_session
from aiodp._core.objects import read_assignment
from aiodp._core.text import checked_string
from aiodp._errors import CallFailed, ReportRejected
from aiodp._runner.poller import Backoff
from aiodp._types import Outcome, ReportKind

if TYPE_CHECKING:
    from aiobotocore.session import AioSession
    from botocore.config import Config

    from aiodp._aws.runner_transport import RunnerTransport
    from aiodp._core.objects import TaskObject

_REFUSALS: Final = {ReportKind.CONFIGURATION: ReportRejected, ReportKind.INVALID: CallFailed}


async def poll(
    session: AioSession,
    *,
    worker_group: str,
    hostname: str | None = None,
    region_name: str | None = None,
    endpoint_url: str | None = None,
    config: Config | None = None,
) -> TaskObject | None:
    """Poll a worker group; return the task that it brings, None if there is none.

    The service holds a poll for 90 seconds while there is no task (API reference of PollForTask).
    The call has a read timeout above that, and botocore does not repeat it: the task of a poll that
    is sent twice may be handed to nobody. A poll that is not answered, or throttled, is repeated
    after a second, then after growing delays of up to a minute. If this is canceled, a task that
    comes in the rest of the 90 seconds is offered again two minutes later.

    Args:
        session: An aiobotocore session; each poll opens a client of its own on it.
        worker_group: The group to poll for: 1 to 1,024 characters, compared exactly.
        hostname: Of this machine, as the service shows it at the attempts; the system's if None.
        region_name: As `ProgressReporter` takes it.
        endpoint_url: As `ProgressReporter` takes it.
        config: As `ProgressReporter` takes it.

    Raises `ReportRejected` if credentials, permission, region or endpoint do not allow the poll,
    `CallFailed` if the service takes it for invalid or answers what is no task, `ValueError` for
    names out of their limits, and `TypeError` for what is no session.

    """
    check_session(session)
    names = check_names(worker_group, hostname)
    backoff = Backoff("polls", SystemRandom().random)  # not what the program may have seeded
    async with open_poll_transport(
        session, region_name=region_name, endpoint_url=endpoint_url, config=config
    ) as transport:
        while isinstance(found := await poll_once(transport, *names), Outcome):  # noqa: ASYNC110 - calls
            await anyio.sleep(backoff.fail(found))
    return found


def check_names(worker_group: str, hostname: str | None) -> tuple[str, str]:
    """Return the names that a poll tells the service; raise `ValueError`."""
    host = socket.gethostname() or "localhost" if hostname is None else hostname
    return checked_string("worker_group", worker_group), checked_string("hostname", host)


async def poll_once(
    transport: RunnerTransport, worker_group: str, hostname: str
) -> TaskObject | Outcome | None:
    """Return the task that a poll brings, None if there is none, or why it may be repeated.

    Raises `ReportRejected` and `CallFailed`, as `poll` does.
    """
    answer = await transport.poll(worker_group, hostname)
    if isinstance(answer, Outcome):
        if answer.kind in _REFUSALS:
            message = f"the poll was refused: {describe(answer.error)}"
            raise _REFUSALS[answer.kind](message) from answer.error
        return answer
    if answer is None:
        return None
    try:
        return read_assignment(answer, anyio.current_time())
    except ValueError as error:
        raise CallFailed(f"a poll brought a task that cannot be read: {error}") from error
