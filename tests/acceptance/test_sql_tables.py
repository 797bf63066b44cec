"""Tables of a real PostgreSQL and a real MariaDB, read and written as rows of text."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, cast

import pytest
from aiobotocore.session import get_session

from aiodp import Ref
from aiodp.sql._endpoints import Endpoints
from aiodp.sql._tables import is_table_node, read_rows, read_table_node, write_rows
from unit.shell.kit import FakeTask, wire_object

if TYPE_CHECKING:
    from aiodp._runner.task import Task

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(params=["postgres", "mariadb"])
def sql(request):
    return request.getfixturevalue(request.param)


async def node_of(server, *, account=None, **fields):
    database = wire_object("Database", server.fields(**account or {}))
    fields = {"type": "SqlDataNode", "database": Ref("Database"), **fields}
    task = FakeTask({"input": Ref("Node")}, nodes=[wire_object("Node", fields), database])
    node = task.objects["Node"]
    assert is_table_node(node)
    endpoints = Endpoints(get_session(), region_name="us-east-1")
    return await read_table_node(cast("Task", task), node, endpoints)


async def rows_of(node):
    async with aclosing(read_rows(node)) as batches:
        return [row async for batch in batches for row in batch]


async def batches_of(*batches):
    for batch in batches:
        yield batch


TYPES = {
    "postgresql": "i INT, n NUMERIC(20,10), d DATE, t TIMESTAMP, b BOOLEAN, s TEXT, a INT[]",
    "mysql": "i INT, n DECIMAL(20,10), d DATE, t DATETIME(6), b BIT(9), s TEXT, a VARBINARY(9)",
}
TEXT = "é%s?'\\ 😀"
ROWS = {
    "postgresql": [
        ("1", "1.5000000000", "2026-01-02", "2026-01-02 03:04:05.25", "t", TEXT, "{1,2}"),
        (None, None, None, None, None, None, None),
        ("-7", "12345678.1234567891", "0001-01-01", "infinity", "f", "", "{}"),
    ],
    "mysql": [
        ("1", "1.5000000000", "2026-01-02", "2026-01-02 03:04:05.250000", "\1a", TEXT, "a"),
        (None, None, None, None, None, None, None),
        ("-7", "12345678.1234567891", "0001-01-01", "9999-12-31 00:00:00.000000", "", "", "\udcff"),
    ],
}
BITS: dict[str | None, str] = {"\1a": "353", "": "0"}
"""How MySQL's bits are shown, as the number that they are."""


async def test_text_goes_into_typed_columns_and_comes_back_as_the_server_writes_it(sql):
    """Dates, numbers, arrays, bytes, NULL and every character: nothing is lost on the way."""
    create = f"CREATE TABLE typed ({TYPES[sql.scheme]})"
    node = await node_of(sql, table="typed", createTableSql=create)
    rows = ROWS[sql.scheme]
    assert await write_rows(node, batches_of(rows[:1], rows[1:])) == 3
    shown = [(*row[:4], BITS.get(row[4]) or row[4], *row[5:]) for row in rows]
    assert await rows_of(node) == shown
    assert await write_rows(node, batches_of(rows[:1])) == 1  # the table is there
    assert await rows_of(node) == [*shown, shown[0]]
    sql.execute("DROP TABLE typed")
