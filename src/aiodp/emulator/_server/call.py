"""A request as it came over HTTP: who asks for what, in which region, and the answer to it."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from moto.core.base_backend import backend_lock
from moto.iam.models import get_account_id_from

from aiodp.emulator._errors import ServiceError
from aiodp.emulator._model.replies import NO_REQUEST_ID, error_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aiodp.emulator._model.replies import Answer
    from aiodp.emulator._server.locked import LockedService

SERVICE: Final = "DataPipeline"
"""How each `X-Amz-Target` starts; in the Developer Guide it is `DataPipeline_20121129.`."""
DEFAULT_REGION: Final = "us-east-1"
MAX_VALUES: Final = 100_000
"""Names and values in the body of a call; a definition at every limit of dp-limits has 30,000."""
_VALUE: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?+|[^][{}",:\s]++|[][{}]', re.DOTALL)
_CREDENTIAL: Final = re.compile(r"Credential=([^/,\s]+)/\d+/([^/,\s]+)/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to the service, read from its headers and body."""

    method: str
    operation: str
    body: bytes
    region: str
    account: str

    @classmethod
    def of(cls, method: str, headers: Iterable[tuple[str, str]], body: bytes) -> Call:
        """Read a request; one without a signature is of the default account, in us-east-1."""
        given = {name.lower(): value for name, value in headers}
        credential = _CREDENTIAL.search(given.get("authorization", ""))
        key, region = credential.groups() if credential else ("", DEFAULT_REGION)
        return cls(
            method=method,
            operation=_operation(given.get("x-amz-target", "")),
            body=body,
            region=region,
            account=_account(given.get("x-moto-account-id"), key),
        )

    def answer(
        self,
        find: Callable[[str, str], LockedService],
        gone: Callable[[], bool] = lambda: False,
    ) -> Answer:
        """Return the service's answer. Raises `DroppedConnectionError` where it gives none.

        `find` returns the service of an account in a region, and raises `KeyError` for a region
        which AWS does not have. `gone` says whether the client has hung up.
        """
        try:
            _check_method(self.method)
            params = _parsed(self.body)
            service = self._find_service(find)
        except ServiceError as error:
            return error_answer(error, NO_REQUEST_ID)
        return service.request(self.operation, params, gone)

    def _find_service(self, find: Callable[[str, str], LockedService]) -> LockedService:
        try:
            return find(self.account, self.region)
        except KeyError:
            message = f"AWS has no region {self.region}"
            raise ServiceError("InvalidRequestException", message) from None


def _operation(target: str) -> str:
    """Return the operation of a target; of another service's target, the target in quotes."""
    service, _, name = target.rpartition(".")
    return name if service == SERVICE else f"{target!r}"


def _check_method(method: str) -> None:
    if method != "POST":
        raise ServiceError("UnknownOperationException", f"Operations are POST, not {method}")


def _account(header: str | None, access_key: str) -> str:
    """Return the caller's account, which moto finds in the same way."""
    named = os.environ.get("MOTO_ACCOUNT_ID") or header
    if named:
        return named
    with backend_lock:
        return get_account_id_from(access_key)


def _parsed(body: bytes) -> dict[str, Any]:
    _check_count(body)
    try:
        params = json.loads(body or b"{}")
    except (ValueError, RecursionError):  # the latter for thousands of nested brackets
        params = None
    if isinstance(params, dict):
        return params
    raise ServiceError("SerializationException", "the body must be a JSON object")


def _check_count(body: bytes) -> None:
    """Raise if a body has too many values: each takes far more memory than bytes in the body."""
    if len(body) <= MAX_VALUES:
        return
    for number, _ in enumerate(_VALUE.finditer(body)):
        if number >= MAX_VALUES:
            message = f"The request entity is too large: it may have {MAX_VALUES} names and values"
            raise ServiceError("RequestEntityTooLargeException", message)
