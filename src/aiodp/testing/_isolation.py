"""A session of aiobotocore whose clients do not reach AWS, however the machine is configured."""

from __future__ import annotations

import os
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from botocore.exceptions import ProfileNotFound

from aiodp.testing._environment import DUMMY_KEY

if TYPE_CHECKING:
    from aiobotocore.session import AioSession
    from botocore.awsrequest import AWSPreparedRequest

_EVENT: Final = "before-send"
_SERVED: Final = "before-send.data-pipeline."
_CONFIGURED: Final = {
    "profile": None,
    "config_file": os.devnull,
    "credentials_file": os.devnull,
}


class OtherServiceError(RuntimeError):
    """A client of the session in process called AWS for another service than Data Pipeline."""


def isolate(session: AioSession, region_name: str) -> None:
    """Give a session made-up credentials and this region, whatever the machine is configured for.

    What its clients then send to another service raises `OtherServiceError`, unless it goes to
    this machine or to a name without a dot, neither of which is AWS.
    """
    configuration = session.get_component("config_store")
    for name, value in _CONFIGURED.items():  # a profile of None in the session would hide nothing
        configuration.set_config_variable(name, value)
    session.set_config_variable("region", region_name)
    session.set_credentials(DUMMY_KEY, DUMMY_KEY)
    session.register(_EVENT, _refuse, unique_id="aiodp-isolation")


def forget_missing_profile(session: AioSession) -> None:
    """Have a session ignore a profile which this machine lacks: no client in process needs one."""
    try:
        session.get_scoped_config()
    except ProfileNotFound:
        session.get_component("config_store").set_config_variable("profile", None)


def _refuse(request: AWSPreparedRequest, event_name: str, **_others: Any) -> None:
    if event_name.startswith(_SERVED):
        return
    host = urlsplit(request.url).hostname or ""
    if "." in host and not _is_local(host):
        service, _, operation = event_name.removeprefix(_EVENT + ".").partition(".")
        raise OtherServiceError(
            f"a client of the session in process called {operation} of {service}, at {host}; it "
            "serves Data Pipeline alone: for a worker which uses more, take the fixture "
            "aiodp_server, or give that client an endpoint on this machine"
        )


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
