"""The seam to botocore: one call in, one `Outcome` out; no exception of botocore's leaves it."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

import anyio
from aiobotocore.config import AioConfig
from botocore import exceptions as botocore_errors

from aiodp._aws.advice import warn_of_proxy
from aiodp._aws.connections import Connections
from aiodp._aws.credentials import shared_credentials
from aiodp._aws.errors import describe, outcome_of
from aiodp._aws.processes import no_process_left
from aiodp._aws.secrets import remember_secrets
from aiodp._concurrency import cancellation_requested
from aiodp._core.text import shorten
from aiodp._errors import ReportRejected
from aiodp._log import guard_records_of
from aiodp._redaction import redact_error
from aiodp._types import Outcome, ReportKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence

    from aiobotocore.session import AioSession
    from botocore.config import Config

    from aiodp._core.fields import WireField

_SERVICE: Final = "datapipeline"
_CREDENTIALS_LOGGERS: Final = (
    "aiobotocore.credentials",
    "aiobotocore.utils",
    "botocore.credentials",
    "botocore.utils",
)
"""They log where credentials come from, at INFO, and that a renewal failed which can wait."""
_GENUINE: Final = "aiodp.genuine"
_CLOSE_TIMEOUT: Final = 5.0  # seconds
_STATUS_CONNECTIONS: Final = 50
_KEPT_INTERVALS: Final = 2.0

ONCE: Final = {"total_max_attempts": 1, "mode": "standard"}
"""The retries of a client whose calls are tried again by us, if at all."""


class Transport(Protocol):
    """The two calls about a task. Neither raises anything but a cancellation."""

    async def report(self, task_id: str, fields: Sequence[WireField]) -> Outcome:
        """Call ReportTaskProgress."""
        ...

    async def set_status(self, task_id: str, status: str, error: Mapping[str, str]) -> Outcome:
        """Call SetTaskStatus; `error` holds errorId, errorMessage and errorStackTrace, if any."""
        ...


def _mark_genuine(
    response_dict: Mapping[str, Any], customized_response_dict: dict[str, Any], **_: Any
) -> None:
    """Mark whether an answer comes from the service; botocore takes any 200 for a success.

    The service answers with a JSON object. SetTaskStatus may be answered by an empty body, which
    the service's request id distinguishes from a proxy's.
    """
    body = response_dict["body"]
    try:
        content = json.loads(body) if body else None
    except ValueError:
        content = ()
    if content is None:
        genuine = "x-amzn-requestid" in {name.lower() for name in response_dict["headers"]}
    else:
        genuine = isinstance(content, dict) and "__type" not in content
    customized_response_dict[_GENUINE] = genuine


class ClientTransport:
    """Over aiobotocore. Reports have a client of their own, so that nothing can starve them."""

    def __init__(self, reports: Any, statuses: Any) -> None:
        self._reports = reports
        self._statuses = statuses

    async def report(self, task_id: str, fields: Sequence[WireField]) -> Outcome:
        """Call ReportTaskProgress."""
        answer = await call_service(
            self._reports.report_task_progress(
                taskId=task_id, **({"fields": fields} if fields else {})
            ),
            task_id,
        )
        if isinstance(answer, Outcome):
            return answer
        canceled = answer.get("canceled")
        if not is_genuine(answer) or not isinstance(canceled, bool):
            return malformed("ReportTaskProgress", answer)
        return Outcome(kind=ReportKind.OK, canceled=canceled)

    async def set_status(self, task_id: str, status: str, error: Mapping[str, str]) -> Outcome:
        """Call SetTaskStatus."""
        answer = await call_service(
            self._statuses.set_task_status(taskId=task_id, taskStatus=status, **error), task_id
        )
        if isinstance(answer, Outcome):
            return answer
        if not is_genuine(answer):
            return malformed("SetTaskStatus", answer)
        return Outcome(kind=ReportKind.OK)


async def call_service(
    call: Awaitable[dict[str, Any]], task_id: str = ""
) -> dict[str, Any] | Outcome:
    """Return the answer of a call, or what its failure means; raise nothing but a cancellation.

    An error's texts show no secret, and of the task that the call is about only the short id.
    """
    try:
        return await call
    except anyio.get_cancelled_exc_class():
        if cancellation_requested():
            raise
        error = RuntimeError("what the call awaited was canceled elsewhere")
        return Outcome(kind=ReportKind.UNEXPECTED, error=error)
    except Exception as error:  # noqa: BLE001 - the seam: whatever went wrong is an outcome
        redact_error(error, {task_id: shorten(task_id)} if task_id else {})
        return outcome_of(error)


def is_genuine(answer: Mapping[str, Any]) -> bool:
    """Return whether an answer comes from the service, and not from a proxy on the way."""
    return bool(answer.get(_GENUINE))


def malformed(action: str, answer: Mapping[str, Any]) -> Outcome:
    """Return the outcome of a call whose answer is none of the service."""
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    error = ValueError(f"HTTP {status} without an answer of {action} in it")
    return Outcome(kind=ReportKind.MALFORMED, error=error)


@asynccontextmanager
async def open_transport(
    session: AioSession,
    *,
    region_name: str | None,
    endpoint_url: str | None,
    config: Config | None,
    attempt_timeout: float,
    interval: float,
    max_in_flight: int,
) -> AsyncIterator[Transport]:
    """Open clients on the shared session; raise `ReportRejected` if no client can be made.

    A connection for reports is kept for longer than the interval between two of a task.
    """
    own = [
        AioConfig(
            connect_timeout=attempt_timeout,
            read_timeout=attempt_timeout,
            max_pool_connections=connections,
            # Retries belong to the scheduler: botocore's own would outlast the lease.
            retries=ONCE,
        )
        for connections in (max_in_flight, _STATUS_CONNECTIONS)
    ]
    async with open_clients(
        session,
        own,
        region_name=region_name,
        endpoint_url=endpoint_url,
        config=config,
        keep_alive=_KEPT_INTERVALS * interval,
    ) as clients:
        warn_of_proxy(clients[0])
        yield ClientTransport(*clients)


@asynccontextmanager
async def open_clients(
    session: AioSession,
    own: Iterable[AioConfig],
    *,
    region_name: str | None,
    endpoint_url: str | None,
    config: Config | None,
    keep_alive: float | None = None,
) -> AsyncIterator[list[Any]]:
    """Open a client for each config, which goes over the user's; raise `ReportRejected`.

    `keep_alive` is for how many seconds they keep idle connections. Their answers are marked as
    genuine or not, see `is_genuine`.
    """
    guard_records_of(*_CREDENTIALS_LOGGERS)
    async with AsyncExitStack() as stack:
        connections = stack.enter_context(Connections())
        clients: list[Any] = []
        try:
            async with no_process_left():
                for needed in own:
                    client = session.create_client(
                        _SERVICE,
                        region_name=region_name,
                        endpoint_url=endpoint_url,
                        config=connections.config(session, config, needed, keep_alive),
                    )
                    clients.append(await stack.enter_async_context(client))
        except (botocore_errors.BotoCoreError, ValueError) as error:  # of an endpoint's address
            raise ReportRejected(
                f"no client for Data Pipeline could be made: {describe(error)} (see region_name=, "
                f"endpoint_url= and the AWS configuration)"
            ) from error
        try:
            async with _prepared(session, clients):
                yield clients
        finally:
            with anyio.move_on_after(_CLOSE_TIMEOUT, shield=True):
                await stack.aclose()


@asynccontextmanager
async def _prepared(session: AioSession, clients: Iterable[Any]) -> AsyncIterator[None]:
    """Sign the calls of clients and mark their answers; renew credentials beside the block."""
    async with shared_credentials(session) as credentials:
        for client in clients:
            credentials.attach(client)
            remember_secrets(client)
            client.meta.events.register("before-parse.data-pipeline", _mark_genuine)
        yield
