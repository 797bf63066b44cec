"""The work on one attempt: bring, run, take, and leave nothing behind."""

from __future__ import annotations

import logging
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from aiodp._core.text import shorten
from aiodp.shell._environment import clean_environment
from aiodp.shell._errors import CommandFailed
from aiodp.shell._logs import Logs
from aiodp.shell._places import STREAMS, Places
from aiodp.shell._run import Ended, Run
from aiodp.shell._staging import Staging

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aiodp._runner.task import Task
    from aiodp.shell._definition import Definition
    from aiodp.shell._options import Options
    from aiodp.shell._s3 import Store

_BASH: Final = "/bin/bash"
_SH: Final = "/bin/sh"
_AS_ITSELF: Final = 'exec "$0" "$@"'
_REMOVE_TIMEOUT: Final = 30.0
"""Seconds that the removal of a working directory may hold up the end of its task."""

logger = logging.getLogger("aiodp")


class Attempt:
    """One attempt, in places of its own."""

    def __init__(self, task: Task, definition: Definition, options: Options, store: Store) -> None:
        self._task = task
        self._definition = definition
        self._options = options
        self._store = store
        self._places = Places.of(options.output, task)
        self._logs = Logs(
            task,
            self._places,
            store,
            copies=definition.copies,
            log_uri=definition.log_uri or options.log_uri,
        )
        self._staging = Staging(
            self._places, store, inputs=definition.inputs, outputs=definition.outputs
        )

    async def work(self) -> bool:
        """Do it all; return whether the exit code was 0, which is the truth of a precondition.

        Raises `TaskFailed` or `OSError` if it failed, and `TaskCanceled` or `LeaseLost` if the
        task ended before its outputs were taken.
        """
        async with self._logs.saved(), self._working():
            self._task.update(attemptStatus="staging")
            await self._staging.bring()
            argv = await self._prepare()
            self._task.update(attemptStatus="running")
            good = self._judge(await self._run(argv))
            if good:
                self._task.raise_if_ended()
                self._task.update(attemptStatus="uploading")
                await self._staging.take()
        return good

    @asynccontextmanager
    async def _working(self) -> AsyncIterator[None]:
        try:
            await anyio.to_thread.run_sync(self._places.make)
            yield
        finally:
            if not self._options.keep_work:
                await self._remove()

    async def _remove(self) -> None:
        try:
            with anyio.move_on_after(_REMOVE_TIMEOUT, shield=True):
                await anyio.to_thread.run_sync(self._places.remove, abandon_on_cancel=True)
        except Exception as error:  # noqa: BLE001 - whatever it is, the task's status stands
            short = shorten(self._task.task_id)
            message = "task %s: its working directory could not be removed: %s"
            logger.warning(message, short, error, extra={"task": short})

    async def _prepare(self) -> list[str]:
        """Write the script; return how it is run."""
        definition, script = self._definition, self._places.script
        if definition.script is not None:
            await self._store.get(definition.script, script)
        else:
            text = (definition.command or "").encode(errors="surrogatepass")
            await anyio.to_thread.run_sync(script.write_bytes, text)
        run = await anyio.to_thread.run_sync(_how_to_run, script, definition.script is not None)
        return [*run, *definition.arguments]

    async def _run(self, argv: list[str]) -> Ended:
        environment = clean_environment(
            pipeline_id=self._task.pipeline_id,
            attempt_id=self._task.attempt_id,
            more={**self._options.environment, **self._staging.environment},
        )
        stdout, stderr = (self._places.stream(name) for name in STREAMS)
        run = Run(
            argv=argv,
            cwd=self._places.here,
            env=environment,
            streams=(stdout, stderr),
            grace=self._options.grace,
            max_output=self._options.max_output,
        )
        self._logs.begun = True
        return await run.finish(self._task)

    def _judge(self, ended: Ended) -> bool:
        """Return whether the command did; raise how the task failed, if it failed."""
        code = ended.returncode
        if code < 0 or (code > 0 and not self._task.is_precondition):
            raise CommandFailed(code, ended.stderr)
        if ended.unkept is not None:
            raise ended.unkept
        return code == 0


def _how_to_run(script: Path, may_choose: bool) -> list[str]:  # noqa: FBT001 - for a thread
    """Return the command line; a script from S3 may name another interpreter in its first line."""
    shell = _BASH if os.access(_BASH, os.X_OK) else _SH
    with script.open("rb") as file:
        chooses = may_choose and file.read(2) == b"#!"
    if not chooses:
        return [shell, str(script)]
    script.chmod(0o700)
    return [shell, "-c", _AS_ITSELF, str(script)]
