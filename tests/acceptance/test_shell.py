"""The shell handler against S3, which moto serves over HTTP."""

from __future__ import annotations

import errno
import os
import socket

import pytest
from aiobotocore.session import get_session

from aiodp import Ref, TaskFailed
from aiodp.emulator import EmulatorServer
from aiodp.shell import CommandFailed, _download
from aiodp.shell._parts import PART_BYTES
from unit.shell.kit import ATTEMPT, FakeTask, handle, interrupt, logs, wire_object

pytestmark = pytest.mark.anyio

BUCKET = "data"
LOGS = f"logs/df-1/Work/@Work_2026-01-01T00:00:00/{ATTEMPT}"


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def server():
    """One for all tests: moto keeps what is in S3 as long as this process anyway."""
    with EmulatorServer() as server:
        yield server


@pytest.fixture(scope="module")
def session():
    """One for all tests, as it takes a while to read the description of S3."""
    session = get_session()
    session.set_credentials("testing", "testing")
    return session


@pytest.fixture
def s3(server, connect):
    """A client; the bucket is empty."""
    client = connect(server, "s3")
    client.create_bucket(Bucket=BUCKET)
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        if keys := [{"Key": entry["Key"]} for entry in page.get("Contents", [])]:
            client.delete_objects(Bucket=BUCKET, Delete={"Objects": keys})
    return client


@pytest.fixture
def put(s3):
    def put(**objects):
        for key, body in objects.items():
            s3.put_object(Bucket=BUCKET, Key=key, Body=body)

    return put


@pytest.fixture
def stored(s3):
    """All objects below a prefix, without it."""

    def stored(prefix):
        listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        keys = [entry["Key"] for entry in listed]
        return {
            key.removeprefix(prefix): s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            for key in keys
        }

    return stored


@pytest.fixture
def run(server, session, s3, tmp_path):
    """Runs a task with data nodes; its output is below `tmp_path`."""

    async def run(*, inputs=(), outputs=(), kind="ShellCommandActivity", options=None, **fields):
        ins, outs = nodes("In", inputs), nodes("Out", outputs)
        refs = {"input": references(ins), "output": references(outs)}
        fields = {"stage": "true", **refs, **fields}
        task = FakeTask(fields, kind=kind, nodes=[*ins, *outs])
        return await work(task, tmp_path, session, server, **(options or {}))

    return run


async def work(task, output, session, server, **options):
    options = {"s3_endpoint_url": server.endpoint, "region_name": "us-east-1", **options}
    return await handle(task, output, session=session, **options)


def nodes(name, places):
    return [
        wire_object(f"{name}{count}", {"type": "S3DataNode", **fields})
        for count, fields in enumerate(places, 1)
    ]


def references(nodes):
    return [Ref(node["id"]) for node in nodes]


def directory(path):
    return {"directoryPath": f"s3://{BUCKET}/{path}"}


def file(path):
    return {"filePath": f"s3://{BUCKET}/{path}"}


# In and out


async def test_data_goes_from_s3_through_the_command_to_s3(run, put, stored):
    """Inputs lie in INPUTn_STAGING_DIR, and what is put into OUTPUTn_STAGING_DIR is uploaded."""
    put(**{"in/a": b"1", "in/deep/down/b": b"2", "one/file": b"3", "inner": b"no", "in": b"no"})
    command = """
      cp -r ${INPUT1_STAGING_DIR}/. ${OUTPUT1_STAGING_DIR}
      cp $INPUT2_STAGING_DIR/file $OUTPUT2_STAGING_DIR/copy
      touch $OUTPUT2_STAGING_DIR/empty; mkdir $OUTPUT2_STAGING_DIR/nothing
    """
    await run(
        inputs=[directory("in"), file("one/file")],
        outputs=[directory("out1"), directory("out/2/")],
        command=command,
    )
    assert stored("out1/") == {"a": b"1", "deep/down/b": b"2"}
    assert stored("out/2/") == {"copy": b"3", "empty": b""}


async def test_an_empty_prefix_is_an_empty_directory(run):
    """It is no error that there is nothing."""
    assert await run(inputs=[directory("nothing")], command='[ -z "$(ls -A $INPUT1_STAGING_DIR)" ]')


