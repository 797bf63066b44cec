"""Which requests are answered: those of programs, and of the page which this server itself serves.

A page on the web can have its reader's browser send requests to this machine: to another origin,
which the browser says in the headers `Origin` and `Sec-Fetch-Site`, or to a name of the page's own
which resolves to this machine (DNS rebinding), which shows in the header `Host`. Programs send
neither of the first two.
"""

from __future__ import annotations

import json
import re
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from werkzeug.exceptions import Forbidden
from werkzeug.wrappers import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import WSGIEnvironment

_UNPUBLISHED: Final = ("localhost", "internal")
"""Top-level domains which no page on the web is in; containers have `host.docker.internal`."""
_NAME: Final = re.compile(r"[\w-]+(\.[\w-]+)*")
_OWN_SITES: Final = frozenset({"same-origin", "none"})  # `none`: the reader typed the address
_ADVICE: Final = (
    "use an IP address, localhost, a name without a dot, or one which the server was told by "
    "--host or --allowed-host"
)
_CHANGED_BY_GET: Final = frozenset(
    f"/moto-api/{path}"
    for path in (
        "seed",
        "recorder/reset-recording",
        "recorder/start-recording",
        "recorder/stop-recording",
        "recorder/replay-recording",
    )
)
"""What moto does for GET as well, which a browser may send without saying for whom."""
_ISOLATION: Final = {
    "Content-Security-Policy": "sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_SHARING: Final = "access-control-"


class Guard:
    """Knows by which names the server is reached: `host`, where it listens, and `allowed_hosts`.

    Names below those are its own as well, as S3 has them for buckets. Raises `ValueError` for an
    allowed host which is no name.
    """

    def __init__(self, host: str, allowed_hosts: Iterable[str] = ()) -> None:
        self._names = [host.lower()]
        for name in allowed_hosts:
            if not _NAME.fullmatch(name):
                raise ValueError(f"an allowed host is a name without a port, not {name!r}")
            self._names.append(name.lower())

    def check(self, environ: WSGIEnvironment) -> None:
        """Raise `Forbidden` for a request which a foreign page may have sent."""
        host, origin = environ.get("HTTP_HOST"), environ.get("HTTP_ORIGIN")
        if host is not None and not self._is_own(_name(host)):
            raise Forbidden(f"the host {host!r} is not known to be this server: {_ADVICE}")
        if origin is not None and origin.lower() != f"http://{host}".lower():
            raise Forbidden(f"pages of {origin!r} may not use this server")
        site = environ.get("HTTP_SEC_FETCH_SITE", "none")
        if site.lower() not in _OWN_SITES:
            raise Forbidden("other pages may not use this server; type the address by hand")
        if environ["REQUEST_METHOD"] != "POST" and _changes_by_get(environ["PATH_INFO"]):
            raise Forbidden("this is for POST only, which a page cannot send unnoticed")

    def refusal(self, environ: WSGIEnvironment) -> Response | None:
        """Return the answer to a request which a foreign page may have sent; `None` for others."""
        try:
            self.check(environ)
        except Forbidden as error:
            return _refusal(error.description or "", environ)
        return None

    def _is_own(self, name: str) -> bool:
        published = "." in name and name.rpartition(".")[2] not in _UNPUBLISHED
        return bool(name) and (
            not published
            or _is_ip(name)
            or any(name == own or name.endswith(f".{own}") for own in self._names)
        )


def isolated(start_response: Callable[..., Any]) -> Callable[..., Any]:
    """Return a `start_response` for answers whose content is not this server's own.

    No page of another origin can read or embed them, and shown as a page they run no script and
    are of no origin: what S3 keeps may be a page, and would be of the control paths' origin.
    """

    def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
        dropped = {name.lower() for name in _ISOLATION}
        kept = [
            (name, value)
            for name, value in headers
            if name.lower() not in dropped and not name.lower().startswith(_SHARING)
        ]
        return start_response(status, [*kept, *_ISOLATION.items()], *more)

    return start


def _refusal(text: str, environ: WSGIEnvironment) -> Response:
    """Return it as AWS's clients read it: XML for services without a target, such as S3."""
    if "HTTP_AUTHORIZATION" in environ and "HTTP_X_AMZ_TARGET" not in environ:
        message = f"<Code>Forbidden</Code><Message>{escape(text)}</Message>"
        body = f"<ErrorResponse><Error>{message}</Error></ErrorResponse>"
        return Response(body, 403, _ISOLATION, content_type="text/xml")
    body = json.dumps({"error": text, "message": text}) + "\n"
    return Response(body, 403, _ISOLATION, content_type="application/json")


def _name(host: str) -> str:
    """Return the name in a header `Host`, in lower case; an empty one if it is broken."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_ip(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _changes_by_get(path: str) -> bool:
    return path.rstrip("/") in _CHANGED_BY_GET
