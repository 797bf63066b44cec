"""Copies of a command's streams, in S3 or in other files."""

from __future__ import annotations

import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import anyio

from aiodp._errors import LeaseLost, TaskCanceled
from aiodp._files import make_directory, open_private
from aiodp._process.exits import time_to_stop
from aiodp.shell._log import warn
from aiodp.shell._parts import read_in_thread
from aiodp.shell._paths import STREAMS, log_parts
from aiodp.shell._uri import S3Uri

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from aiodp._runner.task import Task
    from aiodp.shell._paths import Paths
    from aiodp.shell._s3 import Store

_COPY_TIMEOUT: Final = 300.0
"""Seconds that all copies may take."""
_INTERRUPTED_TIMEOUT: Final = 30.0
"""Seconds that they may take after the work was interrupted."""


class Logs:
    """The copies of an attempt's streams. A failure is logged, and does not fail the task."""

    def __init__(
        self,
        task: Task,
        paths: Paths,
        store: Store,
        *,
        copies: Sequence[tuple[str, S3Uri | Path]],
        log_uri: str | None,
    ) -> None:
        self._task = task
        self._paths = paths
        self._store = store
        self.are_expected = False
        """Whether the command was started, so that its streams should be there."""
        self._pending = [*copies, *self._log_copies(log_uri)]

    @asynccontextmanager
    async def saved(self) -> AsyncIterator[None]:
        """Copy the streams at the end of the block, whatever its outcome, in bounded time.

        If the task has ended there is less time: the copies must be finished before the service
        may give a lost task to another worker, which copies to the same targets.
        """
        try:
            yield
        except (anyio.get_cancelled_exc_class(), TaskCanceled, LeaseLost):
            await self._copy_before_deadline()
            raise
        except Exception:
            await self._copy_until_interrupted()
            raise
        await self._copy_until_interrupted()

    async def _copy_until_interrupted(self) -> None:
        """Copy; an interruption only shortens that, for the outcome of the work is known."""
        try:
            await self._copy(_COPY_TIMEOUT)
        except anyio.get_cancelled_exc_class():
            await self._copy_before_deadline()

    async def _copy_before_deadline(self) -> None:
        limit = time_to_stop(self._task, _INTERRUPTED_TIMEOUT, anyio.current_time())
        await self._copy(limit, shield=True)

    def _log_copies(self, log_uri: str | None) -> list[tuple[str, S3Uri | Path]]:
        if not log_uri:
            return []
        try:
            root = S3Uri.parse(log_uri)
        except ValueError as error:
            warn(self._task, f"pipelineLogUri {error}")
            return []
        return [(name, root.below(*log_parts(self._task), name)) for name in STREAMS]

    async def _copy(self, limit: float, *, shield: bool = False) -> None:
        with anyio.move_on_after(limit, shield=shield) as scope:
            while self._pending:
                await self._copy_stream(*self._pending[0])
                del self._pending[0]
        if scope.cancelled_caught:
            targets = ", ".join(str(target) for _, target in self._pending)
            warn(self._task, f"in {limit:.0f} s its output could not be copied to {targets}")

    async def _copy_stream(self, name: str, target: S3Uri | Path) -> None:
        stream = self._paths.stream(name)
        if not stream.exists():
            if self.are_expected:
                warn(self._task, f"its {name} was removed before it was copied to {target}")
            return
        try:
            if isinstance(target, S3Uri):
                await self._store.put(stream, target)
            else:
                await read_in_thread(_copy_file, stream, self._paths.output / target)
        except Exception as error:  # noqa: BLE001 - nothing may change the outcome of the task
            warn(self._task, f"its output was not copied: {error}")


def _copy_file(source: Path, target: Path) -> None:
    make_directory(target.parent)
    with open_private(source, "rb") as streamed, open_private(target, "wb") as copy:
        shutil.copyfileobj(streamed, copy)
