"""The programs of the pages about runner, reporter, polls and `aiodp hold`, executed."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from acceptance.docs_kit import blocks, drained, environment, fences
from aiodp.testing import ServerKit, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNNER, *_ = blocks("docs/runner.md", "python")
[REPORTER] = blocks("docs/reporter.md", "python")
[LOOP] = blocks("docs/polling.md", "python")
[SHELL] = blocks("docs/shell.md", "python")
[SQL] = blocks("docs/sql.md", "python")
[HOLD] = blocks("docs/hold.md", "sh")
TWO_TYPES = {
    "objects": [
        {"id": "Default", "scheduleType": "ondemand", "workerGroup": "docs-runner"},
        {"id": "Source", "type": "S3DataNode", "filePath": "s3://bucket/key"},
        {"id": "Target", "type": "S3DataNode", "filePath": "s3://bucket/copy"},
        {"id": "Shell", "type": "ShellCommandActivity", "command": "echo hello"},
        {
            "id": "Copy",
            "type": "CopyActivity",
            "input": {"ref": "Source"},
            "output": {"ref": "Target"},
        },
    ]
}


@pytest.fixture(scope="module")
def server() -> Iterator[ServerKit]:
    """The local service, in real time, but for a poll that finds nothing."""
    with ServerKit(Settings(poll_hold=1.0)) as running:
        yield running


@pytest.mark.parametrize(
    "page", [f"docs/{name}.md" for name in ("reporter", "hold", "shell", "sql")]
)
def test_there_is_no_other_block(page):
    """A second one would be executed by nobody."""
    assert len(fences(page)) == 1


@pytest.mark.slow
def test_the_runner_does_its_tasks_until_it_is_drained(server, tmp_path):
    """It finishes a task of each type, and ends well at SIGTERM."""
    pipeline = server.pipeline(TWO_TYPES)
    script = tmp_path / "block.py"
    script.write_text(RUNNER)
    out = drained(script, server, pipeline, "docs-runner")
    assert "working on @Shell_" in out
    assert "echo hello" in out
    assert "from s3://bucket/key" in out


def test_the_reporter_runs_a_coroutine(server, connect, commands, tmp_path):
    """It sets the status, and the program says what the coroutine returned."""
    pipeline = server.activity("docs-reporter")
    task = connect(server).poll_for_task(workerGroup="docs-reporter")["taskObject"]
    script = tmp_path / "block.py"
    script.write_text(REPORTER)
    done = commands.run(task["taskId"], script=script, env=environment(server), timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("3 words, after ")
    server.assert_finished(pipeline)


@pytest.mark.slow
def test_a_loop_of_ones_own_finishes_its_task(server, commands, tmp_path):
    """It polls again after a poll without a task."""
    script = tmp_path / "block.py"
    script.write_text(LOOP)
    with commands.start("docs-loop", script=script, env=environment(server)) as running:
        try:
            polls = server.calls["PollForTask", "ok"]
            server.wait_until(lambda: server.calls["PollForTask", "ok"] > polls)
            server.wait_finished(server.activity("docs-loop"), timeout=60)
        finally:
            running.kill()


@pytest.mark.slow
def test_poll_and_hold(server):
    """The shell block gets a task, keeps it and sets its status."""
    variables = environment(server) | {"WORKER_GROUP": "docs-hold"}
    pipeline = server.activity("docs-hold")
    command = ["bash", "-euc", HOLD]
    subprocess.run(command, env=variables, timeout=60, check=True)
    server.assert_finished(pipeline)


@pytest.mark.slow
@pytest.mark.parametrize("program", [SHELL, SQL], ids=["shell", "sql"])
def test_the_handlers_of_shell_commands_run_them(server, connect, tmp_path, program):
    """Both programs do a shell command; the output of the first one is elsewhere in this test."""
    connect(server, "s3").create_bucket(Bucket="my-logs")
    script = tmp_path / "block.py"
    script.write_text(program.replace("/var/lib/runner", str(tmp_path / "output")))
    pipeline = server.activity("my-group", command="echo hello")
    drained(script, server, pipeline, cwd=tmp_path)
    [output] = (tmp_path / "output").rglob("StdOutput")
    assert output.read_text() == "hello\n"
