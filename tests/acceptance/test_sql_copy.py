"""CopyActivity with a real PostgreSQL and a real MariaDB, and the guide's tutorials."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, cast

import anyio
import anyio.to_thread
import pytest
from aiobotocore.session import get_session

from acceptance.support import CREDENTIALS, kept_environment
from aiodp import Ref, TaskFailed
from aiodp._concurrency import interruptible
from aiodp.emulator import Settings
from aiodp.sql import CopyHandler
from aiodp.testing import ServerKit
from unit.shell.kit import TOO_LONG, FakeTask, wire_object

if TYPE_CHECKING:
    from aiodp import Task

pytestmark = [pytest.mark.anyio, pytest.mark.slow]  # a server begins for each process of tests

SPEED = 30
BUCKET = "example-bucket"
REGION = "us-east-1"
GROUP = "copies"
CSV = {"type": "CSV", "column": ["n INT", "s STRING", "day DATE"]}
LONG = {
    "postgresql": "SELECT n, pg_sleep(CASE n WHEN 3000 THEN 600 ELSE 0 END) "
    "FROM generate_series(1, 3000) n",
    "mysql": "SELECT seq, SLEEP(IF(seq = 3000, 600, 0)) FROM seq_1_to_3000",
}
"""Rows that begin to come, and do not end."""
STATEMENTS = {
    "postgresql": "SELECT query FROM pg_stat_activity WHERE state = 'active' "
    "AND pid <> pg_backend_pid()",
    "mysql": "SELECT info FROM information_schema.processlist WHERE command = 'Query' "
    "AND id <> connection_id()",
}


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(params=["postgres", "mariadb"])
def sql(request):
    """A server with a table of a number, a text and a day."""
    return with_table(request.getfixturevalue(request.param))


def with_table(server):
    server.execute("DROP TABLE IF EXISTS t; CREATE TABLE t (n INT, s VARCHAR(40), day DATE)")
    return server


@pytest.fixture(scope="module")
def kit():
    """A service in which years of slots may be made up for, in no time."""
    settings = Settings(max_backfill=None, resource_worker_group=GROUP, resource_startup=1.0)
    with ServerKit(settings, time_scale=SPEED) as kit:
        yield kit


@pytest.fixture
def s3(kit, connect):
    """A client; the bucket is empty."""
    client = connect(kit.server, "s3")
    client.create_bucket(Bucket=BUCKET)
    for entry in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=entry["Key"])
    return client


@pytest.fixture
def read(s3):
    return lambda key: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()


@pytest.fixture
def put(s3):
    return lambda key, body: s3.put_object(Bucket=BUCKET, Key=key, Body=body)


@pytest.fixture
def copy(kit):
    """Copies from one node to another; what is told to the service is returned."""
    session = get_session()
    session.set_credentials("testing", "testing")

    async def copy(source, target):
        fields = {"input": Ref("In"), "output": Ref("Out")}
        nodes = [wire_object("In", source), wire_object("Out", target)]
        formats = [wire_object("CSV", CSV), wire_object("TSV", {"type": "TSV"})]
        task = FakeTask(fields, kind="CopyActivity", nodes=nodes, asked=formats)
        handler = CopyHandler(session, region_name=REGION, s3_endpoint_url=kit.endpoint)
        with anyio.fail_after(TOO_LONG):
            assert await handler(cast("Task", task)) is True
        return task.statuses

    return copy


def table(server, **fields):
    """A node with a connection of its own, as in the guide's tutorial."""
    account = {"username": server.username, "*password": server.password}
    given = {"connectionString": server.jdbc_url, **account, "table": "t", **fields}
    return {"type": "SqlDataNode", **given}


def s3_node(path, **fields):
    return {"type": "S3DataNode", "filePath": f"s3://{BUCKET}/{path}", **fields}


