"""`SqlActivity` on a real PostgreSQL and a real MariaDB."""

from __future__ import annotations

import logging
from resource import RUSAGE_SELF, getrusage
from typing import TYPE_CHECKING, cast

import anyio
import anyio.to_thread
import pytest
from aiobotocore.session import get_session

from acceptance.support import CREDENTIALS, kept_environment
from aiodp import LeaseLost, Ref, TaskFailed, TaskRunner
from aiodp._concurrency import interruptible
from aiodp.sql import SqlHandler
from aiodp.testing import ServerKit, Status, scaled
from unit.shell.kit import TOO_LONG, FakeTask, wire_object

if TYPE_CHECKING:
    from aiodp._runner.task import Task

pytestmark = [pytest.mark.anyio, pytest.mark.slow]  # a server begins for each process of tests

SPEED = 30
BUCKET = "data"
REGION = "us-east-1"
DEFAULT = {"id": "Default", "scheduleType": "ondemand", "workerGroup": "sql"}
DEFAULT |= {"maximumRetries": "0"}
LONG = {"postgresql": "SELECT pg_sleep(600)", "mysql": "SELECT SLEEP(600)"}
STATEMENTS = {
    "postgresql": "SELECT state, query FROM pg_stat_activity WHERE state = 'active' "
    "AND pid <> pg_backend_pid()",
    "mysql": "SELECT state, info FROM information_schema.processlist WHERE command = 'Query' "
    "AND id <> connection_id()",
}
"""What shows the statements that a server works on."""


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(params=["postgres", "mariadb"])
def sql(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def table(sql):
    """A table of two columns."""
    sql.execute("DROP TABLE IF EXISTS t; CREATE TABLE t (i INT, s VARCHAR(40))")
    return "t"


def activity(server, *, nodes=(), account=None, **fields):
    database = wire_object("Database", server.fields(**account or {}))
    given = {"database": Ref("Database"), **fields}
    return FakeTask(given, kind="SqlActivity", nodes=[database, *nodes])


async def run(task, **options):
    session = get_session()
    session.set_credentials("testing", "testing")
    handler = SqlHandler(session, region_name=REGION, **options)
    with anyio.fail_after(TOO_LONG):
        return await handler(cast("Task", task))


def sleeps(server):
    return any("600" in query for _, query in server.execute(STATEMENTS[server.scheme]))


async def wait_for_end(server):
    """Return when the statement has ended; a server may list it for a moment after that."""
    with anyio.fail_after(TOO_LONG):
        while await anyio.to_thread.run_sync(sleeps, server):
            await anyio.sleep(0.05)


async def wait_for_sleep(server):
    while not await anyio.to_thread.run_sync(sleeps, server):
        await anyio.sleep(0.05)


async def test_a_script_of_several_statements_with_arguments(sql, table):
    """They are bound to the question marks in their order, and converted to the columns' types."""
    script = """
        -- is this one? no
        INSERT INTO t VALUES (?, ?);
        UPDATE t SET s = CONCAT(s, ' 100%') WHERE i = ?; -- the last ;
    """
    task = activity(sql, script=script, scriptArgument=["7", "it's \\ a 'text'?", "7"])
    assert await run(task) is True
    assert sql.execute("SELECT i, REPLACE(s, '\\\\', '/') FROM t") in (
        [("7", "it's / a 'text'? 100%")],
        [("7", "it's \\ a 'text'? 100%")],
    )
    assert task.statuses == ["running"]


async def test_a_script_that_fails_leaves_nothing_and_says_what_the_server_said(sql, table, caplog):
    """The statement before it is rolled back; neither message, log nor traceback has a password."""
    caplog.set_level(logging.DEBUG)
    task = activity(sql, script="INSERT INTO t VALUES (1, 'a'); INSERT INTO nowhere VALUES (1)")
    with pytest.raises(
        TaskFailed, match=r"Database \(\w+://127.0.0.1:\d+/pipelines\): .*nowhere"
    ) as failed:
        await run(task)
    assert failed.value.error_id == "DatabaseFailed"
    assert sql.execute("SELECT * FROM t") == []
    shown = repr(failed.getrepr(showlocals=False)) + caplog.text + repr(task.objects)
    assert sql.password not in shown


async def test_a_wrong_password_and_a_server_that_is_not_there(sql):
    """The message says which database, and why."""
    task = activity(sql, account={"*password": "not-this-one"}, script="SELECT 1")
    with pytest.raises(
        TaskFailed, match=r"(password authentication failed|Access denied)"
    ) as failed:
        await run(task)
    assert "not-this-one" not in str(failed.value)
    url = f"jdbc:{sql.scheme}://127.0.0.1:1/nothing"
    with pytest.raises(TaskFailed, match=r"127.0.0.1:1/nothing\).*(refused|Connect call failed)"):
        await run(activity(sql, account={"connectionString": url}, script="SELECT 1"))


async def test_an_output_table_is_made_if_it_is_not_there(sql):
    """`createTableSql` of the output data node runs before the script, and only once."""
    sql.execute("DROP TABLE IF EXISTS made")
    node = {"type": "SqlDataNode", "database": Ref("Database"), "table": "made"}
    node["createTableSql"] = "CREATE TABLE made (i INT)"
    nodes = [wire_object("Node", node), wire_object("Log", {"type": "S3DataNode"})]
    for _ in range(2):
        given = {"output": [Ref("Node"), Ref("Log")], "script": "INSERT INTO made VALUES (1)"}
        await run(activity(sql, nodes=nodes, **given))
    assert sql.execute("SELECT * FROM made") == [("1",), ("1",)]


async def test_an_interrupted_script_ends_at_the_server_and_leaves_no_rows(sql, table):
    """In the middle of a statement of ten minutes; the statement after it is never begun."""
    script = f"INSERT INTO t VALUES (1, 'a'); {LONG[sql.scheme]}; INSERT INTO t VALUES (2, 'b')"
    async with interruptible() as stop, anyio.create_task_group() as group:
        group.start_soon(run, activity(sql, script=script))
        await wait_for_sleep(sql)
        stopped_at = anyio.current_time()
        stop()
    assert anyio.current_time() - stopped_at < TOO_LONG
    await wait_for_end(sql)
    assert sql.execute("SELECT * FROM t") == []


SERIES = {
    "postgresql": "SELECT g, repeat('x', 100) FROM generate_series(1, 200000) g",
    "mysql": "SELECT seq, REPEAT('x', 100) FROM seq_1_to_200000",
}


async def test_the_rows_of_queries_are_dropped(sql, table):
    """As they come, and those of the second query too: they take no memory."""
    await run(activity(sql, script="SELECT 1"))
    before = getrusage(RUSAGE_SELF).ru_maxrss
    script = f"INSERT INTO t VALUES (1, 'a'); {SERIES[sql.scheme]}; {SERIES[sql.scheme]}"
    await run(activity(sql, script=f"{script}; INSERT INTO t VALUES (2, 'b')"))
    assert getrusage(RUSAGE_SELF).ru_maxrss - before < 16 * 1024  # KiB, of twice 20 MB
    assert sql.execute("SELECT i FROM t ORDER BY i") == [("1",), ("2",)]


async def test_a_script_has_nothing_to_copy_from_its_client(postgres):
    """There is no file that it could mean, and the statement before is rolled back."""
    postgres.execute("DROP TABLE IF EXISTS t; CREATE TABLE t (i INT, s VARCHAR(40))")
    with pytest.raises(TaskFailed, match="no data for COPY FROM STDIN"):
        await run(activity(postgres, script="INSERT INTO t VALUES (1, 'a'); COPY t FROM STDIN"))
    assert postgres.execute("SELECT * FROM t") == []
    script = "COPY (SELECT * FROM generate_series(1, 9999)) TO STDOUT; INSERT INTO t VALUES (1)"
    await run(activity(postgres, script=script))
    assert postgres.execute("SELECT i FROM t") == [("1",)]


async def test_a_large_script(sql, table):
    """It is sent piece by piece."""
    rows = ", ".join(f"({number}, '{'x' * 40}')" for number in range(20_000))
    await run(activity(sql, script=f"INSERT INTO t VALUES {rows}; SELECT * FROM t"))
    assert sql.execute("SELECT COUNT(*) FROM t") == [("20000",)]


async def test_a_task_that_was_lost_meanwhile_is_not_committed(mariadb):
    """Somebody else may have it by then."""
    mariadb.execute("DROP TABLE IF EXISTS u; CREATE TABLE u (i INT)")
    task = activity(mariadb, script="INSERT INTO u VALUES (1)")
    task.lost.happened = True
    with pytest.raises(LeaseLost):
        await run(task)
    assert mariadb.execute("SELECT * FROM u") == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"script": "SELECT ?"}, None),
        ({"script": "SELECT ?", "scriptArgument": ["1", "2"]}, "1 question marks for 2 values"),
        ({}, "either a script or a scriptUri, but has neither"),
        ({"script": "SELECT 1", "scriptUri": "s3://a/b"}, "either .* but has both"),
        ({"scriptUri": "http://a/b"}, "scriptUri 'http://a/b' is not"),
    ],
)
async def test_what_a_script_must_be(postgres, fields, message):
    """A wrong definition is told from a failure of the database."""
    with pytest.raises(TaskFailed, match=message or "syntax error") as failed:
        await run(activity(postgres, **fields))
    assert failed.value.error_id == ("BadDefinition" if message else "DatabaseFailed")


