"""The page about the local service, and the state which it fetches every second.

The page is one document: its style and its script are inserted into it. Its content security policy
allows it to run only that script, and to connect only to the server it came from.
"""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from http import HTTPStatus
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from aiodp.emulator._server.dashboard import dashboard

if TYPE_CHECKING:
    from aiodp.emulator._server.locked import LockedService

PATH: Final = "/aiodp-ui/"
_SCRIPTS: Final = ("dom.js", "cells.js", "page.js")
_HTML: Final = "text/html; charset=utf-8"
_TEXT: Final = "text/plain; charset=utf-8"


def page(path: str) -> tuple[int, str, bytes]:
    """Return status, content type and body for a path under `/aiodp-ui/`."""
    if path.rstrip("/") == PATH.rstrip("/"):
        return HTTPStatus.OK, _HTML, _document()
    return HTTPStatus.NOT_FOUND, _TEXT, f"There is one page only: {PATH}\n".encode()


def state(service: LockedService) -> dict[str, Any]:
    """Return what the page shows of a service now, as JSON has it."""
    with service.read() as model:
        return dashboard(model, model.advance())


@cache
def _document() -> bytes:
    style, script = _asset("page.css"), "".join(map(_asset, _SCRIPTS))
    policy = (
        f"default-src 'none'; img-src data:; connect-src 'self'; base-uri 'none'; "
        f"form-action 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    )
    parts = {"{policy}": policy, "{style}": style, "{script}": script}
    text = _asset("page.html")
    for name, part in parts.items():
        text = text.replace(name, part)
    return text.encode()


def _asset(name: str) -> str:
    return (files("aiodp.emulator") / "ui" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
