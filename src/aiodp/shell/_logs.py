"""Where the streams of a command go besides the files: to S3, or to other files."""

from __future__ import annotations

import logging
import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import anyio

from aiodp._core.text import shorten
from aiodp._errors import LeaseLost, TaskCanceled
from aiodp._process import time_to_stop
from aiodp.shell._parts import reading
from aiodp.shell._places import STREAMS, log_parts
from aiodp.shell._uri import S3Uri

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from aiodp._runner.task import Task
    from aiodp.shell._places import Places
    from aiodp.shell._s3 import Store

_TIMEOUT: Final = 300.0
"""Seconds that all of it may take."""
_LAST_TIMEOUT: Final = 30.0
"""Seconds that it may take when the work was interrupted."""

logger = logging.getLogger("aiodp")


class Logs:
    """The copies of an attempt's streams. Their failing is logged, and fails nothing."""

    def __init__(
        self,
        task: Task,
        places: Places,
        store: Store,
        *,
        copies: Sequence[tuple[str, S3Uri | Path]],
        log_uri: str | None,
    ) -> None:
        self._task = task
        self._places = places
        self._store = store
        self.begun = False
        """Whether the command was started, so that there should be something to copy."""
        self._waiting = [*copies, *self._tree(log_uri)]

    @asynccontextmanager
    async def saved(self) -> AsyncIterator[None]:
        """Copy the streams at the end, however that comes about, in bounded time.

        If the task has ended there is less time: it must be over before the service may give a
        lost task to somebody else, who has the same places.
        """
        try:
            yield
        except (anyio.get_cancelled_exc_class(), TaskCanceled, LeaseLost):
            await self._copy_at_last()
            raise
        except Exception:
            await self._copy_in_time()
            raise
        await self._copy_in_time()

    async def _copy_in_time(self) -> None:
        """Copy; an interruption cuts that short, and nothing else: the work is over."""
        try:
            await self._copy(_TIMEOUT)
        except anyio.get_cancelled_exc_class():
            await self._copy_at_last()

    async def _copy_at_last(self) -> None:
        limit = time_to_stop(self._task, _LAST_TIMEOUT, anyio.current_time())
        await self._copy(limit, shield=True)

    def _tree(self, log_uri: str | None) -> list[tuple[str, S3Uri | Path]]:
        if not log_uri:
            return []
        try:
            root = S3Uri.parse(log_uri)
        except ValueError as error:
            self._warn(f"pipelineLogUri {error}")
            return []
        return [(name, root.below(*log_parts(self._task), name)) for name in STREAMS]

    async def _copy(self, limit: float, *, shield: bool = False) -> None:
        with anyio.move_on_after(limit, shield=shield) as scope:
            while self._waiting:
                await self._copy_one(*self._waiting[0])
                del self._waiting[0]
        if scope.cancelled_caught:
            names = ", ".join(str(place) for _, place in self._waiting)
            self._warn(f"in {limit:.0f} s its output could not be copied to {names}")

    async def _copy_one(self, name: str, place: S3Uri | Path) -> None:
        stream = self._places.stream(name)
        if not stream.exists():
            if self.begun:
                self._warn(f"its {name} was removed before it was copied to {place}")
            return
        try:
            if isinstance(place, S3Uri):
                await self._store.put(stream, place)
            else:
                target = self._places.output / place
                await reading(_copy_file, stream, target)
        except Exception as error:  # noqa: BLE001 - whatever it is, the task's status stands
            self._warn(f"its output was not copied: {error}")

    def _warn(self, message: str) -> None:
        short = shorten(self._task.task_id)
        logger.warning("task %s: %s", short, message, extra={"task": short})


def _copy_file(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