async def test_markers_of_directories_are_directories(run, put):
    """Keys that end with a slash, as the console makes them."""
    put(**{"in/": b"", "in/empty/": b"", "in/full/": b"", "in/full/a": b""})
    command = (
        'cd $INPUT1_STAGING_DIR && [ -d empty ] && [ -f full/a ] && [ "$(ls)" = "empty\nfull" ]'
    )
    assert await run(inputs=[directory("in/")], command=command)


async def test_the_whole_bucket_can_be_an_input(run, put):
    """A directoryPath without a key."""
    put(**{"a": b"", "b/c": b""})
    command = "[ -f $INPUT1_STAGING_DIR/a ] && [ -f $INPUT1_STAGING_DIR/b/c ]"
    assert await run(inputs=[{"directoryPath": f"s3://{BUCKET}"}], command=command)


async def test_without_stage_there_is_no_staging(run, put, tmp_path):
    """Data nodes of any type are then no matter of ours."""
    put(**{"in/a": b"1"})
    command = '[ -z "$INPUT1_STAGING_DIR$OUTPUT1_STAGING_DIR" ]'
    task = FakeTask({"command": command, "input": Ref("Table")})
    assert await handle(task, tmp_path)
    assert await run(inputs=[directory("in")], command=command, stage="false")


@pytest.mark.slow
async def test_large_files_go_in_parts(run, put, stored):
    """20 MB, which nobody holds in memory as a whole."""
    body = os.urandom(2 * PART_BYTES + 4_000_000)
    put(**{"in/large": body})
    command = "cp $INPUT1_STAGING_DIR/large $OUTPUT1_STAGING_DIR/again"
    await run(inputs=[directory("in")], outputs=[directory("out")], command=command)
    assert stored("out/") == {"again": body}


@pytest.mark.slow
async def test_more_files_than_one_answer_lists(run, s3, put, monkeypatch):
    """None is lost, neither downwards nor upwards; S3 lists 1,000 at once, moto here 10."""
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "10")
    put(**{f"in/{number}": b"" for number in range(25)})
    command = (
        "[ $(ls $INPUT1_STAGING_DIR | wc -l) = 25 ] && cd $OUTPUT1_STAGING_DIR && "
        "for n in $(seq 25); do echo $n >$n; done"
    )
    await run(inputs=[directory("in")], outputs=[directory("out")], command=command)
    command = 'cd $INPUT1_STAGING_DIR && [ "$(cat * | sort -n)" = "$(seq 25)" ]'
    await run(inputs=[directory("out")], command=command)
    assert s3.list_objects_v2(Bucket=BUCKET, Prefix="out/")["IsTruncated"]


async def test_links_are_followed_and_other_things_are_left_out(run, stored, caplog):
    """Files and directories behind links are uploaded, a loop once; pipes are not opened."""
    command = """
      mkdir -p real/sub; echo 1 >real/sub/a
      cd $OUTPUT1_STAGING_DIR; ln -s $OLDPWD/real link; ln -s $OLDPWD/real/sub/a b
      ln -s . loop; ln -s nowhere broken; ln -s self self; mkfifo pipe
    """
    await run(outputs=[directory("out")], command=command)
    assert stored("out/") == {"link/sub/a": b"1\n", "b": b"1\n"}
    assert [name for name in ("broken", "pipe", "self") if name in caplog.text] == [
        *("broken", "pipe", "self")
    ]


async def test_outputs_of_a_command_that_failed_are_not_uploaded(run, stored):
    """Half a result is none."""
    command = "touch $OUTPUT1_STAGING_DIR/half; exit 1"
    with pytest.raises(CommandFailed):
        await run(outputs=[directory("out")], command=command)
    assert stored("out") == {}


async def test_objects_that_did_not_come_along_are_asked_for(server, session, put, tmp_path):
    """PollForTask's answer may have the attempt alone."""
    put(**{"in/a": b""})
    asked = nodes("In", [directory("in")])
    command = "[ -f $INPUT1_STAGING_DIR/a ]"
    task = FakeTask({"command": command, "stage": "TRUE", "input": Ref("In1")}, asked=asked)
    assert await work(task, tmp_path, session, server)
    task = FakeTask({"command": command, "stage": "true", "input": Ref("Gone")})
    with pytest.raises(TaskFailed, match="input refers to Gone, which is not there"):
        await work(task, tmp_path, session, server)


