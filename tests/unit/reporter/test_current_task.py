"""What code that runs inside `run` is about, and code after it is not."""

from __future__ import annotations

import anyio
import pytest

from aiodp import current_task
from aiodp._core.text import shorten
from aiodp._log import logger
from aiodp.testing import MemoryService
from virtual.fake_transport import FakeReporter

pytestmark = pytest.mark.anyio


async def test_what_is_logged_is_about_the_task_whose_work_runs(caplog):
    """Afterwards it is about the one before, or none, and that is the current task again."""
    service = MemoryService(clock=anyio.current_time)
    outer, inner = service.assign(2)

    def logged():
        logger.warning("a message")
        return getattr(caplog.records[-1], "task", None)

    async def inner_work():
        assert current_task().task_id == inner
        assert logged() == shorten(inner)

    async def outer_work():
        await reporter.run(inner, inner_work)
        assert current_task().task_id == outer
        assert logged() == shorten(outer)

    async with FakeReporter(service) as reporter:
        await reporter.run(outer, outer_work)
        assert logged() is None
        with pytest.raises(LookupError):
            current_task()
