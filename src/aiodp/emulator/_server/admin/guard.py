"""Who may use the control paths: programs, and pages which this server itself has served.

A page on the web can have its reader's browser send requests to this machine: either to another
origin, which the browser says in the header `Origin`, or to a name of the page's own which resolves
to this machine (DNS rebinding), which shows in the header `Host`. Only browsers are refused.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from werkzeug.exceptions import Forbidden

_FROM_CONTAINERS: Final = "host.docker.internal"
_ADVICE: Final = (
    "use an IP address, localhost, a name without a dot, or the host it was started with"
)


def check_caller(host: str | None, origin: str | None, own_host: str) -> None:
    """Check the headers `Host` and `Origin` of a request; either may be missing.

    A name without a dot is allowed, as containers have it, because no page on the web can have
    such a name. Raises `Forbidden` for a request which a foreign page may have sent.
    """
    if host is not None and not _is_ours(host, own_host):
        raise Forbidden(f"the host {host!r} is not known to be this server: {_ADVICE}")
    if origin is not None and origin.lower() != f"http://{host}".lower():
        raise Forbidden(f"pages of {origin!r} may not control this server")


def check_page(host: str | None, origin: str | None, own_host: str) -> None:
    """Check a request which any program may send, under any name of the server, but no page.

    Only browsers send an `Origin`. Raises `Forbidden` as `check_caller` does.
    """
    if origin is not None:
        check_caller(host, origin, own_host)


def _is_ours(host: str, own_host: str) -> bool:
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return False
    local = "." not in name.removesuffix(".localhost") or name == _FROM_CONTAINERS
    return local or name == own_host.lower() or _is_ip(name)


def _is_ip(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