async def test_the_session_s_credentials_are_not_the_command_s(run, tmp_path, monkeypatch):
    """Those that only the worker was given stay with it, though S3 is called with them."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    await run(inputs=[directory("in")], command="env")
    assert "testing" not in (logs(tmp_path) / "StdOutput").read_text()


@pytest.mark.parametrize("failures", [2, 3])
async def test_a_download_that_breaks_off_is_begun_again(run, put, monkeypatch, failures):
    """Twice; botocore's own retries end where an object's body begins."""
    put(**{"in/a": b"whole"})
    broken = iter(range(failures))

    async def chunk(body):
        if next(broken, None) is not None:
            raise _download.BrokenDownloadError("the connection broke")
        return await original(body)

    original = _download.next_chunk
    monkeypatch.setattr(_download, "next_chunk", chunk)
    work = run(inputs=[directory("in")], command='[ "$(cat $INPUT1_STAGING_DIR/a)" = whole ]')
    if failures < 3:
        assert await work
    else:
        with pytest.raises(TaskFailed, match="in/a could not be downloaded: the connection broke"):
            await work


# Scripts


async def test_a_script_comes_from_s3_and_gets_arguments(run, put, stored):
    """A scriptUri is run by the shell, with each scriptArgument."""
    put(script=b'echo "$2" >$OUTPUT1_STAGING_DIR/second\n')
    arguments = ["a", "b c"]
    uri = f"s3://{BUCKET}/script"
    await run(outputs=[directory("out")], scriptUri=uri, scriptArgument=arguments)
    assert stored("out/") == {"second": b"b c\n"}


async def test_a_script_may_name_another_interpreter(run, put, tmp_path):
    """Its first line holds, as if it was called by its name."""
    put(script=b"#!/usr/bin/env -S cat\nhello\n")
    await run(scriptUri=f"s3://{BUCKET}/script")
    assert (logs(tmp_path) / "StdOutput").read_text().endswith("hello\n")
    put(script=b"#!/no/such/interpreter\n")
    with pytest.raises(CommandFailed, match=r"exit code 12[67]; .*\n.*script: "):
        await run(scriptUri=f"s3://{BUCKET}/script")


# Logs


@pytest.mark.parametrize("code", [0, 1])
async def test_streams_go_to_s3_whatever_the_end(run, stored, code):
    """To pipelineLogUri, and to the addresses of stdout and stderr."""
    run_it = run(
        command=f"echo out; echo err >&2; exit {code}",
        pipelineLogUri=f"s3://{BUCKET}/logs",
        stdout=f"s3://{BUCKET}/own/out.txt",
        stderr=f"s3://{BUCKET}/own/",
    )
    if code:
        with pytest.raises(CommandFailed):
            await run_it
    else:
        await run_it
    assert stored(LOGS) == {"/StdOutput": b"out\n", "/StdError": b"err\n"}
    assert stored("own/") == {"out.txt": b"out\n", "StdError": b"err\n"}


async def test_the_handler_s_log_uri_is_for_objects_that_have_none(run, stored):
    """The option --logUri of Task Runner."""
    await run(command="echo hi", options={"log_uri": f"s3://{BUCKET}/logs/"})
    assert stored(LOGS)["/StdOutput"] == b"hi\n"


async def test_logs_that_cannot_be_uploaded_change_nothing(run, caplog):
    """The task is what its command was; a warning names the place."""
    assert await run(command="true", pipelineLogUri="s3://no-such-bucket/logs")
    assert f"s3://no-such-bucket/{LOGS}/StdOutput could not be uploaded" in caplog.text


async def test_no_logs_of_an_earlier_run_are_uploaded(run, stored, s3):
    """The same attempt, handed out again, whose inputs then fail."""
    where = {"pipelineLogUri": f"s3://{BUCKET}/logs"}
    await run(command="echo first", **where)
    for name in ("StdOutput", "StdError"):
        s3.delete_object(Bucket=BUCKET, Key=f"{LOGS}/{name}")
    with pytest.raises(TaskFailed):
        await run(inputs=[file("missing")], command="true", **where)
    assert stored(LOGS) == {}


# Cancellation


@pytest.fixture
def interrupted(server, session, s3, tmp_path):
    """Interrupts a task once its command has written something, and reads what is in S3 then."""

    async def interrupted(before=lambda _: None):
        command = f"touch $OUTPUT1_STAGING_DIR/a; echo hi; touch {tmp_path}/on; sleep 1000"
        fields = {"command": command, "stage": "true", "pipelineLogUri": f"s3://{BUCKET}/logs"}
        out = nodes("Out", [directory("out")])
        task = FakeTask({**fields, "output": Ref("Out1")}, nodes=out)

        def started():
            started = (tmp_path / "on").exists()
            if started:
                before(task)
            return started

        options = {"s3_endpoint_url": server.endpoint, "region_name": "us-east-1"}
        await interrupt(task, tmp_path, when=started, session=session, **options)
        listed = s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return sorted(entry["Key"] for entry in listed)

    return interrupted


async def test_a_canceled_task_has_logs_and_no_outputs(interrupted, stored):
    """What the command wrote until then is in S3, and nothing of it stays on the disk."""

    def cancel(task):
        task.canceled.happened = True

    assert await interrupted(cancel) == [f"{LOGS}/StdError", f"{LOGS}/StdOutput"]
    assert stored(LOGS)["/StdOutput"] == b"hi\n"


async def test_a_lost_task_uploads_nothing_after_its_deadline(interrupted, caplog):
    """Somebody else may write there already; a warning says so."""

    def lose(task):
        task.lost.happened = True
        task.deadline = 0

    assert await interrupted(lose) == []
    assert f"could not be copied to s3://{BUCKET}/{LOGS}/StdOutput" in caplog.text


async def test_an_interrupted_download_leaves_nothing(server, session, put, tmp_path):
    """Neither processes nor files, though data was on the way."""
    put(**{f"in/{number}": bytes(3_000_000) for number in range(12)})
    task = FakeTask(
        {"command": "sleep 1000", "stage": "true", "input": Ref("In1")},
        nodes=nodes("In", [directory("in")]),
    )
    options = {"s3_endpoint_url": server.endpoint, "region_name": "us-east-1"}
    when = lambda: list(tmp_path.rglob("input1/*"))  # noqa: E731
    await interrupt(task, tmp_path, when=when, session=session, **options)
    assert list((tmp_path / "work").iterdir()) == []


# What goes wrong


@pytest.mark.parametrize(
    "key", ["in/../../up", "in//etc/passwd", "in/a/./b", "in/..", "in/a//b", "in/../"]
)
async def test_no_key_leaves_the_staging_directory(run, put, key, tmp_path):
    """What would be no path below it fails the task, and is named."""
    put(**{"in/fine": b"", key: b"evil"})
    with pytest.raises(TaskFailed, match="can be no path below a directory") as caught:
        await run(inputs=[directory("in")], command="true")
    assert caught.value.error_id == "StagingFailed"
    assert f"s3://{BUCKET}/{key} " in str(caught.value)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("objects", "place", "words"),
    [
        ({}, file("missing"), "s3://data/missing could not be downloaded: NoSuchKey"),
        ({}, {"filePath": "s3://nobucket/k"}, "s3://nobucket/k could not be .*NoSuchBucket"),
        ({}, {"directoryPath": "s3://nobucket/k"}, "s3://nobucket/k/ could not be listed: NoSuchB"),
        (
            {},
            {"directoryPath": "s3://No Bucket/k"},
            "could not be listed: (?s:.*)Invalid bucket name",
        ),
        ({"in/a": b"", "in/a/b": b""}, directory("in"), "could not be downloaded: "),
        ({"in/" + "x" * 300: b""}, directory("in"), "could not be downloaded: File name too long"),
    ],
)
async def test_inputs_that_cannot_be_downloaded_fail_the_task(run, put, objects, place, words):
    """The message has the address and the reason; botocore's error is the cause only."""
    put(**objects)
    with pytest.raises(TaskFailed, match=words) as caught:
        await run(inputs=[place], command="true")
    assert caught.value.error_id == "StagingFailed"
    assert isinstance(caught.value.__cause__, Exception)


