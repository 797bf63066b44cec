"""What to do about errors that come from the surroundings of the program."""

from __future__ import annotations

import errno
import traceback
from typing import Any, Final
from urllib.parse import urlsplit

from botocore import exceptions as botocore_errors
from botocore.utils import get_environ_proxies

from aiodp._log import logger

_OPEN_FILES: Final = "this process has too many open files: raise `ulimit -n`, or let it do less"
_MOTO: Final = (
    "moto's mock_aws has no such call: use the service of aiodp.testing or aiodp.emulator"
)
_PROXY: Final = "HTTP_PROXY and HTTPS_PROXY name proxies, NO_PROXY the hosts that need none"
_PROXY_ERRORS: Final = (
    botocore_errors.ProxyConnectionError,
    botocore_errors.InvalidProxiesConfigError,
)
_LOCAL_HOSTS: Final = ("localhost", "0.0.0.0", "::1")  # noqa: S104 - nothing is bound to it
_MAX_CAUSES: Final = 10
REMEDIES: Final = {
    "ExpiredToken": "Renew the credentials.",
    "ExpiredTokenException": "Renew the credentials.",
    "InvalidAccessKeyId": "The access key is unknown there: check it, and its account.",
    "InvalidClientTokenId": "The access key is unknown there: check it, and its account.",
    "InvalidSignatureException": "Check the secret key, and the clock.",
    "OptInRequired": "Ask AWS: Data Pipeline is closed to new customers since 25 July 2024.",
    "RequestExpired": "Check the clock.",
    "SignatureDoesNotMatch": "Check the secret key, and the clock.",
    "UnknownOperationException": "Check the endpoint: it does not know Data Pipeline's calls.",
    "UnrecognizedClientException": "The access key is unknown there: check it, and its account.",
}
"""What to do about an error code, other than a denial, that refuses the credentials."""
DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException", "NotAuthorized"})


def advice_on(error: BaseException | None) -> str | None:
    """Return what to do about an error, if it is one of these."""
    if isinstance(error, NotImplementedError) and _is_of_moto(error):
        return _MOTO
    for _ in range(_MAX_CAUSES):
        if isinstance(error, _PROXY_ERRORS):
            return _PROXY
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            return _OPEN_FILES
        if error is None:
            break
        inner = _members(error).get("error")
        error = inner if isinstance(inner, BaseException) else error.__cause__ or error.__context__
    return None


def remedy_of(code: str, action: str) -> str:
    """Return what to do about an error code that refuses the credentials, or this action to them.

    An empty code stands for an error that is not from the service.
    """
    if code in DENIED:
        return f"Allow datapipeline:{action} on resource *."
    return REMEDIES.get(code, "Check the credentials.")


def _members(error: BaseException) -> dict[str, Any]:
    return error.kwargs if isinstance(error, botocore_errors.BotoCoreError) else {}


def _is_of_moto(error: BaseException) -> bool:
    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_globals.get("__name__", "").startswith("moto.") for frame, _ in frames)


def warn_of_proxy(client: Any) -> None:
    """Log it if the environment has a proxy for an endpoint on this machine."""
    endpoint = urlsplit(client.meta.endpoint_url)
    host = endpoint.hostname or ""
    is_local = host in _LOCAL_HOSTS or host.startswith("127.") or host.endswith(".localhost")
    if not is_local or client.meta.config.proxies:
        return
    proxy = get_environ_proxies(client.meta.endpoint_url).get(endpoint.scheme)
    if proxy:
        message = "the endpoint %s is on this machine, but is called by way of a proxy (%s): %s"
        where = urlsplit(proxy if "://" in proxy else f"//{proxy}").hostname
        logger.warning(message, host, where, _PROXY, extra={"host": host, "proxy": where})
