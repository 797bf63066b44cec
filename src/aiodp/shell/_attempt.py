"""The work on one attempt: download, run, upload, and remove what was made for it."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from aiodp._errors import TaskFailed
from aiodp.shell._environment import clean_environment
from aiodp.shell._errors import CommandFailed
from aiodp.shell._log import warn
from aiodp.shell._logs import Logs
from aiodp.shell._paths import STREAMS, Paths
from aiodp.shell._run import RunResult, ScriptRun
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
_RUN_ITSELF: Final = 'exec "$0" "$@"'
"""A script that replaces the shell by the program which its arguments name."""
_REMOVE_TIMEOUT: Final = 30.0
"""Seconds that the removal of a working directory may delay the end of its task."""


class Attempt:
    """One attempt, in directories of its own."""

    def __init__(self, task: Task, definition: Definition, options: Options, store: Store) -> None:
        self._task = task
        self._definition = definition
        self._options = options
        self._store = store
        self._paths = Paths.of(options.output, task)
        self._logs = Logs(
            task,
            self._paths,
            store,
            copies=definition.copies,
            log_uri=definition.log_uri or options.log_uri,
        )
        self._staging = Staging(
            self._paths, store, inputs=definition.inputs, outputs=definition.outputs
        )

    async def work(self) -> bool:
        """Do all of it; return whether the exit code was 0, which means that a precondition holds.

        Raises `TaskFailed` or `OSError` if it failed, and `TaskCanceled` or `LeaseLost` if the
        task ended before its outputs were uploaded.
        """
        try:
            return await self._work()
        except TaskFailed as error:
            if self._logs.are_expected:
                error.add_note(f"its stderr is in {self._paths.stream(STREAMS[1])}")
            raise

    async def _work(self) -> bool:
        async with self._logs.saved(), self._directories():
            self._task.update(attemptStatus="staging")
            await self._staging.download()
            argv = await self._write_script()
            self._task.update(attemptStatus="running")
            succeeded = self._check(await self._run(argv))
            if succeeded:
                self._task.raise_if_ended()
                self._task.update(attemptStatus="uploading")
                await self._staging.upload()
        return succeeded

    @asynccontextmanager
    async def _directories(self) -> AsyncIterator[None]:
        try:
            await anyio.to_thread.run_sync(self._paths.make)
            yield
        finally:
            if not self._options.keep_work:
                await self._remove_directories()

    async def _remove_directories(self) -> None:
        try:
            with anyio.move_on_after(_REMOVE_TIMEOUT, shield=True):
                await anyio.to_thread.run_sync(self._paths.remove, abandon_on_cancel=True)
        except Exception as error:  # noqa: BLE001 - nothing may change the outcome of the task
            warn(self._task, f"its working directory could not be removed: {error}")

    async def _write_script(self) -> list[str]:
        """Write the script; return the command line that runs it."""
        definition, script = self._definition, self._paths.script
        if definition.script is not None:
            await self._store.get(definition.script, script)
        else:
            text = (definition.command or "").encode(errors="surrogatepass")
            await anyio.to_thread.run_sync(script.write_bytes, text)
        is_from_s3 = definition.script is not None
        argv = await anyio.to_thread.run_sync(_command_line, script, is_from_s3)
        return [*argv, *definition.arguments]

    async def _run(self, argv: list[str]) -> RunResult:
        environment = clean_environment(
            pipeline_id=self._task.pipeline_id,
            attempt_id=self._task.attempt_id,
            extra={**self._options.environment, **self._staging.environment},
        )
        stdout, stderr = (self._paths.stream(name) for name in STREAMS)
        run = ScriptRun(
            argv=argv,
            cwd=self._paths.working_directory,
            env=environment,
            streams=(stdout, stderr),
            grace=self._options.grace,
            max_output=self._options.max_output,
        )
        self._logs.are_expected = True
        return await run.execute(self._task)

    def _check(self, result: RunResult) -> bool:
        """Return whether the exit code is 0; raise `TaskFailed` if the task has failed.

        A precondition has not failed if its command exits with another code: it does not hold.
        """
        code = result.returncode
        if code < 0 or (code > 0 and not self._task.is_precondition):
            raise CommandFailed(code, result.stderr)
        if result.output_error is not None:
            raise result.output_error
        return code == 0


def _command_line(script: Path, is_from_s3: bool) -> list[str]:  # noqa: FBT001 - for a thread
    """Return it; a script from S3 may name another interpreter in its first line."""
    shell = _BASH if os.access(_BASH, os.X_OK) else _SH
    with script.open("rb") as file:
        names_interpreter = is_from_s3 and file.read(2) == b"#!"
    if not names_interpreter:
        return [shell, str(script)]
    script.chmod(0o700)
    return [shell, "-c", _RUN_ITSELF, str(script)]