async def test_a_queue_is_the_query_group_of_redshift(postgres, caplog):
    """It is set before the script, which here fails for PostgreSQL has no such setting."""
    url = postgres.jdbc_url.replace("postgresql", "redshift")
    task = activity(postgres, account={"connectionString": url}, script="SELECT 1", queue="it's")
    with pytest.raises(TaskFailed, match='unrecognized configuration parameter "query_group"'):
        await run(task)
    await run(activity(postgres, script="SELECT 1", queue="q"))
    assert "queue is ignored, which Redshift alone has" in caplog.text


@pytest.fixture
def kit():
    with ServerKit(time_scale=SPEED) as kit:
        yield kit


@pytest.fixture
def s3(kit, connect):
    client = connect(kit.server, "s3")
    client.create_bucket(Bucket=BUCKET)
    return client


async def working(kit, wait):
    """Return what is waited for while a task runner works."""
    session = get_session()
    session.set_credentials("testing", "testing")
    given = {"s3_endpoint_url": kit.endpoint, "region_name": REGION}
    runner = TaskRunner(
        session,
        worker_group="sql",
        handler=SqlHandler(session, **given),
        endpoint_url=kit.endpoint,
        handle_signals=False,
        region_name=REGION,
        **scaled(SPEED),
    )
    with anyio.fail_after(TOO_LONG):
        async with anyio.create_task_group() as group:
            group.start_soon(runner.run)
            result = await wait
            runner.stop()
    return result


