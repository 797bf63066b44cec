"""Doubt is not loss: a status that was applied though its answer was lost, and is refused then."""

from __future__ import annotations

import anyio
import pytest

from aiodp import (
    LeaseLost,
    LostReason,
    StatusInDoubt,
    StatusNotSet,
    TaskCanceled,
    TaskStatus,
    current_task,
)
from aiodp.testing import Fault, FaultKind
from virtual.runner_kit import attempts, calls, running

pytestmark = pytest.mark.anyio

STATUS = frozenset({"SetTaskStatus"})
REPORT = frozenset({"ReportTaskProgress"})
DESCRIBE = frozenset({"DescribeObjects"})
AFTER = pytest.mark.parametrize("kind", [FaultKind.HANG_AFTER, FaultKind.RESET_AFTER])
PRECONDITION = {
    "objects": [
        {"id": "Default", "scheduleType": "ondemand", "workerGroup": "workers"},
        {"id": "Ready", "type": "ShellCommandPrecondition", "command": "false"},
        {
            "id": "Work",
            "type": "ShellCommandActivity",
            "command": "true",
            "precondition": {"ref": "Ready"},
        },
    ]
}


def lose_answer(service, kind=FaultKind.HANG_AFTER):
    """Let the service apply the next status, and answer nothing."""
    service.faults.add(Fault(kind=kind, actions=STATUS, count=1))


# The reporter, which knows no attempt


@AFTER
async def test_the_error_says_that_it_may_be_set(service, reporter, kind):
    """And not that others have the task: it is finished."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        lose_answer(service, kind)
        with pytest.raises(StatusInDoubt, match="FINISHED was sent without an answer") as caught:
            await task.set_status(TaskStatus.FINISHED)
        assert "others" not in str(caught.value)
        assert caught.value.status is TaskStatus.FINISHED
        assert caught.value.reason is LostReason.REFUSED
        with pytest.raises(StatusInDoubt):
            task.raise_if_ended()
        with pytest.raises(StatusInDoubt):
            await task.set_status(TaskStatus.FAILED)
    assert service.task(task_id).status == "FINISHED"


async def test_a_report_between_the_tries_is_refused(service, reporter):
    """It is the first to hear that the task is gone: this is the same doubt."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        await anyio.sleep(50)
        lose_answer(service)
        service.faults.add(Fault(kind=FaultKind.SERVER_ERROR, actions=STATUS, start=60))
        with pytest.raises(StatusInDoubt):
            await task.set_status(TaskStatus.FINISHED)
        assert anyio.current_time() < 70


async def test_a_status_that_is_broken_off_may_be_set(service, reporter):
    """Whoever stops waiting for it learns nothing of it."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        lose_answer(service)
        with anyio.move_on_after(1):
            await task.set_status(TaskStatus.FINISHED)
        with pytest.raises(StatusInDoubt):
            await task.report()


async def test_after_a_local_lapse(service, reporter):
    """The service cannot be reached for six minutes after it has applied the status."""
    [task_id] = service.assign(report_progress_timeout="15 minutes")
    async with reporter() as opened, opened.track(task_id) as task:
        lose_answer(service)
        service.faults.add(Fault(kind=FaultKind.RESET, start=1, duration=360))
        with pytest.raises(StatusInDoubt, match="expired"):
            await task.set_status(TaskStatus.FINISHED)
    assert service.task(task_id).status == "FINISHED"


async def test_the_result_of_work_is_in_doubt(service, reporter):
    """`run` interrupts the work when the task is refused, and says the same."""
    [task_id] = service.assign()

    async def work():
        lose_answer(service)
        await current_task().set_status(TaskStatus.FINISHED)

    async with reporter() as opened:
        with pytest.raises(StatusInDoubt):
            await opened.run(task_id, work)


@pytest.mark.parametrize("fault", [None, FaultKind.THROTTLE, FaultKind.ACCESS_DENIED])
async def test_an_answer_leaves_no_doubt(service, reporter, fault):
    """A refusal is a loss if each try before it was answered."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        if fault is not None:
            service.faults.add(Fault(kind=fault, actions=STATUS, count=2))
        service.give_away(task_id)
        with pytest.raises(LeaseLost, match="others may have it") as caught:
            await task.set_status(TaskStatus.FINISHED)
    assert type(caught.value) is LeaseLost


async def test_a_cancellation_is_told_by_its_name(service, reporter):
    """A report that is answered `canceled` says that no status was applied."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        service.faults.add(Fault(kind=FaultKind.HANG, actions=STATUS, count=1))
        async with anyio.create_task_group() as group:

            async def cancel():
                await anyio.sleep(1)
                service.cancel(task_id)

            group.start_soon(cancel)
            with pytest.raises(TaskCanceled):
                await task.set_status(TaskStatus.FINISHED)


# The runner, which asks for the attempt


@AFTER
@pytest.mark.parametrize("fails", [False, True])
async def test_the_runner_asks_for_the_attempt(kit, runner, kind, fails, caplog):
    """Its status is the task's, and the work is not done again."""
    pipeline = kit.activity()
    lose_answer(kit, kind)

    async def work(task):
        if fails and task.attempt_id.endswith("=1"):
            raise ValueError("bad luck")

    one = runner(work)
    async with running(one):
        await kit.finished(pipeline)
    assert one.statistics().ended == ({"FAILED": 1, "FINISHED": 1} if fails else {"FINISHED": 1})
    assert "others may have" not in caplog.text
    kit.assert_single_owner()


async def test_over_a_client(kit, client_runner, caplog):
    """The question is DescribeObjects of the attempt."""
    pipeline = kit.activity()
    lose_answer(kit, FaultKind.RESET_AFTER)

    async def work(task): ...

    one = client_runner(work)
    await one.run(max_tasks=1)
    kit.assert_finished(pipeline)
    assert one.statistics().ended == {"FINISHED": 1}
    assert calls(kit, "DescribeObjects") == 1
    assert "was sent without an answer; the attempt says that it is FINISHED" in caplog.text