ROWS = r"""1,a\,b "c",2026-01-02
2,back\\slash,\N
3,\N,
\N,,2026-12-31
4,line\
feed é😀,2026-01-01
"""
"""Of which all but the empty day come out as they went in."""


async def test_records_go_into_a_table_and_out_of_it(copy, sql, put, read):
    """Separators, line feeds, NULL and empty texts are what they were."""
    put("in.csv", ROWS.encode())
    told = await copy(s3_node("in.csv", dataFormat=Ref("CSV")), table(sql))
    assert told == ["copied 5 records"]
    null = "COALESCE(CAST({} AS CHAR(12)), 'none')"
    ask = f"SELECT {null.format('n')}, {null.format('day')} FROM t"
    shown = sorted(tuple(value.strip() for value in row) for row in sql.execute(ask))
    assert shown == sorted(
        [
            *[("1", "2026-01-02"), ("2", "none"), ("3", "none")],
            *[("none", "2026-12-31"), ("4", "2026-01-01")],
        ]
    )
    told = await copy(table(sql), s3_node("out.csv"))
    assert read("out.csv").decode() == ROWS.replace("3,\\N,\n", "3,\\N,\\N\n")
    assert told[-1].startswith("copied 5 records, ")


async def test_a_query_reads_and_another_writes(copy, sql, put, read):
    """With its question marks in the order of the fields; from a directory, compressed."""
    for name in "ab":
        put(f"in/{name}.gz", gzip.compress(f"{name}_\t7\n".encode()))
    source = {"type": "S3DataNode", "directoryPath": f"s3://{BUCKET}/in", "compression": "gzip"}
    target = table(sql, insertQuery="INSERT INTO t (s, n) VALUES (REPLACE(?, '_', '?'), ?)")
    await copy({**source, "dataFormat": Ref("TSV")}, target)
    select = "SELECT s, n + 1, day FROM t ORDER BY s"
    out = {**source, "directoryPath": f"s3://{BUCKET}/out", "dataFormat": Ref("TSV")}
    await copy(table(sql, selectQuery=select), out)
    assert gzip.decompress(read("out/part-00000.tsv.gz")) == b"a?\t8\t\\N\nb?\t8\t\\N\n"


async def test_records_that_are_wrong_leave_no_row(copy, sql, put):
    """Neither one that is not of its format, nor one that the table does not take."""
    put("in.csv", b"1,a,2026-01-01\n" * 20_000 + b"2,b\n")
    with pytest.raises(TaskFailed, match=r"in\.csv: record 20001 has 2 fields, not 3"):
        await copy(s3_node("in.csv"), table(sql))
    put("in.csv", b"1,a,2026-01-01\nx,b,2026-01-01\n")
    with pytest.raises(TaskFailed, match=r"Out .*[xX]") as failed:
        await copy(s3_node("in.csv"), table(sql))
    assert failed.value.error_id == "DatabaseFailed"
    assert sql.execute("SELECT * FROM t") == []


async def test_rows_go_from_one_database_to_the_other(copy, postgres, mariadb):
    """The table is made there, if its node says how."""
    with_table(postgres).execute("INSERT INTO t VALUES (1, 'é', '2026-01-02'), (2, NULL, NULL)")
    mariadb.execute("DROP TABLE IF EXISTS made")
    made = {"table": "made", "createTableSql": "CREATE TABLE made (n INT, s TEXT, day DATE)"}
    await copy(table(postgres), table(mariadb, **made))
    assert mariadb.execute("SELECT * FROM made ORDER BY n") == [
        ("1", "é", "2026-01-02"),
        ("2", "NULL", "NULL"),
    ]


