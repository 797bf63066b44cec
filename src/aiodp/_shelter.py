"""Work whose clean-up no second cancellation, and no thread left behind, gets in the way of."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_T = TypeVar("_T")


async def sheltered(work: Callable[[], Awaitable[_T]]) -> _T:
    """Return what the work returns, and raise what it raises.

    It runs in a task of its own, which an event loop's own cancellation reaches only by way of
    anyio: threads are waited for, shields hold, and however often it comes, this returns when the
    work has ended. A cancellation that the work outlasts is not raised.
    """
    results: list[_T] = []
    errors: list[Exception] = []

    async def run() -> None:
        try:
            results.append(await work())
        except Exception as error:  # noqa: BLE001 - raised again below, outside the group
            errors.append(error)

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(run, name="aiodp shell")
    except anyio.get_cancelled_exc_class():
        if not (results or errors):
            raise
    if errors:
        raise errors[0]
    return results[0]
