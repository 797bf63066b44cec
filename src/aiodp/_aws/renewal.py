"""A renewal of credentials that waits for no thread which the program's work fills."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import anyio
from aiobotocore.session import AioSession

from aiodp._aws.own_session import BOTOCORE, own_credentials
from aiodp._aws.processes import no_process_left
from aiodp._aws.threads import Threads
from aiodp._concurrency import follows_system_time, new_loop_runner

_PATIENCE: Final = 10.0
"""Seconds for a renewal in the event loop of the program."""
_PROCESS: Final = "custom-process"
"""The provider that needs no such thread, and may take long."""
_STATE: Final = (
    "_access_key",
    "_secret_key",
    "_token",
    "_account_id",
    "_expiry_time",
    "_frozen_credentials",
)
"""What a renewal sets, as far as this version of botocore has it."""


async def renew(session: AioSession, held: Any) -> Any:
    """Return credentials, frozen, after they have been renewed; raise what their provider raises.

    A provider that calls over the network needs a thread of the event loop, for a name or for
    certificates. If it has not succeeded in time, it is asked from an event loop of its own. A
    process by whose keys a role is assumed has its own time before, so that it is started once.
    """
    if not (_needs_network(session, held) and follows_system_time()):
        return await held.get_frozen_credentials()
    if (of_process := _process_behind(held)) is not None:
        await of_process.get_frozen_credentials()
    with anyio.move_on_after(_PATIENCE):
        async with no_process_left():
            return await held.get_frozen_credentials()
    own = own_credentials(session, held)
    work = partial(new_loop_runner(), own.get_frozen_credentials)
    frozen = await Threads(1, "aiodp credentials").start(work).result()
    known = vars(own)
    vars(held).update({name: known[name] for name in _STATE if name in known})
    return frozen


def _process_behind(held: Any) -> Any:
    """Return the credentials of a process by which a role is assumed, maybe by way of others."""
    while held is not None and getattr(held, "method", None) != _PROCESS:
        fetcher = getattr(getattr(held, "_refresh_using", None), "__self__", None)
        held = getattr(fetcher, "_source_credentials", None)
    return held


def _needs_network(session: AioSession, held: Any) -> bool:
    """Return whether botocore itself renews them, by a call."""
    if not isinstance(session, AioSession) or getattr(session, "_credentials", None) is not held:
        return False
    refresh = getattr(held, "_refresh_using", None)
    is_process = getattr(held, "method", None) == _PROCESS
    return getattr(refresh, "__module__", None) in BOTOCORE and not is_process
