"""The waits of a test which it made and did not await: they have waited for nothing."""

from __future__ import annotations

from inspect import CORO_CREATED, getcoroutinestate
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


class Waits:
    """The coroutines which a kit has returned, until they are begun."""

    def __init__(self) -> None:
        self._made: list[tuple[str, Coroutine[Any, Any, Any]]] = []

    def note(self, name: str, wait: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
        """Return a coroutine of the method with this name, which is to be awaited."""
        self._made = [*self._unbegun(), (name, wait)]
        return wait

    def end(self) -> list[str]:
        """Return the names of those that were never begun, and close them."""
        unbegun, self._made = self._unbegun(), []
        for _, wait in unbegun:
            wait.close()  # Python would warn of it as well, but at any time, and fail no test
        return [name for name, _ in unbegun]

    def _unbegun(self) -> list[tuple[str, Coroutine[Any, Any, Any]]]:
        return [made for made in self._made if getcoroutinestate(made[1]) == CORO_CREATED]
