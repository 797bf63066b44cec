"""What a runner logs of tasks that failed: seen by default, with what helps to find the fault."""

from __future__ import annotations

import hashlib
import logging

import anyio
import anyio.to_thread
import pytest

from aiodp import LeaseLost, TaskFailed
from aiodp._core.text import shorten, task_extra
from aiodp._log import logger
from aiodp._redaction import remember
from aiodp.testing import Fault, FaultKind
from virtual.kit import block
from virtual.runner_kit import running

pytestmark = pytest.mark.anyio

REPORT = frozenset({"ReportTaskProgress"})


async def failures_of(kit, runner, caplog, handler):
    """Execute one task; return the records at WARNING or above about its end."""
    kit.activity()
    async with running(runner(handler), max_tasks=1) as one:
        while not one.statistics().ended:
            await anyio.sleep(1)
    return [record for record in caplog.records if "status" in vars(record) and record.levelno > 20]


@pytest.mark.parametrize("in_thread", [False, True])
async def test_a_handler_that_raises_is_a_warning_with_its_traceback(
    kit, runner, caplog, in_thread
):
    """It names type, attempt and pipeline, and the line that raised."""

    def fail(_task):
        raise ValueError("no such column")

    async def handler(task):
        fail(task)

    [record] = await failures_of(kit, runner, caplog, fail if in_thread else handler)
    assert record.levelno == logging.WARNING
    message = record.getMessage()
    assert record.pipeline in message
    assert record.attempt in message
    assert "_Attempt=1" in message
    assert f"(task {record.task}): FAILED: ValueError: no such column" in message
    assert record.error == "ValueError: no such column"
    assert 'raise ValueError("no such column")' in record.exc_text
    assert isinstance(record.exc_info[1], ValueError)


async def test_where_the_output_is_may_be_noted_at_the_exception(kit, runner, caplog):
    """`add_note`, as every traceback shows it; a `TaskFailed` of the handler has one, too."""

    async def handler(_task):
        error = TaskFailed("the model diverged", error_id="Diverged")
        error.add_note("its output is in /var/log/model")
        raise error

    [record] = await failures_of(kit, runner, caplog, handler)
    assert "Diverged: the model diverged\nits output is in /var/log/model" in record.getMessage()
    assert "raise error" in record.exc_text


async def test_a_failure_that_the_package_itself_explains_has_no_traceback(kit, runner, caplog):
    """Nobody is to read the package's own lines because a handler returned False."""
    [record] = await failures_of(kit, runner, caplog, lambda _task: False)
    assert record.levelno == logging.WARNING
    assert record.exc_info is None


async def test_nor_has_a_task_without_a_handler(kit, runner, caplog):
    """What is to be done stands in the message."""
    kit.activity()
    one = runner()
    one.activity("CopyActivity")(lambda _task: None)
    await one.run(max_tasks=1)
    [record] = caplog.records
    assert "no handler for ShellCommandActivity" in record.getMessage()
    assert record.exc_info is None


async def test_what_the_package_raises_in_a_handler_has_a_traceback(kit, runner, caplog):
    """Its last lines are the package's own; the handler's line before them is what helps."""

    async def handler(task):
        task.text("comand")

    [record] = await failures_of(kit, runner, caplog, handler)
    assert 'task.text("comand")' in record.exc_text


async def test_the_end_of_a_runner_is_no_failure_with_a_traceback(kit, runner, caplog):
    """The handler was interrupted, wherever it was; it has done nothing wrong."""

    async def handler(task):
        try:
            await anyio.sleep_forever()
        finally:
            task.raise_if_ended()

    one = runner(handler)
    async with running(one):
        await anyio.sleep(100)
        await kit.held(kit.activity())
        await anyio.sleep(250)
        one.cancel()
    [record] = [record for record in caplog.records if "status" in vars(record)]
    assert "FAILED: RunnerStopped" in record.getMessage()
    assert record.exc_info is None
    assert record.seconds == pytest.approx(250, abs=1)


