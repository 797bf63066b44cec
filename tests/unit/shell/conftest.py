"""Fixtures of the shell handler's tests, which run on asyncio and on trio."""

from __future__ import annotations

import pytest

from unit.shell.kit import FakeTask, handle, logs


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


@pytest.fixture
def run(tmp_path):
    """Runs a task of these fields; its output is below `tmp_path`."""

    async def run(*, kind="ShellCommandActivity", options=None, **fields):
        return await handle(FakeTask(fields, kind=kind), tmp_path, **(options or {}))

    return run


@pytest.fixture
def stdout(tmp_path):
    return lambda: (logs(tmp_path) / "StdOutput").read_bytes().decode()
