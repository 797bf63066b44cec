"""What a runner makes of the answers to the status of a task, and of what its attempt shows."""

from __future__ import annotations

import logging

import anyio
import pytest

from aiodp import (
    CallFailed,
    LeaseLost,
    LostReason,
    RunEnd,
    StatusNotSet,
    TaskCanceled,
    TaskStatus,
)
from aiodp._core.objects import parse_object, read_assignment
from aiodp._core.text import shorten
from aiodp._runner.result import Failed, Succeeded
from aiodp._runner.status import ask_status, set_status
from aiodp.testing import VirtualTimeLoop

pytestmark = pytest.mark.anyio

ATTEMPT = "@A_2026-01-01T00:00:00_Attempt=1"
TASK_ID = "a-task-id-that-is-longer-than-logs-show-it"
ASSIGNMENT = read_assignment(
    {
        "taskId": TASK_ID,
        "pipelineId": "df-1",
        "attemptId": ATTEMPT,
        "objects": {ATTEMPT: {"id": ATTEMPT, "fields": []}},
    },
    0.0,
)


@pytest.fixture
def anyio_backend():
    return "asyncio", {"loop_factory": VirtualTimeLoop}


class FakeTask:
    """A task whose status is answered by an error or not, and whose attempt has these fields."""

    task_id = TASK_ID
    attempt_id = ATTEMPT

    def __init__(self, *, error=None, delay=0.0, **fields):
        self.statuses = []
        self._error = error
        self._delay = delay
        self._fields = fields

    async def set_status(self, status, **members):
        self.statuses.append((status, members))
        if self._error is not None:
            raise self._error

    async def describe(self, ids, *, evaluate_expressions=True):
        assert list(ids) == [ATTEMPT]
        if evaluate_expressions:
            raise CallFailed("an expression of the attempt cannot be evaluated")
        await anyio.sleep(self._delay)
        values = {"@" + key if key == "status" else key: self._fields[key] for key in self._fields}
        fields = [{"key": key, "stringValue": value} for key, value in values.items()]
        yield parse_object({"id": ATTEMPT, "fields": fields})


def fake_task(**options):
    return FakeTask(**options)


FINISHED = Succeeded(TaskStatus.FINISHED)
FALSE = Succeeded(TaskStatus.FALSE)
FAILED = Failed(ValueError("bad luck"))


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (None, RunEnd.FINISHED),
        (LeaseLost("lost", task_id=TASK_ID, reason=LostReason.REFUSED), RunEnd.LOST),
        (TaskCanceled("canceled", task_id=TASK_ID), RunEnd.CANCELED),
        (StatusNotSet("it was not acknowledged"), RunEnd.NO_STATUS),
    ],
)
async def test_the_answer_to_a_status_is_the_end_of_the_task(error, end):
    """A task may be lost or canceled while its status is on the way."""
    task = fake_task(error=error)
    assert await set_status(task, ASSIGNMENT, FINISHED) is end
    assert task.statuses == [(TaskStatus.FINISHED, {})]


async def test_a_failure_is_told_with_its_error():
    """The members that SetTaskStatus has for that."""
    task = fake_task()
    assert await set_status(task, ASSIGNMENT, FAILED) is RunEnd.FAILED
    [(status, members)] = task.statuses
    assert status is TaskStatus.FAILED
    assert (members["error_id"], members["error_message"]) == ("ValueError", "bad luck")


@pytest.mark.parametrize(
    ("shown", "result", "end"),
    [
        ({"status": "FINISHED"}, FINISHED, RunEnd.FINISHED),
        ({"status": "FINISHED"}, FAILED, RunEnd.LOST),
        ({"status": "CANCELED"}, FINISHED, RunEnd.CANCELED),
        ({"status": "CASCADE_FAILED"}, FINISHED, RunEnd.LOST),
        ({"status": "TIMEDOUT"}, FINISHED, RunEnd.LOST),
        ({"status": "RUNNING"}, FINISHED, RunEnd.IN_DOUBT),
        ({}, FINISHED, RunEnd.IN_DOUBT),
        ({"status": "FAILED"}, FINISHED, RunEnd.LOST),
        ({"status": "FAILED"}, FALSE, RunEnd.IN_DOUBT),
        ({"status": "FAILED", "errorId": "ValueError"}, FAILED, RunEnd.FAILED),
        ({"status": "FAILED", "errorId": "OtherError"}, FAILED, RunEnd.LOST),
        ({"status": "FAILED"}, FAILED, RunEnd.LOST),
    ],
)
async def test_the_end_of_a_task_in_doubt_is_what_its_attempt_shows(shown, result, end, caplog):
    """An attempt that fell silent is FAILED as well, but not by the error that was sent."""
    asked = await ask_status(fake_task(**shown), ASSIGNMENT, result.status, result)
    assert asked is end
    [record] = caplog.records
    said = record.getMessage()
    assert said.startswith(f"task {shorten(TASK_ID)}: status {result.status} was sent")
    if end is RunEnd.IN_DOUBT:
        assert record.levelno == logging.ERROR
        assert f"may be set; look at {ATTEMPT}: it is {shown.get('status')}" in said
    else:
        assert record.levelno == logging.WARNING
        assert said.endswith(f"the attempt says that it is {shown['status']}")


async def test_a_failure_that_the_handler_did_not_raise_cannot_be_told_from_silence():
    """It has sent FAILED itself, with an error that is not known here, and then returned."""
    task = fake_task(status="FAILED", errorId="Own")
    assert await ask_status(task, ASSIGNMENT, TaskStatus.FAILED, FINISHED) is RunEnd.IN_DOUBT


@pytest.mark.parametrize(("delay", "end"), [(9.5, RunEnd.FINISHED), (10.5, RunEnd.IN_DOUBT)])
async def test_the_question_has_ten_seconds(delay, end):
    """With its retries; the runner goes on then."""
    task = fake_task(status="FINISHED", delay=delay)
    assert await ask_status(task, ASSIGNMENT, TaskStatus.FINISHED, FINISHED) is end


async def test_a_runner_that_is_canceled_waits_for_the_answer():
    """Else nobody would know what has become of the task."""
    ends = []
    with anyio.move_on_after(1):
        task = fake_task(status="FINISHED", delay=5)
        ends.append(await ask_status(task, ASSIGNMENT, TaskStatus.FINISHED, FINISHED))
    assert ends == [RunEnd.FINISHED]
    assert anyio.current_time() == pytest.approx(5)
