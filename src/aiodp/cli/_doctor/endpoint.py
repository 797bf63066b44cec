"""Checks whether the service can be reached, and whether it is the service that answers.

It makes an unsigned call about a task that does not exist, with the client that a task runner has.
The service refuses it with one of its own errors.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import anyio
from aiobotocore.config import AioConfig
from botocore import UNSIGNED
from botocore import exceptions as botocore_errors
from botocore.utils import get_environ_proxies

from aiodp._aws.errors import describe
from aiodp._aws.transport import ONCE, call_service, open_clients
from aiodp._errors import ReportRejected
from aiodp._types import Outcome
from aiodp.cli._doctor.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiobotocore.session import AioSession

_DNS_TIMEOUT: Final = 3.0
_ANSWER_TIMEOUT: Final = 3.0
_CONFIG: Final = AioConfig(
    signature_version=UNSIGNED,
    connect_timeout=_ANSWER_TIMEOUT,
    read_timeout=_ANSWER_TIMEOUT,
    retries=ONCE,
)
_PORTS: Final = {"http": 80, "https": 443}
_ERROR: Final = 400
_FIREWALL: Final = "Let this machine connect to it: firewall, security group, VPC endpoint, proxy."


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer; header names are in lower case, times are local epoch times."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    sent_at: float
    received_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Route:
    """The service's URL, and the host to connect to, without the passwords in their URLs."""

    url: str
    host: str
    port: int
    proxy: bool

    @classmethod
    def to(cls, url: str, proxies: Mapping[str, str] | None) -> _Route:
        """Return the route of aiobotocore: over these proxies, else over the environment's.

        Raises `ValueError` for an invalid URL.
        """
        service = urlsplit(url)
        proxy = (proxies or get_environ_proxies(url)).get(service.scheme)
        if proxy and "://" not in proxy:
            proxy = f"http://{proxy}"
        hop = urlsplit(proxy) if proxy else service
        port = hop.port or _PORTS.get(hop.scheme, 443)
        shown = service._replace(netloc=service.netloc.rpartition("@")[2]).geturl()
        return cls(url=shown, host=hop.hostname or "", port=port, proxy=bool(proxy))

    def __str__(self) -> str:
        return f"{self.url} through the proxy {self.host}:{self.port}" if self.proxy else self.url


async def check_endpoint(
    session: AioSession, *, task_id: str, region: str, endpoint_url: str | None
) -> tuple[Finding, Answer | None]:
    """Return the finding, and the answer if it is one of the service."""
    try:
        async with open_clients(
            session, [_CONFIG], region_name=region, endpoint_url=endpoint_url, config=None
        ) as [client]:
            return await _check(client, task_id)
    except (ReportRejected, ValueError) as error:
        return Finding.failed(
            "endpoint", str(error), "Correct the region, the endpoint or the proxy."
        ), None


async def _check(client: Any, task_id: str) -> tuple[Finding, Answer | None]:
    route = _Route.to(client.meta.endpoint_url, client.meta.config.proxies)
    if unresolved := await _resolve(route):
        return unresolved, None
    answer, outcome = await _call_unsigned(client, task_id)
    if answer is None:
        return _unreachable(route, outcome), None
    if not is_of_service(answer):
        return _not_the_service(route, answer), None
    took = (answer.received_at - answer.sent_at) * 1000
    found = f"{route} answers, in {took:.0f} ms"
    return Finding.ok("endpoint", found), answer


async def _resolve(route: _Route) -> Finding | None:
    try:
        with anyio.fail_after(_DNS_TIMEOUT):
            await anyio.getaddrinfo(route.host, route.port)
    except TimeoutError:
        found = f"{route}: no DNS answer about {route.host} within {_DNS_TIMEOUT:g} s"
        return Finding.failed("endpoint", found, "Mend this machine's name resolution.")
    except (OSError, UnicodeError) as error:
        found = f"{route}: {route.host} is unknown ({getattr(error, 'strerror', None) or error})"
        return Finding.failed(
            "endpoint", found, "Check the region or the address, and this machine's DNS."
        )
    return None


async def _call_unsigned(client: Any, task_id: str) -> tuple[Answer | None, Outcome | None]:
    answers: list[Answer] = []
    sent_at = time.time()

    def keep(response_dict: Mapping[str, Any], **_: Any) -> None:
        answers.append(
            Answer(
                status=response_dict["status_code"],
                headers={name.lower(): text for name, text in response_dict["headers"].items()},
                body=response_dict["body"],
                sent_at=sent_at,
                received_at=time.time(),
            )
        )

    client.meta.events.register("before-parse.data-pipeline", keep)
    outcome: dict[str, Any] | Outcome | None = None
    with anyio.move_on_after(_ANSWER_TIMEOUT):
        outcome = await call_service(client.report_task_progress(taskId=task_id))
    failure = outcome if isinstance(outcome, Outcome) else None
    return (answers[0] if answers else None), failure


def is_of_service(answer: Answer) -> bool:
    """Return whether an answer is one of the service, and not of a proxy.

    The service answers with a JSON object, which names an error if and only if the status does.
    """
    try:
        content = json.loads(answer.body)
    except ValueError:
        return False
    named = isinstance(content, dict) and "__type" in content
    if answer.status >= _ERROR:
        return named
    return isinstance(content, dict) and not named


def _unreachable(route: _Route, outcome: Outcome | None) -> Finding:
    error = outcome.error if outcome else None
    if isinstance(error, botocore_errors.SSLError):
        return Finding.failed(
            "endpoint",
            f"{route}: TLS fails, {_reason(error)}",
            "Trust the certificate's authority with AWS_CA_BUNDLE, if it is your proxy's.",
        )
    if isinstance(error, botocore_errors.ConnectTimeoutError):
        return Finding.failed(
            "endpoint", f"{route}: no connection within {_ANSWER_TIMEOUT:g} s", _FIREWALL
        )
    if error is None or isinstance(error, botocore_errors.ReadTimeoutError):
        return Finding.failed(
            "endpoint",
            f"{route}: connected, but no answer within {_ANSWER_TIMEOUT:g} s",
            "Try again; if it stays so, look at the proxy or at what stands behind the address.",
        )
    return Finding.failed("endpoint", f"{route} cannot be reached: {_reason(error)}", _FIREWALL)


def _reason(error: Exception) -> str:
    """Return the error that botocore wraps, as a few words."""
    inner = getattr(error, "kwargs", {}).get("error")
    certificate = getattr(inner, "certificate_error", None)
    if isinstance(message := getattr(certificate, "verify_message", None), str):
        return message
    number = getattr(inner, "errno", None)
    return os.strerror(number) if isinstance(number, int) and number > 0 else describe(error)


def _not_the_service(route: _Route, answer: Answer) -> Finding:
    kind = answer.headers.get("content-type", "no content type")
    return Finding.failed(
        "endpoint",
        f"{route}: something else answers, HTTP {answer.status}, {kind}",
        "Look for a proxy or a login page on the way (HTTPS_PROXY, NO_PROXY), or a wrong address.",
    )
