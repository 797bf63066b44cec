"""What a handler must not return: a forgotten `await` above all."""

from __future__ import annotations

import concurrent.futures
import inspect
from contextlib import suppress
from typing import TYPE_CHECKING

from aiodp._runner.result import name_of

if TYPE_CHECKING:
    from collections.abc import Iterable


def fault_of(value: object, *, is_precondition: bool) -> str | None:
    """Return why what a handler returned fails its task, None if it does not.

    What was not awaited is ended: no task of it goes on, and Python does not say that it never was.
    """
    what = f"a value of type {name_of(type(value))}"
    parts = [part for part in (value, *_members(value)) if _is_unawaited(part)]
    for part in parts:
        _end(part)
    if parts:
        return f"the handler returned {what} that has not been awaited, so its work is not done"
    if is_precondition:
        return f"the handler of a precondition must return True, False or None, not {what}"
    return None


def _end(part: object) -> None:
    end = getattr(part, "close" if inspect.iscoroutine(part) else "cancel", None)
    if end is not None:
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
