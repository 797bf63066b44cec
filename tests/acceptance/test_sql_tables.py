"""Tables of a real PostgreSQL and a real MariaDB, read and written as rows of text."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, cast

import anyio
import pytest
from aiobotocore.session import get_session

from aiodp import Ref, TaskFailed
from aiodp.sql._connection import DatabaseConnection
from aiodp.sql._endpoints import Endpoints
from aiodp.sql._tables import is_table_node, read_rows, read_table_node, write_rows
from unit.shell.kit import FakeTask, wire_object

if TYPE_CHECKING:
    from aiodp._runner.task import Task

pytestmark = [pytest.mark.anyio, pytest.mark.slow]  # a server begins for each process of tests


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


@pytest.mark.parametrize("modern", [True, False])
async def test_text_goes_into_typed_columns_and_comes_back_as_the_server_writes_it(
    sql, modern, monkeypatch
):
    """Dates, numbers, arrays, bytes, NULL and every character: nothing is lost on the way.

    Neither by PostgreSQL's COPY, nor by INSERT.
    """
    if not modern:
        monkeypatch.setattr(DatabaseConnection, "can_copy", False)
    create = f"CREATE TABLE typed ({TYPES[sql.scheme]})"
    node = await node_of(sql, table="typed", createTableSql=create)
    rows = ROWS[sql.scheme]
    assert await write_rows(node, batches_of(rows[:1], rows[1:])) == 3
    shown = [(*row[:4], BITS.get(row[4]) or row[4], *row[5:]) for row in rows]
    assert await rows_of(node) == shown
    assert await write_rows(node, batches_of(rows[:1])) == 1  # the table is there
    assert await rows_of(node) == [*shown, shown[0]]
    sql.execute("DROP TABLE typed")


ENCRYPTED = {
    "postgresql": "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
    "mysql": "SELECT variable_value <> '' FROM information_schema.session_status "
    "WHERE variable_name = 'Ssl_cipher'",
}


@pytest.mark.parametrize(
    ("properties", "encrypted"),
    [
        ([], True),
        (["sslMode=DISABLED"], False),
        (["sslMode=REQUIRED"], True),
        (["sslmode=verify-full", "sslrootcert={certificate}"], True),
        (["sslmode=verify-full"], "certificate verify failed"),
        (["sslmode=verify-full", "sslrootcert=/nowhere"], r"No such file|does not exist"),
        (["sslmode=verify"], "there is no sslmode 'verify'"),
    ],
)
async def test_a_connection_is_encrypted_as_its_properties_say(sql, properties, encrypted):
    """By default if the server can; a certificate is checked if that is asked for."""
    given = [text.format(certificate=sql.certificate) for text in properties]
    account = {"jdbcProperties": given}
    node = await node_of(sql, account=account, selectQuery=ENCRYPTED[sql.scheme])
    if isinstance(encrypted, str):
        with pytest.raises(TaskFailed, match=encrypted):
            await rows_of(node)
    else:
        assert await rows_of(node) in ([("t" if encrypted else "f",)], [(str(int(encrypted)),)])


async def test_properties_that_are_not_known_are_named_in_a_warning(sql, caplog):
    """With no value, which may be a secret; a schema is PostgreSQL's."""
    sql.execute("CREATE TABLE IF NOT EXISTS here (i INT)")
    account = {"jdbcProperties": ['currentSchema="a b",public', "rewrite=secret"]}
    await rows_of(await node_of(sql, account=account, table="here"))
    [warning] = {record.getMessage() for record in caplog.records}
    names = "currentSchema, rewrite" if sql.scheme == "mysql" else "rewrite"
    assert warning.endswith(f"properties that are ignored: {names}")


async def test_reading_may_be_broken_off(sql):
    """In the middle of what the server sends, at once, and whatever follows."""
    series = {"postgresql": "generate_series(1, 1000000) AS s(i)", "mysql": "seq_1_to_1000000000"}
    node = await node_of(sql, selectQuery=f"SELECT * FROM {series[sql.scheme]}")
    with anyio.fail_after(60):
        async with aclosing(read_rows(node)) as batches:
            count = 0
            async for batch in batches:
                count += len(batch)
                if count > 1000:
                    break
        while sql.execute(CONNECTIONS[sql.scheme]) != [("0",)]:
            await anyio.sleep(0.05)


CONNECTIONS = {
    "postgresql": "SELECT COUNT(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
    "AND backend_type = 'client backend'",
    "mysql": "SELECT COUNT(*) FROM information_schema.processlist WHERE id <> connection_id() "
    "AND user = 'aiodp'",
}


@pytest.mark.parametrize("fault", [RuntimeError, None])
async def test_what_is_not_read_to_its_end_is_not_written(sql, fault):
    """Neither if the source fails, nor if all is interrupted: there are all rows, or none."""
    sql.execute("DROP TABLE IF EXISTS w; CREATE TABLE w (i INT)")
    node = await node_of(sql, table="w")

    async def batches():
        yield [("1",)]
        if fault is not None:
            raise fault
        scope.cancel()
        yield [("2",)]

    with anyio.CancelScope() as scope:
        if fault is not None:
            with pytest.raises(fault):
                await write_rows(node, batches())
        else:
            await write_rows(node, batches())
    assert sql.execute("SELECT * FROM w") == []


async def test_a_value_that_does_not_fit_is_refused_with_its_row(sql):
    """In the server's words, and nothing is written."""
    sql.execute("DROP TABLE IF EXISTS v; CREATE TABLE v (i INT)")
    node = await node_of(sql, table="v")
    with pytest.raises(TaskFailed, match=r"'x'|\"x\"") as failed:
        await write_rows(node, batches_of([("1",), ("x",)]))
    assert failed.value.error_id == "DatabaseFailed"
    assert sql.execute("SELECT * FROM v") == []
    with pytest.raises(TaskFailed, match=r"surrogates not allowed|Incorrect integer"):
        await write_rows(node, batches_of([("\udcff",)]))