@pytest.mark.parametrize("fault", [FaultKind.ACCESS_DENIED, FaultKind.HANG, FaultKind.GARBAGE])
async def test_what_cannot_be_asked_is_in_doubt(kit, runner, caplog, fault):
    """Told as that, with what to do."""
    pipeline = kit.activity()
    lose_answer(kit)
    kit.faults.add(Fault(kind=fault, actions=DESCRIBE, duration=100))

    async def work(task): ...

    one = runner(work)
    await one.run(max_tasks=1)
    kit.assert_finished(pipeline)
    assert one.statistics().ended == {"in doubt": 1}
    assert "others may have" not in caplog.text
    [line] = [record for record in caplog.records if "look at" in record.getMessage()]
    assert line.levelname == "ERROR"
    assert line.getMessage().startswith("task ")
    assert "FINISHED was sent without an answer" in line.getMessage()
    last = [record for record in caplog.records if pipeline.id in record.getMessage()][-1]
    assert last.getMessage().endswith(": in doubt")
    assert last.levelname == "ERROR"


async def test_a_false_precondition_is_in_doubt(kit, runner):
    """The attempt of one that is FALSE looks like one that failed, or fell silent."""
    kit.pipeline(PRECONDITION)
    lose_answer(kit)

    async def work(task):
        return False

    one = runner(work)
    await one.run(max_tasks=1)
    assert one.statistics().ended == {"in doubt": 1}


async def test_a_task_that_was_given_away_is_lost(kit, runner):
    """A try hangs and is not applied; the attempt has failed as one that fell silent."""
    kit.activity()
    kit.faults.add(Fault(kind=FaultKind.HANG, actions=STATUS, count=1))

    async def work(task):
        if task.attempt_id.endswith("=1"):
            kit.faults.add(Fault(kind=FaultKind.RESET, start=kit.now + 1, duration=400))

    one = runner(work)
    await one.run(max_tasks=1)
    assert one.statistics().ended == {"lost": 1}


async def test_a_canceled_attempt_is_canceled(kit, runner):
    """If the attempt says so; the reports were not answered in time to hear it."""
    pipeline = kit.activity()
    kit.faults.add(Fault(kind=FaultKind.HANG, actions=STATUS, count=1))

    async def work(task):
        kit.faults.add(Fault(kind=FaultKind.RESET, start=kit.now + 1, duration=400))
        kit.cancel(task.task_id)

    one = runner(work)
    await one.run(max_tasks=1)
    assert attempts(kit, pipeline)[0]["@status"] == "CANCELED"
    assert one.statistics().ended == {"canceled": 1}


async def test_the_status_of_a_handler_of_its_own(kit, runner):
    """Whoever sends it: the attempt is asked for."""
    pipeline = kit.activity()
    lose_answer(kit)

    async def work(task):
        await task.set_status(TaskStatus.FINISHED)

    one = runner(work)
    await one.run(max_tasks=1)
    kit.assert_finished(pipeline)
    assert one.statistics().ended == {"FINISHED": 1}


async def test_no_failure_goes_over_a_status_in_doubt(kit, runner, caplog):
    """A handler that breaks its FINISHED off and fails: FAILED could contradict it."""
    kit.activity()
    kit.faults.add(Fault(kind=FaultKind.HANG, actions=STATUS, count=1))

    async def work(task):
        with anyio.fail_after(5):
            await task.set_status(TaskStatus.FINISHED)

    one = runner(work)
    await one.run(max_tasks=1)
    assert one.statistics().ended == {"no status": 1}
    assert calls(kit, "SetTaskStatus") == 1
    assert "FINISHED was sent without an answer and may be set" in caplog.text


async def test_a_status_that_was_broken_off_before_the_lease_ran_out(kit, runner):
    """The handler fails after that; its attempt is asked for all the same."""
    pipeline = kit.activity()
    lose_answer(kit)

    async def work(task):
        with anyio.move_on_after(1):
            await task.set_status(TaskStatus.FINISHED)
        kit.faults.add(Fault(kind=FaultKind.RESET, actions=REPORT))
        await task.lost.wait()
        raise ValueError("afterwards")

    one = runner(work)
    await one.run(max_tasks=1)
    kit.assert_finished(pipeline)
    assert one.statistics().ended == {"FINISHED": 1}


async def test_a_status_without_an_answer_is_said_to_be_possible(kit, runner, caplog):
    """A runner that stops at once, while the answer of an applied status does not come."""
    pipeline = kit.activity()
    lose_answer(kit)
    ended = anyio.Event()

    async def work(task):
        ended.set()

    one = runner(work, attempt_timeout=60)
    async with running(one):
        await ended.wait()
        await anyio.sleep(1)
        one.cancel()
    kit.assert_finished(pipeline)
    assert one.statistics().ended == {"no status": 1}
    assert "FINISHED was sent without an answer and may be set" in caplog.text


async def test_a_status_that_is_given_up_may_be_set(service, reporter):
    """The error says so if a try was not answered, and only then."""
    ids = service.assign(2)
    async with reporter() as opened:
        for task_id in ids:
            async with opened.track(task_id) as task:
                service.faults.add(Fault(kind=FaultKind.INVALID_REQUEST, actions=STATUS))
                with pytest.raises(StatusNotSet) as caught:
                    await task.set_status(TaskStatus.FINISHED)
                assert ("may be set" in str(caught.value)) == (task_id == ids[1])
                service.faults.clear()
                service.faults.add(Fault(kind=FaultKind.HANG, actions=STATUS, count=1))