async def test_outputs_that_cannot_be_uploaded_fail_the_task(run):
    """A name that no key can have, or no bucket, though the command was fine."""
    command = "head -c 9000000 /dev/zero >$OUTPUT1_STAGING_DIR/big; echo >$OUTPUT1_STAGING_DIR/a"
    with pytest.raises(TaskFailed, match=r"s3://nobucket/out/.* could not be uploaded: NoSuchBuck"):
        await run(outputs=[{"directoryPath": "s3://nobucket/out"}], command=command)
    command = "touch $OUTPUT1_STAGING_DIR/$(printf '\\377')"
    with pytest.raises(TaskFailed, match="could not be uploaded"):
        await run(outputs=[directory("out")], command=command)


async def test_an_upload_in_parts_that_fails_leaves_no_parts(run, s3, monkeypatch):
    """Parts that nobody completes would be paid for."""
    failing = lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "Input/output error"))  # noqa: E731
    monkeypatch.setattr("aiodp.shell._parts.read_part", failing)
    command = f"head -c {2 * PART_BYTES} /dev/zero >$OUTPUT1_STAGING_DIR/big"
    with pytest.raises(TaskFailed, match="Input/output error"):
        await run(outputs=[directory("out")], command=command)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=BUCKET)


async def test_s3_that_is_down_fails_the_task(run, monkeypatch):
    """After four tries, between which botocore waits for longer and longer."""
    waits = []

    def no_wait(_, context):
        waits.append(context.attempt_number)
        return 0

    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", no_wait)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        options = {"s3_endpoint_url": f"http://127.0.0.1:{nobody.getsockname()[1]}"}
        with pytest.raises(TaskFailed, match="s3://data/in/ could not be listed") as caught:
            await run(inputs=[directory("in")], command="true", options=options)
    assert caught.value.error_id == "StagingFailed"
    assert waits == [1, 2, 3]


