"""What all sessions of botocore have in common is made once in a process, not once a session."""

from __future__ import annotations

import os
from functools import cache
from inspect import isfunction
from pathlib import Path
from typing import Any, Final

import aiobotocore.session
import anyio
import botocore.hooks
import botocore.loaders
import botocore.session
from botocore.endpoint import EndpointCreator
from botocore.hooks import EventAliaser

SERVICES: Final = ("datapipeline", "s3", "sts")
AUTHORITY: Final = str(Path(__file__).with_name("authority.pem"))
"""The certificate that clients trust: nothing is signed by it."""
CLIENT: Final = {
    "region_name": "us-east-1",
    "aws_access_key_id": "id",
    "aws_secret_access_key": "key",
}

_new_emitter: Final = EventAliaser.__init__
_event_names: Final[dict[str, str]] = {}
_look_at: Final = botocore.hooks.accepts_kwargs
_looked_at: Final[dict[Any, bool]] = {}


def read_descriptions_once() -> None:
    """Let all sessions share descriptions of services and names of events, as one's clients do.

    The authorities of the world take longer to read than most tests, and none of them is asked.
    """
    os.environ.pop("AWS_CA_BUNDLE", None)
    create_loader = cache(botocore.loaders.create_loader)
    botocore.loaders.create_loader = botocore.session.create_loader = create_loader
    EventAliaser.__init__ = _init_emitter
    botocore.hooks.accepts_kwargs = _accepts_kwargs
    EndpointCreator._get_verify_value = _authorities


def read_descriptions() -> None:
    """Read what clients of these services need, for all the processes that are forked later."""
    session = botocore.session.Session()
    for service in SERVICES:
        session.create_client(service, **CLIENT).close()
    anyio.run(_make_clients)


async def _make_clients() -> None:
    session = aiobotocore.session.get_session()
    for service in SERVICES:
        async with session.create_client(service, **CLIENT):
            pass


def _init_emitter(self: EventAliaser, *arguments: Any, **options: Any) -> None:
    _new_emitter(self, *arguments, **options)
    self._alias_name_cache = _event_names


def _accepts_kwargs(handler: Any) -> bool:
    """Look once at each function of botocore's; what else handles an event is not kept."""
    if not isfunction(handler) or handler.__module__ != "botocore.handlers":
        return bool(_look_at(handler))
    if handler not in _looked_at:
        _looked_at[handler] = bool(_look_at(handler))
    return _looked_at[handler]


def _authorities(_: EndpointCreator, verify: Any) -> Any:
    return AUTHORITY if verify is None else verify