async def test_an_interrupted_copy_ends_at_the_server_and_leaves_no_object(copy, sql, s3):
    """In the middle of its rows."""

    def is_running():
        queries = sql.execute(STATEMENTS[sql.scheme])
        return any("600" in query or "FETCH" in query for (query,) in queries)

    async with interruptible() as stop, anyio.create_task_group() as group:
        group.start_soon(copy, table(sql, selectQuery=LONG[sql.scheme]), s3_node("out.csv"))
        while not await anyio.to_thread.run_sync(is_running):
            await anyio.sleep(0.05)
        stop()
    with anyio.fail_after(TOO_LONG):  # a server may list what it has ended for a moment
        while await anyio.to_thread.run_sync(is_running):
            await anyio.sleep(0.05)
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=BUCKET)


# The guide's tutorials, by the command


S3_TUTORIAL = {
    "objects": [
        {
            "id": "MySchedule",
            "type": "Schedule",
            "startDateTime": "2013-08-18T00:00:00",
            "endDateTime": "2013-08-19T00:00:00",
            "period": "1 day",
        },
        {
            "id": "S3Input",
            "type": "S3DataNode",
            "schedule": {"ref": "MySchedule"},
            "filePath": "s3://example-bucket/source/inputfile.csv",
        },
        {
            "id": "S3Output",
            "type": "S3DataNode",
            "schedule": {"ref": "MySchedule"},
            "filePath": "s3://example-bucket/destination/outputfile.csv",
        },
        {
            "id": "MyEC2Resource",
            "type": "Ec2Resource",
            "schedule": {"ref": "MySchedule"},
            "instanceType": "m1.medium",
            "role": "DataPipelineDefaultRole",
            "resourceRole": "DataPipelineDefaultResourceRole",
        },
        {
            "id": "MyCopyActivity",
            "type": "CopyActivity",
            "runsOn": {"ref": "MyEC2Resource"},
            "input": {"ref": "S3Input"},
            "output": {"ref": "S3Output"},
            "schedule": {"ref": "MySchedule"},
        },
    ]
}
"""The guide's page "Copy CSV Data Using the Command Line"."""


def mysql_tutorial(server):
    """The guide's page "Copy MySQL Data Using the Command Line", with an end of its schedule."""
    daily = {"schedule": {"ref": "ScheduleId113"}}
    roles = {
        "role": "DataPipelineDefaultRole",
        "resourceRole": "DataPipelineDefaultResourceRole",
    }
    topic = {"topicArn": "arn:aws:sns:us-east-1:123456789012:example-topic"}
    alarm = {"type": "SnsAlarm", "role": roles["role"], **topic}
    return {
        "objects": [
            {
                "id": "ScheduleId113",
                "startDateTime": "2013-08-26T00:00:00",
                "endDateTime": "2013-08-27T00:00:00",
                "name": "My Copy Schedule",
                "type": "Schedule",
                "period": "1 Days",
            },
            {
                "id": "CopyActivityId112",
                "input": {"ref": "MySqlDataNodeId115"},
                **daily,
                "name": "My Copy",
                "runsOn": {"ref": "Ec2ResourceId116"},
                "onSuccess": {"ref": "ActionId1"},
                "onFail": {"ref": "SnsAlarmId117"},
                "output": {"ref": "S3DataNodeId114"},
                "type": "CopyActivity",
            },
            {
                "id": "S3DataNodeId114",
                **daily,
                "filePath": "s3://example-bucket/rds-output/output.csv",
                "name": "My S3 Data",
                "type": "S3DataNode",
            },
            {
                "id": "MySqlDataNodeId115",
                "username": server.username,
                **daily,
                "name": "My RDS Data",
                "*password": server.password,
                "table": "t",
                "connectionString": server.jdbc_url,
                "selectQuery": "select * from #{table}",
                "type": "SqlDataNode",
            },
            {"id": "Ec2ResourceId116", **daily, "name": "My EC2 Resource", **roles}
            | {"type": "Ec2Resource"},
            {"message": "This is a success message.", "id": "ActionId1", **alarm}
            | {"subject": "RDS to S3 copy succeeded!", "name": "My Success Alarm"},
            {"id": "Default", "scheduleType": "timeseries", "name": "Default", **roles}
            | {"failureAndRerunMode": "CASCADE"},
            {
                "message": "There was a problem executing #{node.name} at for period "
                "#{node.@scheduledStartTime} to #{node.@scheduledEndTime}",
                "id": "SnsAlarmId117",
                "subject": "RDS to S3 copy failed",
                "name": "My Failure Alarm",
                **alarm,
            },
        ]
    }


