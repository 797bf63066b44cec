"""The processes of credential providers, which must not outlive what waits for them."""

from __future__ import annotations

import asyncio.subprocess
from contextlib import contextmanager, suppress
from traceback import walk_tb
from typing import TYPE_CHECKING

import anyio

from aiodp._aws.own_session import BOTOCORE

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def no_process_left() -> Iterator[None]:
    """End the processes for which botocore waits in the block if the block is canceled.

    Nothing but the frames that are left names them: aiobotocore leaves a `credential_process` alone
    when its wait is broken off. That of aiobotocore for trio ends it by itself.
    """
    try:
        yield
    except anyio.get_cancelled_exc_class() as error:
        for frame, _ in walk_tb(error.__traceback__):
            if frame.f_globals.get("__name__") in BOTOCORE:
                for value in frame.f_locals.values():
                    _end(value)
        raise


def _end(value: object) -> None:
    if isinstance(value, asyncio.subprocess.Process) and value.returncode is None:
        with suppress(ProcessLookupError):
            value.terminate()
