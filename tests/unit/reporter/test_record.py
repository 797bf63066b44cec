"""What the reporter keeps of a task: when its work must stop, and who waits for that."""

from __future__ import annotations

import anyio
import pytest

from aiodp import LeaseState, LostReason, TaskStatus


def is_interrupted(record):
    """Return whether a change of the record interrupts its work."""
    interruptions: list[bool] = []
    record.interrupt = lambda: interruptions.append(True)
    record.on_change()
    assert record.end_seen is bool(interruptions)
    return bool(interruptions)


def test_work_on_a_task_that_is_held_goes_on(record):
    """Whatever else changes."""
    assert not is_interrupted(record)


@pytest.mark.parametrize("end", ["cancel", "lose"])
def test_work_stops_when_its_task_ends(record, end):
    """Canceled by the service, or lost."""
    record.cancel() if end == "cancel" else record.lose(LostReason.EXPIRED)
    assert is_interrupted(record)


def test_work_whose_status_is_on_the_way_outlasts_a_lease_that_ran_out_here(record):
    """The service may still take it; not once that has ended the lease, or is done with it."""
    record.status = TaskStatus.FINISHED
    record.lose(LostReason.EXPIRED)
    assert not is_interrupted(record)
    record.reporting_stopped = True
    assert is_interrupted(record)


def test_work_whose_status_is_on_the_way_stops_when_the_task_is_canceled(record):
    """No status of it is taken any more."""
    record.status = TaskStatus.FINISHED
    record.cancel()
    assert is_interrupted(record)


def test_work_whose_status_was_taken_is_not_interrupted(record):
    """Though the lease had run out before."""
    record.status, record.status_acknowledged = TaskStatus.FINISHED, True
    record.lose(LostReason.EXPIRED)
    record.reporting_stopped = True
    assert not is_interrupted(record)


@pytest.mark.parametrize("missing", [None, "lost", "stopped", "sent", "acknowledged"])
def test_a_task_is_in_doubt_if_a_status_without_an_answer_may_have_ended_it(record, missing):
    """And only then."""
    if missing != "lost":
        record.lose(LostReason.EXPIRED)
    record.reporting_stopped = missing != "stopped"
    record.status_in_doubt = None if missing == "sent" else TaskStatus.FINISHED
    record.status_acknowledged = missing == "acknowledged"
    assert record.ended_in_doubt is (missing is None)


@pytest.mark.anyio
async def test_all_who_wait_for_a_change_look_at_it(record):
    """And go on waiting if it is not theirs."""
    ended = []

    async def wait_for(state):
        await record.wait_until(lambda record: record.state is state)
        ended.append(state)

    async with anyio.create_task_group() as group:
        for state in (LeaseState.CANCELED, LeaseState.CANCELED, LeaseState.HELD):
            group.start_soon(wait_for, state)
        await anyio.wait_all_tasks_blocked()
        assert ended == [LeaseState.HELD]
        record.on_change()
        await anyio.wait_all_tasks_blocked()
        assert ended == [LeaseState.HELD]
        record.cancel()
        record.on_change()
    assert len(ended) == 3
