"""The page about the local service, and what it fetches every second.

The page is one document: its style and its script are inserted into it. Its content security policy
allows it to run only that script, and to connect only to the server it came from.
"""

from __future__ import annotations

import json
from base64 import b64encode
from functools import cache, partial
from hashlib import sha256
from http import HTTPStatus
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from werkzeug.exceptions import BadRequest, NotFound

from aiodp.emulator._errors import ServiceError
from aiodp.emulator._model.faults import FaultKind
from aiodp.emulator._model.records import Status
from aiodp.emulator._model.requests import REQUESTS
from aiodp.emulator._server.dashboard import dashboard
from aiodp.emulator._server.details import attempt_details, pipeline_details
from aiodp.emulator._server.selection import MAX_ROWS, MOST_ROWS, selection_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiodp.emulator._model.service import Service
    from aiodp.emulator._server.admin.input import Input

PATH: Final = "/aiodp-ui/"
_SCRIPTS: Final = (
    "dom.js",
    "cells.js",
    "service.js",
    "dialogs.js",
    "sections.js",
    "overview.js",
    "details.js",
    "filter.js",
    "page.js",
)
_OF_PIPELINES: Final = frozenset(
    {Status.PENDING, Status.SCHEDULED, Status.PAUSED, Status.DEACTIVATING, Status.INACTIVE}
)
_HTML: Final = "text/html; charset=utf-8"
_TEXT: Final = "text/plain; charset=utf-8"


def page(path: str) -> tuple[int, str, bytes]:
    """Return status, content type and body for a path under `/aiodp-ui/`."""
    if path.rstrip("/") == PATH.rstrip("/"):
        return HTTPStatus.OK, _HTML, _document()
    return HTTPStatus.NOT_FOUND, _TEXT, f"There is one page only: {PATH}\n".encode()


def _state(request: Input) -> dict[str, Any]:
    selection, _ = selection_of(request)
    return _shown(request, partial(dashboard, selection=selection))


def _pipeline(request: Input) -> dict[str, Any]:
    selection, given = selection_of(request, "pipelineId")
    [pipeline_id] = _required(given, "pipelineId")
    return _shown(request, partial(pipeline_details, pipeline_id=pipeline_id, selection=selection))


def _attempt(request: Input) -> dict[str, Any]:
    names = ("pipelineId", "attemptId")
    pipeline_id, attempt_id = _required(request.query(*names), *names)
    find = partial(attempt_details, pipeline_id=pipeline_id, attempt_id=attempt_id)
    try:
        return _shown(request, find)
    except KeyError:
        raise NotFound(f"{pipeline_id} has no attempt {attempt_id!r}") from None


def _shown(request: Input, find: Callable[[Service, float], dict[str, Any]]) -> dict[str, Any]:
    """Return what is found in the service now, and how fast its time goes."""
    with request.service().read() as model:
        try:
            found = find(model, model.advance())
        except ServiceError as error:
            raise NotFound(error.message) from error
    return found | {"scale": request.emulation.scale}


READERS: Final[dict[str, Callable[[Input], dict[str, Any]]]] = {
    "state": _state,
    "state/pipeline": _pipeline,
    "state/attempt": _attempt,
}
"""What the page fetches, by its path under `/aiodp-api/`."""


def _required(given: dict[str, str], *names: str) -> list[str]:
    for name in names:
        if not given.get(name):
            raise BadRequest(f"{name} is missing")
    return [given[name] for name in names]


@cache
def _document() -> bytes:
    style, script = _asset("page.css"), "".join([_constants(), *map(_asset, _SCRIPTS)])
    policy = (
        f"default-src 'none'; img-src data:; connect-src 'self'; base-uri 'none'; "
        f"form-action 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    )
    parts = {"{policy}": policy, "{style}": style, "{script}": script}
    text = _asset("page.html")
    for name, part in parts.items():
        text = text.replace(name, part)
    return text.encode()


def _constants() -> str:
    """Return what the page offers to choose from, which is the service's to say."""
    statuses = [status.value for status in Status if status not in _OF_PIPELINES]
    choices = {
        "FAULT_KINDS": [kind.value for kind in FaultKind],
        "OPERATIONS": sorted(REQUESTS),
        "STATUSES": statuses,
        "MAX_ROWS": MAX_ROWS,
        "MOST_ROWS": MOST_ROWS,
    }
    lines = [f"const {name} = {json.dumps(value)};\n" for name, value in choices.items()]
    return "".join(['"use strict";\n', *lines])


def _asset(name: str) -> str:
    return (files("aiodp.emulator") / "ui" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
