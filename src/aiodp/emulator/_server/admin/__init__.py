"""Control of the local service over HTTP, under `/aiodp-api/`: JSON in, JSON out.

It is for programs and people on the same machine.
`GET /aiodp-api/` lists the paths.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from aiodp.emulator._server.admin.input import Input
from aiodp.emulator._server.admin.paths import PATHS, ROOT, index

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from aiodp.emulator._server.moto import Emulation

    _Handler = Callable[[Input], dict[str, Any]]

_PREFIXES: Final = ("aiodp-api", "aiodp-ui")
_PAGE: Final = "aiodp-ui"
_HEADERS: Final = {
    "Cache-Control": "no-store",
    # Nobody may be led to click the page's buttons within another page.
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def is_control(environ: WSGIEnvironment) -> bool:
    """Return whether a request is for the control paths and not for moto.

    A path that only begins like a control path is a misspelt one, unless the request is signed:
    then it is about a bucket of S3.
    """
    first = _first(environ["PATH_INFO"]).lower()
    return first in _PREFIXES or (first.startswith(_PREFIXES) and not _is_signed(environ))


class Admin:
    """The WSGI application of the control paths, and with `ui` of the page about the service."""

    def __init__(self, emulation: Emulation, *, ui: bool) -> None:
        self._emulation = emulation
        self._ui: Any = import_module("aiodp.emulator._server.page") if ui else None
        self._handlers, self._map = _routes(self._ui)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        try:
            response = self._serve(request)
        except HTTPException as error:
            response = _refusal(error, request)
        response.headers.update(_HEADERS)
        return response(environ, start_response)

    def _serve(self, request: Request) -> Response:
        if _first(request.path) == _PAGE:
            return self._page(request)
        matched, _ = self._map.bind("").match(request.path, request.method)
        method = "GET" if matched[1] == "HEAD" else matched[1]
        return _json(self._handlers[matched[0], method](Input(request, self._emulation)))

    def _page(self, request: Request) -> Response:
        if self._ui is None:
            raise NotFound("the page is off: start the server with ui=True, or with --ui")
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(["GET", "HEAD"])
        status, content_type, body = self._ui.page(request.path)
        return Response(body, status=status, content_type=content_type)


@cache
def _routes(page: Any) -> tuple[dict[tuple[str, str], _Handler], Map]:
    """Return what serves each path and method, and how to find it: made once for all servers."""
    handlers = {
        (path, method): handler
        for path, methods in PATHS.items()
        for method, handler in methods.items()
    }
    handlers["", "GET"] = index
    if page is not None:
        handlers |= {(path, "GET"): reader for path, reader in page.READERS.items()}
    rules = [
        Rule(ROOT + path, methods=[method], endpoint=(path, method)) for path, method in handlers
    ]
    return handlers, Map(rules, strict_slashes=False, merge_slashes=False)


def _first(path: str) -> str:
    return path.removeprefix("/").partition("/")[0]


def _is_signed(environ: WSGIEnvironment) -> bool:
    return "HTTP_AUTHORIZATION" in environ or "Signature=" in environ.get("QUERY_STRING", "")


def _refusal(error: HTTPException, request: Request) -> Response:
    text = error.description or error.name
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        response = _json({"error": f"{request.method} is not for this path, but: {allowed}"}, 405)
        response.headers["Allow"] = allowed
        return response
    if error.code == NotFound.code and error.description == NotFound.description:
        text = f"there is no path {request.path!r}; GET {ROOT} says which there are"
    return _json({"error": text}, error.code or 400)


def _json(content: dict[str, Any], status: int = 200) -> Response:
    body = json.dumps(content, allow_nan=False) + "\n"
    return Response(body, status=status, content_type="application/json")