def definition(server, **fields):
    work = {"id": "Work", "type": "SqlActivity", "database": {"ref": "Base"}, **fields}
    return {"objects": [DEFAULT, {"id": "Base", **server.fields()}, work]}


async def test_a_canceled_activity_ends_at_the_server(kit, sql, table):
    """The service cancels, the next heartbeat says so, and nothing of the script is left."""
    script = f"INSERT INTO t VALUES (1, 'a'); {LONG[sql.scheme]}"
    pipeline = kit.pipeline(definition(sql, script=script))

    async def cancel():
        await wait_for_sleep(sql)
        pipeline.deactivate()
        return await kit.ended(pipeline)

    [done] = await working(kit, cancel())
    assert done.status is Status.CANCELED
    await wait_for_end(sql)
    assert sql.execute("SELECT * FROM t") == []


async def test_a_script_in_s3(kit, s3, sql, table):
    """Any case of the scheme, and Hadoop's; a byte order mark is no part of the script."""
    script = "\ufeffINSERT INTO t VALUES (?, 'é')".encode()
    s3.put_object(Bucket=BUCKET, Key="a b/script.sql", Body=script)
    fields = {"scriptUri": f"S3N://{BUCKET}/a b/script.sql", "scriptArgument": "5"}
    await run(activity(sql, **fields), s3_endpoint_url=kit.endpoint)
    assert sql.execute("SELECT * FROM t") == [("5", "é")]
    s3.put_object(Bucket=BUCKET, Key="latin", Body="é".encode("latin-1"))
    with pytest.raises(TaskFailed, match="s3://data/latin is not in UTF-8"):
        await run(activity(sql, scriptUri="s3://data/latin"), s3_endpoint_url=kit.endpoint)


def test_no_output_of_aiodp_run_has_a_password(kit, commands, sql, tmp_path):
    """Neither what it prints, nor any file, nor what it tells the service."""
    pipeline = kit.pipeline(definition(sql, script="SELECT nothing FROM nowhere"))
    environment = kept_environment() | CREDENTIALS | {"AWS_ENDPOINT_URL": kit.endpoint}
    options = ("--max-tasks", "1", "--time-scale", SPEED, "--workerGroup", "sql")
    done = commands.run("run", *options, env=environment, cwd=tmp_path, timeout=TOO_LONG)
    [work] = kit.wait_ended(pipeline)
    assert work.status is Status.FAILED
    assert "DatabaseFailed" in done.stderr or "nowhere" in done.stderr
    files = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert "nowhere" in "".join(files)
    assert sql.password not in "".join((done.stdout, done.stderr, *files, repr(work)))
