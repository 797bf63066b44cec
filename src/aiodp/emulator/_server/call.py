"""A request as it came over HTTP: who asks for what, where, and the service's answer to it."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from moto.core.base_backend import backend_lock
from moto.iam.models import get_account_id_from

from aiodp.emulator._errors import ServiceError
from aiodp.emulator._model.replies import error_answer
from aiodp.emulator._server import call_log as _call_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from moto.core.base_backend import BackendDict

    from aiodp.emulator._model.replies import Answer
    from aiodp.emulator._server.moto import EmulatedBackend

SERVICE: Final = "DataPipeline"
"""How each target starts; the Developer Guide has an old form, `DataPipeline_20121129.`."""
DEFAULT_REGION: Final = "us-east-1"
_CREDENTIAL: Final = re.compile(r"Credential=([^/,\s]+)/\d+/([^/,\s]+)/")
_NO_REQUEST_ID: Final = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to the service, as far as its headers and body tell."""

    method: str
    operation: str
    body: bytes
    region: str
    account: str

    @classmethod
    def of(cls, method: str, headers: Iterable[tuple[str, str]], body: bytes) -> Call:
        """Read a request's headers; an unsigned one is the default account's, in us-east-1."""
        found = {name.lower(): value for name, value in headers}
        credential = _CREDENTIAL.search(found.get("authorization", ""))
        key, region = credential.groups() if credential else ("", DEFAULT_REGION)
        return cls(
            method=method,
            operation=_operation(found.get("x-amz-target", "")),
            body=body,
            region=region,
            account=_account(found.get("x-moto-account-id"), key),
        )

    def answer(
        self,
        backends: BackendDict[EmulatedBackend],
        gone: Callable[[], bool] = lambda: False,
    ) -> Answer:
        """Return the service's answer. Raises `DroppedConnectionError` where it gives none."""
        if _call_log.is_on():
            return _call_log.logged(self, lambda: self._answer(backends, gone))
        return self._answer(backends, gone)

    def _answer(self, backends: BackendDict[EmulatedBackend], gone: Callable[[], bool]) -> Answer:
        try:
            _check_method(self.method)
            params = _parsed(self.body)
            backend = _backend(backends, self.account, self.region)
        except ServiceError as error:
            return error_answer(error, _NO_REQUEST_ID)
        return backend.service.request(self.operation, params, gone)


def _operation(target: str) -> str:
    """Return what a target names; of another service, or of none, that is no operation's name."""
    service, _, name = target.rpartition(".")
    return name if service == SERVICE else f"{target!r}"


def _check_method(method: str) -> None:
    if method != "POST":
        raise ServiceError("UnknownOperationException", f"Operations are POST, not {method}")


def _backend(backends: BackendDict[EmulatedBackend], account: str, region: str) -> EmulatedBackend:
    try:
        with backend_lock:  # moto's reset holds it, and leaves nothing whole meanwhile
            return backends[account][region]
    except KeyError:
        message = f"AWS has no region {region}"
        raise ServiceError("InvalidRequestException", message) from None


def _account(header: str | None, access_key: str) -> str:
    """Return the caller's account, as moto finds it."""
    given = os.environ.get("MOTO_ACCOUNT_ID") or header
    if given:
        return given
    with backend_lock:
        return get_account_id_from(access_key)


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        params = json.loads(body or b"{}")
    except (ValueError, RecursionError):  # the latter: brackets, thousands deep
        params = None
    if isinstance(params, dict):
        return params
    raise ServiceError("SerializationException", "the body must be a JSON object")
