"""Whom an interruption interrupts, and when it does no more; `interrupt` is one made by hand."""

from __future__ import annotations

import anyio
import pytest

from aiodp import TaskStatus
from aiodp._reporter.interruption import Interruption
from aiodp.testing import VIRTUAL_TIME

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    """Asyncio on a clock that jumps."""
    return VIRTUAL_TIME


class Interrupt:
    """Notes when it is called."""

    def __init__(self, *, unheard=False):
        self._unheard = unheard
        self.first: list[float] = []
        self.later: list[float] = []

    def __call__(self):
        """Interrupt the work."""
        self.first.append(anyio.current_time())

    def is_unheard(self):
        """Return whether it waits where it was interrupted."""
        return self._unheard

    def again(self):
        """Interrupt it once more."""
        self.later.append(anyio.current_time())


def cancel(record):
    """Cancel the task in the service."""
    record.cancel()
    record.on_change()


async def test_work_whose_task_has_ended_before_it_begins_is_interrupted_at_once(record):
    """As when the engine in its thread heard that just now."""
    cancel(record)
    interrupt = Interrupt()
    with Interruption(record, interrupt):
        assert len(interrupt.first) == 1


async def test_work_is_interrupted_once_by_each_end(record):
    """However often the record changes after it."""
    interrupt = Interrupt()
    with Interruption(record, interrupt):
        cancel(record)
        record.on_change()
    assert len(interrupt.first) == 1


async def test_after_the_block_nothing_is_interrupted(record):
    """What is canceled while the task is being left is no work any more."""
    interrupt = Interrupt(unheard=True)
    with Interruption(record, interrupt):
        pass
    cancel(record)
    await anyio.sleep(2000)
    assert (interrupt.first, interrupt.later) == ([], [])


async def test_the_end_of_the_block_ends_the_repetitions(record, caplog):
    """And the work is not named."""
    interrupt = Interrupt(unheard=True)
    with Interruption(record, interrupt):
        cancel(record)
    await anyio.sleep(2000)
    assert interrupt.later == []
    assert not caplog.messages


@pytest.mark.parametrize(
    ("status", "acknowledged", "told"),
    [(None, False, True), (TaskStatus.FINISHED, False, False), (TaskStatus.FINISHED, True, True)],
)
async def test_work_whose_status_is_on_the_way_is_left_alone(
    record, caplog, status, acknowledged, told
):
    """It neither hears it again nor is it named, until that has an end."""
    interrupt = Interrupt(unheard=True)
    with Interruption(record, interrupt):
        cancel(record)
        record.status, record.status_acknowledged = status, acknowledged
        await anyio.sleep(61)
        assert len(interrupt.later) == (7 if told else 0)
        assert len(caplog.messages) == told
        record.status, record.status_acknowledged = None, False
        await anyio.sleep(60)
        assert interrupt.later


async def test_work_that_has_heard_it_is_told_again_after_15_minutes_only(record):
    """Wherever it is then; at intervals of 10 minutes at most."""
    began = anyio.current_time()
    interrupt = Interrupt()
    with Interruption(record, interrupt):
        cancel(record)
        await anyio.sleep(3700)
    assert [at - began for at in interrupt.later] == pytest.approx(
        [900, 1500, 2100, 2700, 3300], abs=0.1
    )


async def test_what_nothing_can_interrupt_is_named_only(record, caplog):
    """A thread."""
    with Interruption(record, None):
        cancel(record)
        await anyio.sleep(59)
        assert not caplog.messages
        await anyio.sleep(2000)
    [warning] = caplog.records
    assert warning.getMessage().startswith("task task (canceled): its work goes on 60 s after")
    assert (warning.state, warning.seconds) == ("canceled", 60.0)
