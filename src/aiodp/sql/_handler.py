"""The handler that a `TaskRunner` calls for tasks of SQL scripts."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, ClassVar, Final

import anyio.to_thread

from aiodp._concurrency import on_asyncio, run_shielded_task
from aiodp._errors import TaskFailed
from aiodp.shell._definition import referred_objects
from aiodp.shell._errors import bad_definition, local_failed
from aiodp.shell._s3 import open_store
from aiodp.shell._uri import S3Uri
from aiodp.sql._databases import referred_database, text_of
from aiodp.sql._endpoints import Endpoints
from aiodp.sql._errors import missing_extra

if TYPE_CHECKING:
    from aiobotocore.session import AioSession

    from aiodp._runner.task import Task

_SQL_ACTIVITY: Final = "SqlActivity"


class SqlHandler:
    """Runs `SqlActivity` as AWS's Task Runner does, on PostgreSQL, Redshift, MySQL and MariaDB.

    It is a handler for a `TaskRunner` on asyncio, and keeps nothing between two tasks. It needs
    the extra `sql`. `session` is an aiobotocore session, for scripts in S3 and for the addresses
    of databases that RDS and Redshift know by an id.

    - `region_name`: of S3, and of databases that name none, unless the AWS configuration says it.
    - `s3_endpoint_url`: of S3, unless the AWS configuration says it.
    """

    types: ClassVar[tuple[str, ...]] = (_SQL_ACTIVITY,)
    """The types that it does."""

    def __init__(
        self,
        session: AioSession,
        *,
        region_name: str | None = None,
        s3_endpoint_url: str | None = None,
    ) -> None:
        self._session = session
        self._region_name = region_name
        self._s3_endpoint_url = s3_endpoint_url

    async def __call__(self, task: Task) -> bool:
        """Do a task; return True.

        Raises `TaskFailed`, whose `error_id` is `DatabaseFailed` (in the server's words),
        `BadDefinition`, `StagingFailed` (of a script in S3), `LocalFailed`, `MissingExtra` or
        `UnsupportedType`; `CallFailed` if the service did not answer when it was asked for an
        object of the task; and `TaskCanceled` or `LeaseLost` if the task has ended before the
        script was committed.

        When this is cancelled, the statement that runs is ended at the server, and rolled back.
        """
        if task.type != _SQL_ACTIVITY:
            raise TaskFailed(
                f"{task.attempt_id} is of type {task.type or '(none)'}; the SQL handler supports "
                f"{_SQL_ACTIVITY}",
                error_id="UnsupportedType",
            )
        if not on_asyncio():
            raise local_failed("databases need asyncio: their drivers do not run on trio")
        return await run_shielded_task(partial(self._work, task), name="aiodp SQL")

    async def _work(self, task: Task) -> bool:
        try:
            from aiodp.sql._run_script import run_script  # noqa: PLC0415 - needs the extra
            from aiodp.sql._tables import create_table, read_table_node  # noqa: PLC0415 - as well
        except ModuleNotFoundError as error:
            raise missing_extra(error) from error
        attempt = task.attempt
        endpoints = Endpoints(self._session, region_name=self._region_name)
        database = await referred_database(task, attempt, endpoints)
        script = await self._script(task)
        for node in await referred_objects(task, "output"):
            if text_of(node, "createTableSql"):
                await create_table(await read_table_node(task, node, endpoints))
        task.update(attemptStatus="running")
        await run_script(
            database,
            script,
            attempt.texts("scriptArgument"),
            queue=text_of(attempt, "queue"),
            check=task.raise_if_ended,
        )
        return True

    async def _script(self, task: Task) -> str:
        script, uri = text_of(task.attempt, "script"), text_of(task.attempt, "scriptUri")
        if bool(script) == bool(uri):
            raise bad_definition(
                f"{task.attempt_id} must have either a script or a scriptUri, but has "
                f"{'both' if script else 'neither'}"
            )
        return script or await self._download(task, uri or "")

    async def _download(self, task: Task, text: str) -> str:
        try:
            uri = S3Uri.parse(text)
        except ValueError as error:
            raise bad_definition(f"{task.attempt_id}: scriptUri {error}") from error
        with TemporaryDirectory(prefix="aiodp-") as directory:
            path = Path(directory, "script")
            async with open_store(
                self._session, region_name=self._region_name, endpoint_url=self._s3_endpoint_url
            ) as store:
                await store.get(uri, path)
            content = await anyio.to_thread.run_sync(path.read_bytes)
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise bad_definition(f"{uri} is not in UTF-8: {error}") from error
