"""The processes of credential providers, which must not outlive what waits for them."""

from __future__ import annotations

import asyncio.subprocess
from contextlib import asynccontextmanager, suppress
from traceback import walk_tb
from typing import TYPE_CHECKING, Final

import anyio

from aiodp._aws.own_session import BOTOCORE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

_TIMEOUT: Final = 1.0
"""Seconds from SIGTERM to SIGKILL, and for the end after that."""


@asynccontextmanager
async def no_process_left() -> AsyncIterator[None]:
    """End the processes for which botocore waits in the block if the block is canceled, and wait.

    Nothing but the frames that are left names them: aiobotocore leaves a `credential_process` alone
    when its wait is broken off. That of aiobotocore for trio ends it by itself.
    """
    try:
        yield
    except anyio.get_cancelled_exc_class() as error:
        with anyio.CancelScope(shield=True):
            for process in _processes_in(error.__traceback__):
                await _end(process)
        raise


def _processes_in(trace: TracebackType | None) -> list[asyncio.subprocess.Process]:
    return [
        value
        for frame, _ in walk_tb(trace)
        if frame.f_globals.get("__name__") in BOTOCORE
        for value in frame.f_locals.values()
        if isinstance(value, asyncio.subprocess.Process) and value.returncode is None
    ]


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        for end in (process.terminate, process.kill):
            end()
            with anyio.move_on_after(_TIMEOUT):
                await process.wait()
                return
