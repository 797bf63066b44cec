"""What the shell handler does with a command."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiodp import TaskFailed
from aiodp.shell import CommandFailed
from unit.shell.kit import ATTEMPT, logs

pytestmark = pytest.mark.anyio


@pytest.fixture
def stderr(tmp_path):
    return (logs(tmp_path) / "StdError").read_text


async def test_success_is_true_and_both_streams_are_kept(run, stdout, stderr, tmp_path):
    """Exit code 0 finishes the task; StdOutput and StdError lie where Task Runner puts them."""
    assert await run(command="echo out; echo err >&2") is True
    assert (stdout(), stderr()) == ("out\n", "err\n")
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("echo oops >&2; exit 3", 3, "failed with exit code 3; the end of its stderr:\noops"),
        ("kill -9 $$", -9, "was killed by SIGKILL; it wrote nothing to stderr"),
        ("kill -40 $$", -40, "was killed by signal 40"),
        ("no-such-command", 127, "not found"),
    ],
)
async def test_a_failure_names_the_exit_code_or_the_signal(run, command, code, words):
    """The exit code or the signal's name, and the end of stderr."""
    with pytest.raises(CommandFailed, match=words) as caught:
        await run(command=command)
    assert caught.value.returncode == code
    assert caught.value.error_id == "CommandFailed"
    assert isinstance(caught.value, TaskFailed)


async def test_a_failure_shows_only_the_end_of_a_long_stderr(run):
    """1,024 bytes of it, whatever they are."""
    with pytest.raises(CommandFailed) as caught:
        await run(command="head -c 100000 /dev/zero | tr '\\0' '\\377' >&2; echo last >&2; exit 1")
    trace = caught.value.error_stack_trace
    assert trace is not None
    assert trace.endswith("last")
    assert len(trace) <= 1024


@pytest.mark.parametrize(
    ("command", "answer"), [("true", True), ("false", False), ("exit 127", False)]
)
async def test_a_precondition_holds_if_the_exit_code_is_0(run, command, answer):
    """Any other exit code is the answer FALSE, not a failure."""
    assert await run(kind="ShellCommandPrecondition", command=command) is answer


async def test_a_precondition_that_is_killed_has_failed(run):
    """Nobody knows its answer."""
    with pytest.raises(CommandFailed, match="SIGTERM"):
        await run(kind="ShellCommandPrecondition", command="kill -TERM $$")


async def test_arguments_are_positional_and_not_split(run, stdout):
    """Each scriptArgument is one parameter, whatever is in it."""
    await run(
        command='for one in "$@"; do echo "[$one]"; done', scriptArgument=["a b", "$HOME", "", "é"]
    )
    assert stdout() == "[a b]\n[$HOME]\n[]\n[é]\n"


async def test_a_command_of_100_kb_is_run_with_its_line_ends_unchanged(run, stdout):
    """The text goes through a file, unchanged: neither its length nor CRLF matters to us."""
    assert await run(command=f": {'x' * 100_000}\necho 'a\r\nb'") is True
    assert stdout() == "a\r\nb\n"


async def test_stdin_is_empty(run, stdout):
    """A command that reads gets nothing, and hangs on nothing."""
    await run(command="cat; echo end")
    assert stdout() == "end\n"


async def test_no_descriptor_of_ours_is_handed_on(run, stdout):
    """Only the three that every process has; the fourth is the directory that is listed."""
    await run(command="ls /proc/self/fd")
    assert stdout() == "0\n1\n2\n3\n"


async def test_the_working_directory_is_its_own_and_is_removed(run, stdout, tmp_path):
    """Empty at the start, below the output, removed at the end even if it is protected."""
    command = "pwd; ls -A; mkdir -p a/b; chmod 0 a/b a"
    await run(command=command)
    [where] = stdout().splitlines()
    assert Path(where).is_relative_to(tmp_path / "work")
    assert not list(tmp_path.glob("work/*"))


async def test_keep_work_leaves_the_working_directory(run, stdout, tmp_path):
    """With keep_work, to look at it."""
    await run(command="pwd; touch trace", options={"keep_work": True})
    assert list(tmp_path.rglob("trace")) == [Path(stdout().strip(), "trace")]


async def test_the_environment_is_clean(run, stdout, monkeypatch):
    """Ours is not handed on but for a few variables and AWS's own; the ids are added."""
    monkeypatch.setenv("SECRET_OF_OURS", "1")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("LC_TIME", "C")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    await run(command="env", options={"environment": {"MINE": "a=b\nc"}})
    lines = stdout().splitlines()
    assert {"AWS_REGION=eu-west-1", "LC_TIME=C", "MINE=a=b", "AIODP_PIPELINE_ID=df-1"} <= {*lines}
    assert f"AIODP_ATTEMPT_ID={ATTEMPT}" in lines
    assert not [line for line in lines if line.startswith(("SECRET", "PYTHON", "PYTEST"))]
