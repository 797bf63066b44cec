"""What a handler returns that has not been done yet: a forgotten `await`."""

from __future__ import annotations

import concurrent.futures
import inspect
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def is_unawaited(value: object) -> bool:
    """Return whether it has to be awaited or iterated over, or has something in it that has."""
    return _is_unawaited(value) or any(map(_is_unawaited, _members(value)))


def discard(value: object) -> None:
    """End what was not awaited: nobody says of it then that it never was, and no task goes on."""
    for member in (value, *_members(value)):
        end = getattr(member, "close" if inspect.iscoroutine(member) else "cancel", None)
        if end is not None and _is_unawaited(member):
            with suppress(Exception):  # of what is no coroutine of ours
                end()


def _is_unawaited(value: object) -> bool:
    return (
        inspect.isawaitable(value)
        or inspect.isgenerator(value)
        or inspect.isasyncgen(value)
        or isinstance(value, concurrent.futures.Future)
    )


def _members(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return tuple(value.values())
    return tuple(value) if isinstance(value, list | tuple | set | frozenset) else ()
