"""The databases of a definition."""

from __future__ import annotations

from typing import Any, cast

import pytest

from aiodp import Ref, TaskFailed
from aiodp._redaction import redact
from aiodp.sql._databases import referred_database
from aiodp.sql._jdbc import Engine, JdbcUrl
from aiodp.sql._tables import read_table_node
from unit.shell.kit import FakeTask, wire_object

pytestmark = pytest.mark.anyio
ACCOUNT = {"username": "me", "*password": "a-password-of-tests"}
URL = "jdbc:mysql://db.example/sales"


class Endpoints:
    """Knows all ids."""

    async def rds(self, instance, region):
        return url(Engine.POSTGRESQL, f"{instance}.{region}.rds")

    async def redshift(self, cluster, region):
        return url(Engine.REDSHIFT, f"{cluster}.{region}.redshift")


def url(engine, host):
    return JdbcUrl(engine=engine, host=host, port=1, database="its-own", properties={})


async def database_of(*objects, kind="JdbcDatabase", **fields):
    wires = objects or [wire_object("Base", {"type": kind, **ACCOUNT, **fields})]
    references = [Ref(wire["id"]) for wire in wires]
    task = FakeTask({"database": references} if references else {}, nodes=wires)
    return await referred_database(cast("Any", task), task.attempt, cast("Any", Endpoints()))


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"connectionString": URL}, "Base (mysql://db.example:3306/sales)"),
        ({"connectionString": URL, "databaseName": "hr"}, "Base (mysql://db.example:3306/hr)"),
        (
            {"kind": "RdsDatabase", "rdsInstanceId": "i", "region": "eu-west-1"},
            "Base (postgresql://i.eu-west-1.rds:1/its-own)",
        ),
        (
            {"kind": "RedshiftDatabase", "clusterId": "c", "databaseName": "d"},
            "Base (redshift://c.None.redshift:1/d)",
        ),
        (
            {"kind": "RedshiftDatabase", "connectionString": "jdbc:postgresql://h:5439/d"},
            "Base (redshift://h:5439/d)",
        ),
    ],
)
async def test_where_a_database_is(fields, shown):
    """Each type says it in its own way."""
    database = await database_of(**fields)
    assert str(database) == shown
    assert (database.username, database.password) == ("me", "a-password-of-tests")


async def test_the_account_of_a_url():
    """It is used where the object has none, and is no property of the connection."""
    text = f"{URL}?user=you&password=another-password&useSSL=false"
    properties = {"jdbcProperties": ["requireSSL=true", "useSSL = true"]}
    database = await database_of(
        wire_object("Base", {"type": "JdbcDatabase", "connectionString": text, **properties})
    )
    assert (database.username, database.password) == ("you", "another-password")
    assert database.properties == {"useSSL": "true", "requireSSL": "true"}
    assert (await database_of(connectionString=text)).username == "me"


async def test_a_password_is_shown_nowhere():
    """Neither with the database, nor in any text of the package from then on."""
    database = await database_of(connectionString=URL)
    assert "a-password-of-tests" not in f"{database} {database!r}"
    assert redact("it is a-password-of-tests") == "it is ***"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "Base must have a connectionString"),
        ({"connectionString": "jdbc:odd:x"}, "Base: its connectionString is not of the form"),
        ({"connectionString": [URL, URL]}, "field 'connectionString' has 2 values"),
        ({"connectionString": URL, "jdbcProperties": "x"}, "must be of the form NAME=VALUE"),
        ({"kind": "RdsDatabase", "connectionString": URL}, "Base must have an rdsInstanceId"),
        ({"kind": "RedshiftDatabase"}, "Base must have a clusterId or a connectionString"),
        (
            {"kind": "RedshiftDatabase", "clusterId": "c", "connectionString": URL},
            "must not have both a clusterId and a connectionString",
        ),
        ({"kind": "Schedule"}, "Base is a Schedule, not a JdbcDatabase, RdsDatabase, Redshift"),
    ],
)
async def test_what_is_wrong_with_a_database(fields, message):
    """The message names the object and what it lacks."""
    with pytest.raises(TaskFailed, match=message) as failed:
        await database_of(**fields)
    assert failed.value.error_id == "BadDefinition"


async def test_there_must_be_one_database():
    """A text such as the guide's example has it refers to nothing."""
    task = FakeTask({"database": "myDataBaseName"})
    with pytest.raises(TaskFailed, match=r"must have one database, a reference to .* but has 0"):
        await referred_database(cast("Any", task), task.attempt, cast("Any", Endpoints()))


async def node_of(**fields):
    base = wire_object("Base", {"type": "JdbcDatabase", "connectionString": URL, **ACCOUNT})
    task = FakeTask({"input": Ref("Node")}, nodes=[wire_object("Node", fields), base])
    endpoints = cast("Any", Endpoints())
    return await read_table_node(cast("Any", task), task.objects["Node"], endpoints)


async def test_an_old_node_connects_by_itself():
    """`MySqlDataNode` has the fields of a database, unless it refers to one."""
    own = {"connectionString": "jdbc:mysql://own.example/d", "table": "t", **ACCOUNT}
    node = await node_of(type="MySqlDataNode", **own)
    assert str(node.database) == "Node (mysql://own.example:3306/d)"
    node = await node_of(type="MySqlDataNode", table="t", database=Ref("Base"))
    assert str(node.database) == "Base (mysql://db.example:3306/sales)"


async def test_the_statements_of_a_node():
    """Of its queries, else of its table as it is written, with its schema."""
    node = await node_of(type="SqlDataNode", database=Ref("Base"), table="t%", schemaName="s")
    assert node.selection == "SELECT * FROM s.t%"
    assert node.insertion(2) == "INSERT INTO s.t%% VALUES (%s, %s)"
    queries = {"selectQuery": "SELECT 1", "insertQuery": "REPLACE t VALUES (?, '%?')"}
    node = await node_of(type="SqlDataNode", database=Ref("Base"), **queries)
    assert node.selection == "SELECT 1"
    assert node.insertion(9) == "REPLACE t VALUES (%s, '%%?')"
    node = await node_of(type="SqlDataNode", database=Ref("Base"))
    with pytest.raises(TaskFailed, match="Node must have a table, or a query"):
        node.insertion(1)
