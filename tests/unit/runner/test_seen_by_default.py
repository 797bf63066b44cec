"""What a program that configures no logging sees of a handler that fails."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import asyncio
from aiobotocore.session import get_session
from aiodp import TaskRunner
from aiodp.testing import MemoryKit, VirtualTimeLoop

async def main():
    kit = MemoryKit()
    kit.activity("workers")
    runner = TaskRunner(kit.attach(get_session()), worker_group="workers")

    @runner.activity("ShellCommandActivity")
    async def shell(task):
        raise ValueError("no such column")

    await runner.run(max_tasks=1)

with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
    runner.run(main())
"""


def test_a_failing_handler_is_on_stderr_with_its_traceback(tmp_path):
    """Without a single line of configuration, by the last resort of Python's logging."""
    program = tmp_path / "worker.py"
    program.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, check=True, timeout=60
    )
    first, second, *_, last = done.stderr.splitlines()
    assert first.startswith("ShellCommandActivity @")
    assert " of df-" in first
    assert first.endswith(": FAILED: ValueError: no such column")
    assert second == "Traceback (most recent call last):"
    assert f'File "{program}", line ' in done.stderr
    assert last == "ValueError: no such column"
