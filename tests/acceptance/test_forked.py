"""A forked child inherits a reporter, but not the event loop that keeps its tasks alive."""

from __future__ import annotations

import pytest

from acceptance.support import kept_environment

SCRIPT = """
import asyncio, os, sys, warnings
from aiobotocore.session import get_session
from aiodp import ProgressReporter, ReporterClosed, TaskStatus
from aiodp.testing import MemoryService

async def child(reporter, block, task, task_id):
    for name, use in {
        "track": lambda: reporter.track(task_id).__aenter__(),
        "report": task.report,
        "wait": task.canceled.wait,
        "set_status": lambda: task.set_status(TaskStatus.FINISHED),
        "is_set": lambda: asyncio.to_thread(task.canceled.is_set),
        "state": lambda: asyncio.to_thread(lambda: task.state),
        "update": lambda: asyncio.to_thread(task.update, a=1),
        "raise_if_ended": lambda: asyncio.to_thread(task.raise_if_ended),
    }.items():
        try:
            await asyncio.wait_for(use(), 30)
        except ReporterClosed as error:
            print(name, error, flush=True)
    for opened in (block, reporter):
        print("left", await asyncio.wait_for(opened.__aexit__(None, None, None), 30), flush=True)

async def main():
    memory = MemoryService()
    task_id, another = memory.assign(2)
    session, own_thread = memory.attach(get_session()), len(sys.argv) > 1
    async with ProgressReporter(session, own_thread=own_thread) as reporter:
        async with (block := reporter.track(task_id)) as task:
            if not (pid := os.fork()):
                try:
                    asyncio.run(child(reporter, block, task, another))
                finally:
                    os._exit(0)
            await asyncio.to_thread(os.waitpid, pid, 0)
            print(await task.report(), task.state.value, flush=True)

warnings.simplefilter("ignore")  # that to fork beside threads is dangerous
asyncio.run(main())
"""


@pytest.mark.parametrize("arguments", [[], ["own thread"]], ids=["same loop", "own thread"])
def test_in_a_forked_child_everything_of_a_reporter_raises_at_once(arguments, commands, tmp_path):
    """Whoever waits there would wait for ever, and what is read there is of the past.

    Leaving its blocks does nothing: neither thread nor engine is there to be waited for.
    """
    script = tmp_path / "fork.py"
    script.write_text(SCRIPT)
    ran = commands.run(*arguments, script=script, env=kept_environment(), timeout=60)
    *told, left_track, left_reporter, end = ran.stdout.splitlines()
    names = ["track", "report", "wait", "set_status", "is_set", "state", "update", "raise_if_ended"]
    assert [line.split()[0] for line in told] == names, ran.stderr
    assert all("of which this one was forked" in line for line in told)
    assert left_track == left_reporter == "left None"
    assert end == "False held"
