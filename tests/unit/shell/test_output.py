"""What a command writes is kept, up to a limit, and holds up nothing."""

from __future__ import annotations

import os
import stat
import tracemalloc
from pathlib import Path

import pytest

from aiodp import TaskFailed
from unit.shell.kit import FakeTask, handle, logs

pytestmark = pytest.mark.anyio


async def test_output_which_is_no_text_is_kept_as_it_is(run, tmp_path):
    """The files have the bytes of the command."""
    await run(command="printf '\\377\\000\\376'")
    assert (logs(tmp_path) / "StdOutput").read_bytes() == b"\xff\0\xfe"


async def test_only_its_user_may_read_what_a_task_has_written(run, tmp_path):
    """Whatever the umask: folders are 0700, files 0600, also a copy that the task asks for."""
    before = os.umask(0)
    try:
        await run(command="echo out; echo err >&2", stdout="copies/out", workerGroup="wg")
    finally:
        os.umask(before)
    written = [path for path in tmp_path.rglob("*") if path.name != "work"]
    assert {path.name for path in written} >= {"StdOutput", "StdError", "out", "copies", "logs"}
    for path in written:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


async def test_an_output_folder_that_others_can_change_fails_the_task(run, tmp_path):
    """Its message names the folder and what to do; the command is not run."""
    tmp_path.chmod(0o777)
    with pytest.raises(TaskFailed, match="choose a folder that only you can change") as caught:
        await run(command="true")
    assert caught.value.error_id == "LocalFailed"
    assert str(tmp_path) in str(caught.value)
    assert not list(tmp_path.iterdir())


async def test_output_far_beyond_the_limit_holds_up_nothing(run, tmp_path):
    """Neither the disk nor the memory grows with it, and the command is not told."""
    limit = 1000
    tracemalloc.start()
    try:
        command = "head -c 200000000 /dev/zero && echo done >&2"
        assert await run(command=command, options={"max_output": limit}) is True
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()
    kept, last = (logs(tmp_path) / "StdOutput").read_bytes()[:limit], b"199,999,000 bytes more"
    assert kept == bytes(limit)
    rest = (logs(tmp_path) / "StdOutput").read_bytes()[limit:]
    assert last in rest
    assert rest.count(b"\n") == 2
    assert (logs(tmp_path) / "StdError").read_text() == "done\n"


async def test_output_of_just_the_limit_is_whole(run, stdout):
    """No line says that anything is missing."""
    await run(command="printf 12345", options={"max_output": 5})
    assert stdout() == "12345"


async def test_a_full_disk_fails_the_task_once_the_command_is_through(tmp_path):
    """The command is not blocked by output that cannot be kept; the task says what happened."""
    task = FakeTask({"command": f"head -c 1000000 /dev/zero; echo through >{tmp_path}/through"})

    def full(places, name):
        return Path("/dev/full") if name == "StdOutput" else places.logs / name

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aiodp.shell._paths.Paths.stream", full)
        patch.setattr("pathlib.Path.unlink", lambda *_, **__: None)  # not the device
        with pytest.raises(TaskFailed, match="No space left on device") as caught:
            await handle(task, tmp_path)
    assert caught.value.error_id == "LocalFailed"
    assert (tmp_path / "through").read_text() == "through\n"


async def test_an_output_directory_that_cannot_be_made_fails_the_task(tmp_path):
    """An error of the machine is one of the task, and a clear one."""
    (tmp_path / "file").write_text("")
    with pytest.raises(TaskFailed, match="Not a directory") as caught:
        await handle(FakeTask({"command": "true"}), tmp_path / "file" / "below")
    assert caught.value.error_id == "LocalFailed"


async def test_too_long_a_command_line_fails_the_task(run):
    """The system's limit is said in its own words."""
    with pytest.raises(TaskFailed, match="Argument list too long"):
        await run(command="true", scriptArgument="x" * 10_000_000)