@pytest.mark.parametrize(
    ("node", "words"),
    [
        ({"type": "SqlDataNode"}, "In1 is a SqlDataNode; only S3DataNode"),
        ({}, "neither"),
        ({"filePath": "s3://b/k", "directoryPath": "s3://b/k"}, "both"),
        ({"manifestFilePath": "s3://b/k"}, "manifestFilePath is not supported"),
        ({"directoryPath": "hdfs://x"}, "not of the form s3://"),
        ({"filePath": "s3://b/k/"}, "names no file"),
        ({"filePath": "s3://b/.."}, "names no file"),
        ({"filePath": "s3://b"}, "no key in it"),
    ],
)
async def test_nodes_that_cannot_be_staged_fail_the_task(run, node, words):
    """A bad definition, which no retry mends."""
    with pytest.raises(TaskFailed, match=words) as caught:
        await run(inputs=[node], command="true")
    assert caught.value.error_id == "BadDefinition"


async def test_a_staged_output_must_be_a_directory(run):
    """Developer Guide, "Staging Data and Tables"."""
    with pytest.raises(TaskFailed, match="must have a directoryPath"):
        await run(outputs=[file("out")], command="true")


# Exists


@pytest.mark.parametrize(
    ("place", "answer"),
    [
        (file("here/a"), True),
        (file("here"), False),
        (file("here/"), None),
        (file("here/b"), False),
        (directory("here"), True),
        (directory("here/a"), False),
        (directory("there"), False),
    ],
)
async def test_exists(server, session, put, tmp_path, place, answer):
    """A file by its whole key; a directory if any key lies in it."""
    put(**{"here/a": b"", "here/ab": b""})
    task = FakeTask({"node": Ref("Node1")}, kind="Exists", nodes=nodes("Node", [place]))
    if answer is None:
        with pytest.raises(TaskFailed, match="names no file"):
            await work(task, tmp_path, session, server)
    else:
        assert await work(task, tmp_path, session, server) is answer


async def test_exists_needs_one_node(server, session, tmp_path):
    """What it guards is in the field `node`."""
    with pytest.raises(TaskFailed, match="guards 0 objects"):
        await work(FakeTask({}, kind="Exists"), tmp_path, session, server)
