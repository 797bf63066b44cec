"""What limits how many tasks a runner works on at once."""

from __future__ import annotations

from contextlib import suppress

import anyio
import pytest

from aiodp._runner.handlers import Activity, Limits

pytestmark = pytest.mark.anyio


async def test_a_permit_is_released_once():
    """At the end of its block or before, but never twice, and only if it was acquired."""
    limits = Limits(1)
    with limits.task_permit() as permit:
        await permit.acquire()
        permit.release_early()
        permit.release_early()
        with anyio.fail_after(1):
            await limits.task_permit().acquire()
    with limits.task_permit():
        pass
    with pytest.raises(TimeoutError), anyio.fail_after(1):
        await limits.task_permit().acquire()


async def test_a_block_that_fails_releases_its_permit():
    """Whatever ends it."""
    limits = Limits(1)
    for _ in range(2):
        with suppress(ValueError), limits.task_permit() as permit:
            with anyio.fail_after(1):
                await permit.acquire()
            raise ValueError("bad luck")


async def test_the_limits_do_not_share_permits():
    """Tasks, further evaluations of preconditions, and each type with a limit have their own."""
    limits = Limits(1)
    few, others = (Activity(handler=print, limit=1) for _ in range(2))
    for permit in (
        limits.task_permit(),
        limits.recheck_permit(),
        limits.type_permit(few),
        limits.type_permit(others),
    ):
        assert permit is not None
        with anyio.fail_after(1):
            await permit.acquire()
    again = limits.type_permit(few)
    assert again is not None
    with pytest.raises(TimeoutError), anyio.fail_after(1):
        await again.acquire()
    assert limits.type_permit(Activity(handler=print)) is None
    assert limits.threads.total_tokens == 2  # a task, and a further evaluation
