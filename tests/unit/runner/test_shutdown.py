"""How a runner ends: the steps, and who hears of them."""

from __future__ import annotations

import pytest

from aiodp._runner.shutdown import Shutdown, Step
from aiodp.testing import VirtualTimeLoop

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio", {"loop_factory": VirtualTimeLoop}


@pytest.fixture
async def shutdown(anyio_backend):
    opened = Shutdown()
    opened.open()
    return opened


async def test_each_step_is_reached_once_and_in_order(shutdown):
    """Also the ones that are passed over; one that was reached before is not gone back to."""
    seen: list[Step] = []
    shutdown.on_step(seen.append)
    assert seen == []
    shutdown.reach(Step.CANCELING)
    assert seen == [Step.DRAINING, Step.CANCELING]
    for step in (Step.CANCELING, Step.DRAINING, Step.RUNNING):
        shutdown.reach(step)
    assert shutdown.step is Step.CANCELING
    shutdown.reach(Step.ABANDONING)
    assert seen == [Step.DRAINING, Step.CANCELING, Step.ABANDONING]
    for step in Step:
        if step is not Step.RUNNING:
            await shutdown.wait(step)


async def test_who_comes_late_hears_of_the_steps_that_were_reached(shutdown):
    """Of them all, in their order, and not of the others."""
    seen: list[Step] = []
    shutdown.reach(Step.CANCELING)
    shutdown.on_step(seen.append)
    assert seen == [Step.DRAINING, Step.CANCELING]


async def test_a_block_that_is_begun_late_is_interrupted_as_well(shutdown):
    """The runner may have ended by itself before there was a block to interrupt."""
    seen: list[str] = []
    shutdown.on_end_by_itself(lambda: seen.append("early"))
    assert seen == []
    shutdown.end_by_itself(Step.DRAINING)
    assert seen == ["early"]
    shutdown.on_end_by_itself(lambda: seen.append("late"))
    assert seen == ["early", "late"]
    assert shutdown.step is Step.DRAINING


async def test_a_stop_of_the_program_interrupts_no_block(shutdown):
    """It knows itself that the runner ends."""
    seen: list[str] = []
    shutdown.reach(Step.CANCELING)
    shutdown.on_end_by_itself(lambda: seen.append("interrupted"))
    assert seen == []


@pytest.mark.parametrize(
    "steps", [(Step.DRAINING, Step.CANCELING), (Step.CANCELING, Step.DRAINING)]
)
async def test_what_is_asked_before_the_start_is_reached_at_the_start(steps):
    """The furthest of it."""
    early = Shutdown()
    for step in steps:
        early.ask(step)
    assert not early.is_draining
    early.open()
    assert early.step is Step.CANCELING
