"""The block in which a task is kept alive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import anyio

from aiodp._errors import ReporterClosed
from aiodp._reporter.task import TrackedTask

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from aiodp._core.fields import PendingFields
    from aiodp._core.lease import Lease
    from aiodp._core.timing import Timing
    from aiodp._reporter.engine import Engine

_T = TypeVar("_T", bound=TrackedTask)


class Tracking(Generic[_T]):
    """Registers a task for the time of a block."""

    __slots__ = ("_assigned_at", "_fields", "_make", "_open_engine", "_task", "_task_id", "_timing")

    def __init__(
        self,
        open_engine: Callable[[], Engine],
        make: Callable[[Engine, Lease], _T],
        task_id: str,
        timing: Timing,
        assigned_at: float | None,
        fields: PendingFields | None,
    ) -> None:
        self._open_engine = open_engine
        self._make = make
        self._task_id = task_id
        self._timing = timing
        self._assigned_at = assigned_at
        self._fields = fields
        self._task: _T | None = None

    async def __aenter__(self) -> _T:
        if self._task is not None:
            raise ReporterClosed("this block was entered before: call track again")
        engine = self._open_engine()
        now = anyio.current_time()
        assigned_at = now if self._assigned_at is None else self._assigned_at
        if assigned_at > now:
            raise ValueError(
                f"assigned_at ({assigned_at:g}) is later than now ({now:g}); both are in seconds, "
                f"on the scale of anyio.current_time()"
            )
        task = self._task = engine.register(
            self._task_id, self._timing, assigned_at, self._fields, self._make
        )
        try:
            await engine.acknowledged(task)
        except BaseException:
            await engine.release(task)
            raise
        return task

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._task is not None:
            await self._task._engine.release(self._task)
