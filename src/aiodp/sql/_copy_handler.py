"""The handler that a `TaskRunner` calls for tasks that copy data."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from aiodp._concurrency import on_asyncio, run_shielded_task
from aiodp._errors import TaskFailed
from aiodp.shell._definition import DATA_NODE, referred_objects
from aiodp.shell._errors import bad_definition, local_failed
from aiodp.shell._s3 import open_store
from aiodp.sql._copy import S3Copy, copy_between_tables, copy_from_table, copy_to_table
from aiodp.sql._endpoints import Endpoints
from aiodp.sql._errors import missing_extra
from aiodp.sql._s3_nodes import S3Node, read_s3_node

if TYPE_CHECKING:
    from aiobotocore.session import AioSession

    from aiodp._core.objects import PipelineObject
    from aiodp._runner.task import Task
    from aiodp.shell._s3 import Store
    from aiodp.sql._tables import TableNode

_COPY_ACTIVITY: Final = "CopyActivity"
_TABLES: Final = ("SqlDataNode", "MySqlDataNode")


class CopyHandler:
    """Does `CopyActivity` as AWS's Task Runner does: between S3 and tables, in every direction.

    It is a handler for a `TaskRunner`, and keeps nothing between two tasks. Tables need asyncio
    and the extra `sql`. `session` is an aiobotocore session; data comes from its S3 and goes there.

    - `region_name`: of S3, and of databases that name none, unless the AWS configuration says it.
    - `s3_endpoint_url`: of S3, unless the AWS configuration says it.
    """

    types: ClassVar[tuple[str, ...]] = (_COPY_ACTIVITY,)
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

        Raises `TaskFailed`, whose `error_id` is `BadDefinition`, `BadData` (what is copied is not
        of its format), `StagingFailed` (S3), `DatabaseFailed` (in the server's words),
        `LocalFailed`, `MissingExtra` or `UnsupportedType`; `CallFailed` if the service did not
        answer when it was asked for an object of the task; and `TaskCanceled` or `LeaseLost` if
        the task has ended before the copy was complete.

        Nothing is seen of an object, or of rows, that was not copied to its end.
        """
        if task.type not in self.types:
            raise TaskFailed(
                f"{task.attempt_id} is of type {task.type or '(none)'}; the copy handler supports "
                f"{_COPY_ACTIVITY}",
                error_id="UnsupportedType",
            )
        await run_shielded_task(partial(self._work, task), name="aiodp copy")
        return True

    async def _work(self, task: Task) -> None:
        source = await self._node(task, "input")
        target = await self._node(task, "output")
        async with open_store(
            self._session, region_name=self._region_name, endpoint_url=self._s3_endpoint_url
        ) as store:
            await _copy(task, store, source, target)

    async def _node(self, task: Task, key: str) -> S3Node | TableNode:
        nodes = await referred_objects(task, key)
        if len(nodes) != 1:
            raise bad_definition(f"{task.attempt_id} has {len(nodes)} values of {key}, not one")
        [node] = nodes
        if node.type in _TABLES:
            return await self._table(task, node)
        if node.type != DATA_NODE:
            raise bad_definition(
                f"{node.id}, the {key} of {task.attempt_id}, is a "
                f"{node.type or 'object without a type'}; {_COPY_ACTIVITY} copies between "
                f"{', '.join((DATA_NODE, *_TABLES))}"
            )
        return await read_s3_node(task, node)

    async def _table(self, task: Task, node: PipelineObject) -> TableNode:
        if not on_asyncio():
            raise local_failed("databases need asyncio: their drivers do not run on trio")
        try:
            from aiodp.sql._tables import read_table_node  # noqa: PLC0415 - needs the extra
        except ModuleNotFoundError as error:
            raise missing_extra(error) from error
        endpoints = Endpoints(self._session, region_name=self._region_name)
        return await read_table_node(task, node, endpoints)


async def _copy(
    task: Task, store: Store, source: S3Node | TableNode, target: S3Node | TableNode
) -> None:
    if isinstance(target, S3Node):
        if isinstance(source, S3Node):
            await S3Copy(task, store, source, target).run()
        else:
            await copy_from_table(task, store, source, target)
    elif isinstance(source, S3Node):
        await copy_to_table(task, store, source, target)
    else:
        await copy_between_tables(task, source, target)