def test_the_guides_two_tutorials_end_finished(kit, commands, mariadb, put, read, tmp_path):
    """S3 to S3, and MySQL to S3 as CSV, by `aiodp run` and nothing else."""
    put("source/inputfile.csv", b"a,b\r\n\xff")
    with_table(mariadb).execute(
        "INSERT INTO t VALUES (1, 'one, \\\"two\\\"', '2013-08-26'), (2, NULL, NULL)"
    )
    pipelines = [kit.pipeline(S3_TUTORIAL), kit.pipeline(mysql_tutorial(mariadb))]
    environment = kept_environment() | CREDENTIALS | {"AWS_ENDPOINT_URL": kit.endpoint}
    options = ("--max-tasks", len(pipelines), "--time-scale", SPEED, "--workerGroup", GROUP)
    done = commands.run("run", *options, env=environment, cwd=tmp_path, timeout=TOO_LONG)
    assert done.returncode == 0, done.stderr
    for pipeline in pipelines:
        kit.wait_finished(pipeline)
    assert read("destination/outputfile.csv") == b"a,b\r\n\xff"
    assert read("rds-output/output.csv") == b'1,one\\, "two",2013-08-26\n2,\\N,\\N\n'


def test_a_pipeline_from_s3_through_postgresql_to_s3(kit, commands, postgres, put, read, tmp_path):
    """Two copies and a SqlActivity between them, in a database that all three refer to."""
    with_table(postgres)
    put("in.csv", b"3,c,2026-01-03\n1,a,2026-01-01\n,b,\n")
    default = {"id": "Default", "scheduleType": "ondemand", "workerGroup": GROUP}
    node = {"type": "SqlDataNode", "database": {"ref": "Base"}, "table": "t"}
    copy = {"type": "CopyActivity"}
    work = {"type": "SqlActivity", "database": {"ref": "Base"}, "dependsOn": {"ref": "In"}}
    pipeline = kit.pipeline(
        {
            "objects": [
                {**default, "maximumRetries": "0"},
                {"id": "Base", **postgres.fields()},
                {"id": "Csv", **CSV},
                {"id": "Tsv", "type": "TSV"},
                {"id": "From", **s3_node("in.csv", dataFormat={"ref": "Csv"})},
                {"id": "Into", **node},
                {"id": "OutOf", **node, "selectQuery": "SELECT s, n, day FROM t ORDER BY s"},
                {"id": "To", **s3_node("out.tsv", dataFormat={"ref": "Tsv"})},
                {"id": "In", **copy, "input": {"ref": "From"}, "output": {"ref": "Into"}},
                {"id": "Work", **work, "script": "UPDATE t SET n = ? WHERE n IS NULL"}
                | {"scriptArgument": "2"},
                {"id": "Out", **copy, "input": {"ref": "OutOf"}, "output": {"ref": "To"}}
                | {"dependsOn": {"ref": "Work"}},
            ]
        }
    )
    environment = kept_environment() | CREDENTIALS | {"AWS_ENDPOINT_URL": kit.endpoint}
    options = ("--max-tasks", "3", "--time-scale", SPEED, "--workerGroup", GROUP)
    done = commands.run("run", *options, env=environment, cwd=tmp_path, timeout=TOO_LONG)
    assert done.returncode == 0, done.stderr
    kit.wait_finished(pipeline)
    assert read("out.tsv") == b"a\t1\t2026-01-01\nb\t2\t\\N\nc\t3\t2026-01-03\n"