async def test_secrets_are_in_no_traceback(kit, runner, caplog):
    """Nor in the message: as in what the service is told."""
    remember("very-secret-key")

    async def handler(_task):
        raise ValueError("password very-secret-key of postgresql://me:mine@host/db")

    [record] = await failures_of(kit, runner, caplog, handler)
    for text in (record.getMessage(), record.exc_text, logging.Formatter().format(record)):
        assert "very-secret-key" not in text
        assert "mine" not in text
        assert "ValueError" in text


async def test_an_exception_that_cannot_be_shown_is_logged_all_the_same(kit, runner, caplog):
    """Whatever its `__str__` does, and however long its message is."""

    class Broken(Exception):  # noqa: N818 - as short as users name them
        @property
        def __notes__(self):  # type: ignore[override]
            raise RuntimeError("no notes")

    async def handler(_task):
        raise Broken("x" * 100_000 + "the end")

    [record] = await failures_of(kit, runner, caplog, handler)
    assert len(record.getMessage()) < 5000
    assert record.getMessage().endswith("the end")
    assert "Broken" in logging.Formatter().format(record)


async def test_a_canceled_task_is_no_warning_but_a_failure_in_its_clean_up_is(kit, runner, caplog):
    """A cancellation is no fault of the handler."""

    async def execute(handler):
        caplog.clear()
        pipeline = kit.activity()
        async with running(runner(handler), max_tasks=1) as one:
            held = await kit.held(pipeline)
            kit.cancel(held.task_id)
            while not one.statistics().ended:
                await anyio.sleep(1)
            assert one.statistics().ended == {"canceled": 1}
        return [record for record in caplog.records if record.levelno >= logging.WARNING]

    async def patient(_task):
        await anyio.sleep(10_000)

    async def clumsy(_task):
        try:
            await anyio.sleep(10_000)
        finally:
            raise OSError("no space left")

    assert not await execute(patient)
    [record] = await execute(clumsy)
    assert record.getMessage().endswith(": canceled: OSError: no space left")


# The join key


async def test_all_records_about_a_task_have_the_same_join_key(kit, runner, caplog):
    """Of the runner, of the reporter and of what the handler calls, in threads as well."""
    caplog.set_level(logging.INFO, logger="aiodp")
    task_ids = []

    async def handler(task):
        task_ids.append(task.task_id)
        logger.warning("from the work")
        await anyio.to_thread.run_sync(logger.warning, "from a thread of it")
        await task.report()  # time does not wait for threads, so a heartbeat may be on its way
        task.update({"too": "much"})
        kit.faults.add(Fault(kind=FaultKind.INVALID_REQUEST, actions=REPORT, count=1))
        await task.report()
        kit.give_away(task.task_id)
        await anyio.sleep(100)

    kit.activity()
    async with running(runner(handler), max_tasks=1) as one:
        while not one.statistics().ended:
            await anyio.sleep(1)
    messages = {record.getMessage().rpartition(": ")[2] for record in caplog.records}
    assert len(caplog.records) >= 6, messages
    [task_id] = task_ids
    digest = hashlib.sha256(task_id.encode()).hexdigest()[:16]
    keys = {
        (record.task, record.task_digest, record.pipeline, record.attempt, record.type)
        for record in caplog.records
        if "polls" not in record.getMessage()
    }
    [(task, task_digest, pipeline, attempt, kind)] = keys
    assert (task, task_digest) == (shorten(task_id), digest)
    assert pipeline.startswith("df-")
    assert attempt.endswith("_Attempt=1")
    assert kind == "ShellCommandActivity"
    assert task_id not in caplog.text


async def test_a_record_about_another_task_is_not_taken_for_one_of_the_work(
    service, reporter, caplog
):
    """What the work does may show that another task has ended."""
    [mine, other] = service.assign(2)

    async def work():
        logger.warning("mine")
        block(295)
        assert there.lost.is_set()

    async with reporter() as opened, opened.track(other) as there:
        await anyio.sleep(30)
        with pytest.raises(LeaseLost):
            await opened.run(mine, work)
    [own] = [record for record in caplog.records if record.getMessage() == "mine"]
    assert own.task_digest == task_extra(mine)["task_digest"]
    ended = [record for record in caplog.records if "ended" in record.getMessage()]
    assert {record.task_digest for record in ended} == {
        task_extra(one)["task_digest"] for one in (mine, other)
    }
    assert all(record.task in record.getMessage() for record in ended)
