"""Calls that always take longer than `attempt_timeout`: it is said what to set."""

from __future__ import annotations

import logging

import pytest

from aiodp import LeaseLost

pytestmark = pytest.mark.anyio

ADVICE = "3 calls or more in a row were not answered within attempt_timeout (10 s)"
SLOW = 6.0  # seconds each way: a call takes 12


async def test_calls_that_take_longer_than_an_attempt_may(service, client_reporter, caplog):
    """One warning for all tasks says what to set, and so does the error of each."""
    service.latency = SLOW
    async with client_reporter() as reporter:
        for task_id in service.assign(2):
            with pytest.raises(LeaseLost, match="did not acknowledge it in time") as lost:
                async with reporter.track(task_id):
                    pytest.fail("the body must not begin")
            assert ADVICE in str(lost.value)
            assert "--attempt-timeout of aiodp run" in str(lost.value)
    [warning] = [record for record in caplog.records if ADVICE in record.getMessage()]
    assert warning.levelno == logging.WARNING
    assert warning.attempt_timeout == 10


async def test_what_is_to_be_set_helps(service, client_reporter, caplog):
    """With a longer `attempt_timeout` the same calls keep the task."""
    service.latency = SLOW
    async with client_reporter(attempt_timeout=20) as reporter:
        [task_id] = service.assign()
        async with reporter.track(task_id):
            pass
    assert not caplog.records


async def test_a_few_calls_without_an_answer_are_no_slowness(service, client_reporter, caplog):
    """Nothing is advised after two of them."""
    service.latency = SLOW
    async with client_reporter() as reporter:
        [task_id] = service.assign()

        def quicker() -> float:
            calls.append(None)
            return SLOW if len(calls) <= 2 else 0.0

        calls: list[None] = []
        service.latency = quicker
        async with reporter.track(task_id):
            pass
    assert len(calls) > 2
    assert "attempt_timeout" not in caplog.text
