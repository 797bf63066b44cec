"""The tables of a definition, read and written in batches of rows.

Every value is text, as `_drivers.py` says.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from aiodp._errors import TaskFailed
from aiodp.shell._errors import bad_definition
from aiodp.sql._connection import DatabaseConnection, connected
from aiodp.sql._databases import Database, database_at, read_url, referred_database, text_of
from aiodp.sql._script import replace_marks

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from sqlalchemy import Connection

    from aiodp._core.objects import PipelineObject
    from aiodp._runner.task import Task
    from aiodp.sql._endpoints import Endpoints
    from aiodp.sql._rows import Batch, Row

_SQL_NODE: Final = "SqlDataNode"
_MYSQL_NODE: Final = "MySqlDataNode"
_TYPES: Final = (_SQL_NODE, _MYSQL_NODE)
_MIN_ROWS: Final = 16
_MAX_ROWS: Final = 4096
_BATCH_CHARACTERS: Final = 512 * 1024
"""What a batch is to hold; that of one row may have more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableNode:
    """A `SqlDataNode` or a `MySqlDataNode`, checked."""

    id: str
    database: Database
    table: str | None
    """As it stands in a statement, with its schema."""
    select_query: str | None
    insert_query: str | None
    create_table_sql: str | None

    @property
    def selection(self) -> str:
        """The statement that reads it; raise `TaskFailed` if there is none."""
        return self.select_query or f"SELECT * FROM {self._target()}"  # noqa: S608 - see below

    @property
    def copying(self) -> str:
        """PostgreSQL's statement that writes rows many times faster than others."""
        return f"COPY {self._target()} FROM STDIN"

    def insertion(self, columns: int) -> str:
        """Return the statement that writes a row of so many columns, in the drivers' style."""
        query = self.insert_query
        if not query:
            marks = ", ".join(["%s"] * columns)
            return f"INSERT INTO {self._target().replace('%', '%%')} VALUES ({marks})"  # noqa: S608 - see below
        return replace_marks(
            query,
            lambda _: "%s",
            mysql=self.database.engine.is_mysql,
            other=lambda sql: sql.replace("%", "%%"),
        )

    def _target(self) -> str:
        # As it stands, as `#{table}` does in a query: whoever wrote it may write any statement.
        if not self.table:
            raise bad_definition(f"{self.id} must have a table, or a query")
        return self.table


def is_table_node(node: PipelineObject) -> bool:
    """Return whether it is a `SqlDataNode` or a `MySqlDataNode`."""
    return node.type in _TYPES


async def read_table_node(task: Task, node: PipelineObject, endpoints: Endpoints) -> TableNode:
    """Read it, and find its database.

    Raises `TaskFailed` for a wrong definition, and if the address cannot be had; `CallFailed` if
    the service does not answer when it is asked for an object.
    """
    url = read_url(node)  # which the guide's tutorial on MySQL gives to a SqlDataNode, too
    if url is not None:
        database = database_at(node, url)
    else:
        database = await referred_database(task, node, endpoints)
    table = text_of(node, "table") or text_of(node, "tableName")
    schema = text_of(node, "schemaName")
    return TableNode(
        id=node.id,
        database=database,
        table=f"{schema}.{table}" if schema and table else table,
        select_query=text_of(node, "selectQuery"),
        insert_query=text_of(node, "insertQuery"),
        create_table_sql=text_of(node, "createTableSql"),
    )


async def read_rows(node: TableNode) -> AsyncGenerator[Batch, None]:
    """Yield all rows, in batches that the server makes one after another.

    Raises `TaskFailed`. Use it under `contextlib.aclosing`.
    """
    async with (
        connected(node.database) as connection,
        connection.streamed(node.selection) as next_rows,
    ):
        size = _MIN_ROWS
        while batch := await next_rows(size):
            yield batch
            length = sum(len(value) for row in batch for value in row if value is not None)
            fitting = _BATCH_CHARACTERS * len(batch) // max(length, 1)
            size = min(max(fitting, 1), 4 * size, _MAX_ROWS)


async def write_rows(node: TableNode, batches: AsyncIterator[Batch]) -> int:
    """Write all rows in one transaction; return how many they were.

    The table is made first, if it is not there and the node says how. Raises `TaskFailed`, and what
    the batches raise; nothing is written then.
    """
    await create_table(node)
    count = 0
    async with connected(node.database) as connection:
        async for batch in batches:
            for start in range(0, len(batch), _MAX_ROWS):
                await _write(connection, node, batch[start : start + _MAX_ROWS])
            count += len(batch)
        await connection.commit()
    return count


async def create_table(node: TableNode) -> None:
    """Make the table by `createTableSql`, if there is such a field and no such table."""
    if not node.create_table_sql:
        return
    if node.table:
        with suppress(TaskFailed):  # that there is none, as every server says in its own way
            async with connected(node.database) as connection:
                await connection.run(_execute, f"SELECT 1 FROM {node.table} WHERE 1 = 0")  # noqa: S608 - see above
                return
    async with connected(node.database) as connection:
        await connection.run(_execute, node.create_table_sql)
        await connection.commit()


async def _write(connection: DatabaseConnection, node: TableNode, rows: Batch) -> None:
    if node.insert_query or not connection.can_copy:
        await connection.run(_insert, node.insertion(len(rows[0])), rows)
    else:
        await connection.run_coroutine(partial(_copy, connection.driver, node.copying, rows))


async def _copy(driver: Any, statement: str, rows: Batch) -> None:
    async with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            await copy.write_row(row)


def _insert(connection: Connection, statement: str, rows: Sequence[Row]) -> None:
    connection.exec_driver_sql(statement, list(rows))


def _execute(connection: Connection, statement: str) -> None:
    connection.execution_options(no_parameters=True).exec_driver_sql(statement).close()
