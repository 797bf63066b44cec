"""The handler that a `TaskRunner` calls for tasks of shell commands."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from aiodp._aws.sessions import check_session
from aiodp._concurrency import run_shielded_task
from aiodp._errors import TaskFailed
from aiodp.shell._attempt import Attempt
from aiodp.shell._definition import read_definition
from aiodp.shell._errors import local_failed
from aiodp.shell._exists import exists
from aiodp.shell._options import Options
from aiodp.shell._s3 import open_store

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from datetime import timedelta

    from aiobotocore.session import AioSession

    from aiodp._runner.task import Task

_EXISTS: Final = "Exists"
_MAX_OUTPUT: Final = 100 * 1024 * 1024


class ShellHandler:
    """Runs `ShellCommandActivity` and `ShellCommandPrecondition` as AWS's Task Runner does.

    It is a handler for a `TaskRunner`, and keeps nothing between two tasks. `session` is an
    aiobotocore session; data comes from its S3 and goes there.

    - `output`: the directory below which logs and working directories are made.
    - `log_uri`: where logs go in S3 for objects that have no `pipelineLogUri`.
    - `region_name`, `s3_endpoint_url`: of S3, unless the AWS configuration says it.
    - `grace`: from SIGTERM to SIGKILL, in seconds or as a timedelta, 0 to a day. A lost task's
      command has less if the time up to its deadline is shorter.
    - `max_output`: bytes that are kept of each of a command's streams; those that follow are read
      and dropped.
    - `environment`: variables that commands get beside the clean environment.
    - `keep_work`: leave the working directories where they are.

    Raises `ValueError` for a value that is not allowed, and `TypeError` for what is no session.
    """

    types: ClassVar[tuple[str, ...]] = ("ShellCommandActivity", "ShellCommandPrecondition", _EXISTS)
    """The types of tasks that it does."""

    def __init__(
        self,
        session: AioSession,
        *,
        output: str | os.PathLike[str] = "output",
        log_uri: str | None = None,
        region_name: str | None = None,
        s3_endpoint_url: str | None = None,
        grace: float | timedelta = 10.0,
        max_output: int = _MAX_OUTPUT,
        environment: Mapping[str, str] | None = None,
        keep_work: bool = False,
    ) -> None:
        check_session(session)
        self._session = session
        self._options = Options.checked(
            output=output,
            log_uri=log_uri,
            region_name=region_name,
            s3_endpoint_url=s3_endpoint_url,
            grace=grace,
            max_output=max_output,
            environment=environment,
            keep_work=keep_work,
        )

    def __repr__(self) -> str:
        return f"<ShellHandler {str(self._options.output)!r}>"

    async def __call__(self, task: Task) -> bool:
        """Do a task; return True, or for a precondition whether it holds.

        Raises `TaskFailed`, whose `error_id` is `CommandFailed` (see the class of this name),
        `BadDefinition`, `StagingFailed`, `LocalFailed` or `UnsupportedType`; `CallFailed` if the
        service did not answer when it was asked for an object of the task; and `TaskCanceled` or
        `LeaseLost` if the task has ended before its outputs were uploaded.

        When this is cancelled, the command's session is ended, and nothing of it is left.
        """
        if task.type not in self.types:
            raise TaskFailed(
                f"{task.attempt_id} is of type {task.type or '(none)'}; the shell handler "
                f"supports {', '.join(self.types)}",
                error_id="UnsupportedType",
            )
        try:
            return await run_shielded_task(partial(self._work, task), name="aiodp shell")
        except OSError as error:
            raise local_failed(f"the worker's machine could not do it: {error}") from error

    async def _work(self, task: Task) -> bool:
        options = self._options
        async with open_store(
            self._session, region_name=options.region_name, endpoint_url=options.s3_endpoint_url
        ) as store:
            if task.type == _EXISTS:
                return await exists(task, store)
            definition = await read_definition(task)
            return await Attempt(task, definition, options, store).work()
