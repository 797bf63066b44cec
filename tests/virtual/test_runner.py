"""TaskRunner: what becomes of a task, by what its handler does."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import re
import socket
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass

import anyio
import pytest

import aiodp
from aiodp import RunnerStatistics, RunnerStopped, StatusNotSet, TaskFailed, TaskStatus
from aiodp.testing import AuditKind, Fault, FaultKind, Status, scaled
from virtual.kit import asyncio_only
from virtual.runner_kit import attempts, calls, running

pytestmark = pytest.mark.anyio

STATUS = frozenset({"SetTaskStatus"})
REPORT = frozenset({"ReportTaskProgress"})
POLL = frozenset({"PollForTask"})


class Unspeakable(Exception):  # noqa: N818 - its name is what the test is about
    def __str__(self) -> str:
        raise RuntimeError("no words")


async def test_a_return_finishes_the_task(kit, runner):
    """None and True say that the work is done; the task is kept alive for the hours it takes."""
    pipelines = [kit.activity(), kit.activity()]
    results = [None, True]

    async def work(task):
        assert aiodp.current_task() is task
        await anyio.sleep(7200)
        return results.pop()

    await runner(work).run(max_tasks=2)
    kit.assert_finished(pipelines)
    kit.assert_single_owner()
    assert kit.now == pytest.approx(7200, abs=5)


async def test_statistics_are_json(kit, runner):
    """Before the runner is run, and after it; what `asdict` gives may be changed."""
    kit.activity()

    async def work(task): ...

    one = runner(work)
    await one.run(once=True)
    seen = json.loads(json.dumps(asdict(one.statistics()), allow_nan=False))
    assert (seen["ended"], seen["reports"]["sent"]) == ({"FINISHED": 1}, 1)
    empty = asdict(RunnerStatistics())
    assert (empty["ended"], empty["reports"]) == ({}, None)
    empty["ended"]["FINISHED"] = 2
    assert RunnerStatistics().ended == {}


async def test_handlers_by_type(kit, runner):
    """Each type has a handler of its own, and `handler=` takes the rest."""
    kit.activity()
    kit.activity(type="CopyActivity")
    kit.activity(type="HiveCopyActivity")
    done = []

    async def rest(task):
        done.append(("rest", task.type))

    one = runner(rest, max_concurrency=3)

    @one.activity("ShellCommandActivity")
    async def shell(task):
        done.append(("shell", task.type))

    @one.activity("CopyActivity")
    async def copy(task):
        done.append(("copy", task.type))

    await one.run(max_tasks=3)
    assert sorted(done) == [
        ("copy", "CopyActivity"),
        ("rest", "HiveCopyActivity"),
        ("shell", "ShellCommandActivity"),
    ]


async def test_a_type_that_nobody_handles_fails_and_says_so(kit, runner):
    """It is no use to anybody when such a task is handed out again and again."""
    pipeline = kit.activity(type="CopyActivity")
    one = runner()

    @one.activity("ShellCommandActivity")
    async def shell(task): ...

    await one.run(max_tasks=1)
    [attempt] = attempts(kit, pipeline)
    assert attempt["@status"] == "FAILED"
    assert attempt["errorId"] == "NoHandler"
    assert "no handler for CopyActivity" in attempt["errorMessage"]


async def test_an_exception_fails_the_task_with_all_that_there_is_to_say(kit, runner):
    """The class's name, the message and the end of the traceback reach the attempt."""
    pipeline = kit.activity()

    async def work(task):
        raise KeyError("a-key-that-is-missing")

    await runner(work).run(max_tasks=1)
    [attempt] = attempts(kit, pipeline)
    assert attempt["@status"] == "FAILED"
    assert attempt["errorId"] == "KeyError"
    assert attempt["errorMessage"] == "'a-key-that-is-missing'"
    assert "raise KeyError" in attempt["errorStackTrace"]


async def test_a_handler_may_say_how_it_failed(kit, runner):
    """`TaskFailed` brings an id, and what stands in the place of the traceback."""
    pipeline = kit.activity()

    async def work(task):
        raise TaskFailed("no such table", error_id="BadInput", error_stack_trace="line 3")

    await runner(work).run(max_tasks=1)
    [attempt] = attempts(kit, pipeline)
    assert attempt["errorId"] == "BadInput"
    assert attempt["errorMessage"] == "no such table"
    assert attempt["errorStackTrace"] == "line 3"


async def test_a_handler_may_set_the_status_itself(kit, runner):
    """What it said stands, and is not said again, whatever it does then."""
    pipelines = [kit.activity(), kit.activity()]

    async def work(task):
        await task.set_status(TaskStatus.FINISHED)
        if task.pipeline_id == pipelines[0].id:
            raise ValueError("afterwards")

    await runner(work).run(max_tasks=2)
    kit.assert_finished(pipelines)
    assert calls(kit, "SetTaskStatus") == 2


async def test_a_status_of_the_handlers_own_that_fails_is_not_contradicted(kit, runner):
    """If its FINISHED was not acknowledged, the task is not FAILED instead: it may be done."""
    kit.activity()
    kit.faults.add(Fault(kind=FaultKind.INVALID_REQUEST, actions=STATUS, count=1))

    async def work(task):
        await task.set_status(TaskStatus.FINISHED)

    one = runner(work)
    await one.run(max_tasks=1)
    assert one.statistics().ended == {"no status": 1}
    assert calls(kit, "SetTaskStatus") == 1


async def test_an_error_about_another_task_is_a_failure_like_any_other(kit, runner):
    """Only a status of the task itself is in doubt."""
    pipeline = kit.activity()

    async def work(task):
        raise StatusNotSet("of something else")

    await runner(work).run(max_tasks=1)
    assert attempts(kit, pipeline)[0]["errorId"] == "StatusNotSet"


def deep(levels: int) -> None:
    if levels:
        deep(levels - 1)
    raise ValueError("d" * 100_000)


def reserved() -> None:
    raise type("Service_Gone", (Exception,), {})("mine")


def chained() -> None:
    try:
        raise Unspeakable  # noqa: TRY301 - to be chained
    except Unspeakable as error:
        error.add_note("\ud800")
        raise type("\x01", (Exception,), {})("\udcff" * 1_000_000) from error


def leave() -> None:
    raise SystemExit(3)


def odd() -> None:
    raise BaseExceptionGroup("odd", [SystemExit(1), ValueError("x")])


def unspeakable() -> None:
    raise Unspeakable


class Own(BaseException): ...


def closed() -> None:
    raise GeneratorExit("mine")


def own() -> None:
    raise Own("own")


def looped() -> None:
    error = ValueError("loop")
    error.__cause__ = error.__context__ = error
    raise error


@pytest.mark.parametrize(
    ("fail", "error_id", "message"),
    [
        (lambda: deep(900), "ValueError", "d" * 10_240),
        (reserved, "Handler.Service_Gone", "mine"),
        (chained, "\ufffd", "\ufffd" * 3413),
        (leave, "SystemExit", "3"),
        (odd, "BaseExceptionGroup", "odd (2 sub-exceptions)"),
        (unspeakable, "Unspeakable", "Unspeakable (its message cannot be shown: __str__ raises)"),
        (own, "Own", "own"),
        (closed, "GeneratorExit", "mine"),
        (looped, "ValueError", "loop"),
    ],
    ids=["deep", "reserved", "chained", "exit", "group", "unspeakable", "own", "closed", "looped"],
)
async def test_no_exception_is_too_odd_to_be_told(kit, runner, caplog, fail, error_id, message):
    """Long, deep, illegal, speechless: a valid SetTaskStatus and log, and the runner lives."""
    pipelines = [kit.activity(), kit.activity()]

    async def work(task):
        if task.pipeline_id == pipelines[0].id:
            fail()

    await runner(work, max_concurrency=1).run(max_tasks=2)
    [attempt] = attempts(kit, pipelines[0])
    assert attempt["@status"] == "FAILED"
    assert attempt["errorId"] == error_id
    assert attempt["errorMessage"] == message
    assert 0 < len(attempt["errorStackTrace"]) <= 1024
    kit.assert_finished(pipelines[1])
    assert kit.calls["SetTaskStatus", "ok"] == 2
    assert caplog.text.encode()  # which fails with a lone surrogate, as a log file does


@asyncio_only
async def test_a_cancellation_of_the_handlers_own_is_a_failure(kit, runner):
    """A handler that awaits something canceled has failed; its runner goes on."""
    pipelines = [kit.activity(), kit.activity()]

    async def work(task):
        if task.pipeline_id == pipelines[0].id:
            future = asyncio.get_running_loop().create_future()
            future.cancel()
            await future

    await runner(work).run(max_tasks=2)
    [attempt] = attempts(kit, pipelines[0])
    assert attempt["errorId"] == "CancelledError"
    kit.assert_finished(pipelines[1])


@asyncio_only
async def test_a_generator_exit_of_what_a_handler_awaits_is_a_failure(kit, runner):
    """Such an error closes the coroutines that wait for it, those of the runner among them."""
    pipelines = [kit.activity(), kit.activity()]

    async def work(task):
        if task.pipeline_id == pipelines[0].id:
            loop = asyncio.get_running_loop()
            future = loop.create_future()
            loop.call_soon(future.set_exception, GeneratorExit("mine"))  # as a thread would
            await future

    await runner(work).run(max_tasks=2)
    [attempt] = attempts(kit, pipelines[0])
    assert attempt["errorId"] == "GeneratorExit"
    assert attempt["errorMessage"] == "mine"
    kit.assert_finished(pipelines[1])


@asyncio_only
@pytest.mark.parametrize("stale", [False, True])
async def test_a_handler_that_cancels_itself_harms_no_other(kit, runner, stale):
    """By its own hand, now or with a request that it never took back: it alone has failed."""
    pipelines = [kit.activity(), kit.activity(), kit.activity()]

    async def work(task):
        if task.pipeline_id != pipelines[0].id:
            return await anyio.sleep(100)
        me = asyncio.current_task()
        assert me is not None
        me.cancel()
        with suppress(asyncio.CancelledError) if stale else nullcontext():
            await anyio.sleep(1)
        raise ValueError("after all")

    one = runner(work, max_concurrency=2)
    async with running(one):
        await kit.finished(pipelines[1:])
        assert one._state == "running"
    [attempt] = attempts(kit, pipelines[0])
    assert attempt["errorId"] == ("ValueError" if stale else "CancelledError")
    assert one.statistics().ended == {"FAILED": 1, "FINISHED": 2}


class Odd(TaskFailed):
    def __init__(self, **members):
        vars(self).update(members)


@pytest.mark.parametrize(
    "members",
    [{}, {"error_id": "Service_x"}, {"error_id": 3}, {"error_id": "x", "error_stack_trace": [1]}],
)
async def test_a_task_failed_of_ones_own_making_is_told(kit, runner, members):
    """What a subclass sets, or does not set, costs no status."""
    pipeline = kit.activity()

    async def work(task):
        raise Odd(**members)

    one = runner(work)
    await one.run(max_tasks=1)
    [attempt] = attempts(kit, pipeline)
    assert attempt["errorId"] == ("x" if len(members) == 2 else "Odd")
    assert "Odd" in attempt["errorStackTrace"]


async def test_a_default_hostname(kit, runner):
    """The attempts show the system's, as that of the machine that works on them."""
    pipeline = kit.activity()

    async def work(task): ...

    await runner(work).run(max_tasks=1)
    assert pipeline.runs[0].hostname == socket.gethostname()


async def test_what_a_return_value_means(kit, runner, caplog):
    """False fails an activity; what has no meaning counts as done, with a warning."""
    pipelines = [kit.activity(), kit.activity()]

    async def work(task):
        return False if task.pipeline_id == pipelines[0].id else {"rows": 3}

    await runner(work).run(max_tasks=2)
    [attempt] = attempts(kit, pipelines[0])
    assert attempt["errorId"] == "ReturnedFalse"
    kit.assert_finished(pipelines[1])
    [said] = [message for message in caplog.messages if "which has no meaning" in message]
    what = "its handler returned a value of type dict, which has no meaning; it counts as finished"
    assert re.fullmatch(rf"task \S+…\S+: {what}", said)


async def test_a_generator_has_done_nothing(kit, runner):
    """A handler that returns one is no work done, whatever it is for."""
    pipeline = kit.activity()

    async def work(task):
        return (number for number in range(3))

    await runner(work).run(max_tasks=1)
    [attempt] = attempts(kit, pipeline)
    assert attempt["errorId"] == "BadReturnValue"


def guarded(**precondition: str) -> dict[str, object]:
    """A pipeline of an activity that waits for a precondition of the runner's."""
    return {
        "objects": [
            {"id": "Default", "scheduleType": "ondemand", "workerGroup": "workers"},
            {"id": "Ready", "type": "ShellCommandPrecondition", "command": "true", **precondition},
            {
                "id": "Work",
                "type": "ShellCommandActivity",
                "command": "true",
                "precondition": {"ref": "Ready"},
            },
        ]
    }


async def test_a_precondition_that_does_not_hold_is_false(kit, runner):
    """The service asks again after its delay; once it holds, the activity runs."""
    pipeline = kit.pipeline(guarded())
    answers = [True, False, False]

    async def work(task):
        return answers.pop() if task.is_precondition else None

    one = runner(work)
    async with running(one):
        await kit.finished(pipeline)
    assert answers == []
    assert one.statistics().ended == {"FALSE": 2, "FINISHED": 2}


async def test_a_precondition_is_looked_at_again_as_its_fields_say(kit, runner):
    """With `retryDelay` the runner looks again itself, and works on other tasks meanwhile."""
    kit.pipeline(guarded(retryDelay="10 minutes"))
    looked = []

    async def work(task):
        if not task.is_precondition:
            return await anyio.sleep(60)
        looked.append(kit.now)
        return len(looked) == 3

    one = runner(work, max_concurrency=1)
    async with running(one):
        await kit.until(lambda: len(looked) == 1)
        other = kit.activity()
        await kit.finished(other)
        assert len(looked) == 1
        await kit.until(lambda: one.statistics().ended.get("FINISHED") == 3)
    gaps = [after - before for before, after in itertools.pairwise(looked)]
    assert gaps == pytest.approx([600, 600], abs=1)
    assert "FALSE" not in one.statistics().ended


async def test_a_precondition_that_says_false_itself_has_said_it(kit, runner):
    """Its handler set the status: it is not looked at again under the same task."""
    kit.pipeline(guarded(retryDelay="10 minutes"))
    looked = []

    async def work(task):
        looked.append(task.task_id)
        await task.set_status(TaskStatus.FALSE)
        return False

    one = runner(work, max_concurrency=1)
    async with running(one):
        await kit.until(lambda: len(looked) == 3)
    assert len(set(looked)) == 3
    assert one.statistics().ended == {"FALSE": 3}


async def test_a_precondition_has_its_time(kit, runner):
    """When `preconditionTimeout` is over it is FALSE; it is looked at every two minutes."""
    kit.pipeline(guarded(preconditionTimeout="5 minutes"))
    looked = []

    async def work(task):
        looked.append(kit.now)
        return False

    one = runner(work)
    async with running(one):
        await kit.until(lambda: one.statistics().ended.get("FALSE"))
        assert 200 < kit.now <= 301
    gaps = [after - before for before, after in itertools.pairwise(looked)]
    assert gaps == pytest.approx([120, 120], abs=0.1)


@pytest.mark.parametrize(
    "fields", [{"retryDelay": "10 minutes"}, {"preconditionTimeout": "5 minutes"}]
)
async def test_a_precondition_is_looked_at_in_the_service_s_time(kit, runner, fields):
    """Which runs eight times as fast here: the delay of its fields, and the service's own."""
    kit.pipeline(guarded(**fields))
    looked = []

    async def work(task):
        looked.append(kit.now)
        return len(looked) == 3

    await runner(work, **scaled(8)).run(max_tasks=1)
    gaps = [after - before for before, after in itertools.pairwise(looked)]
    assert gaps == pytest.approx([(600 if "retryDelay" in fields else 120) / 8] * 2)


async def test_a_period_that_is_none_fails_the_precondition(kit, runner):
    """What an expression makes of it is known only at its attempt; the message says what it is."""
    pipeline = kit.pipeline(guarded(retryDelay="#{@scheduledStartTime}", maximumRetries="0"))

    async def work(task):
        return False

    await runner(work).run(max_tasks=1)
    [attempt] = attempts(kit, pipeline)
    assert attempt["errorId"] == "BadDefinition"
    assert "is no period" in attempt["errorMessage"]


async def test_a_drain_waits_for_no_precondition(kit, runner):
    """One that is looked at hourly is FALSE when the runner is told to stop."""
    kit.pipeline(guarded(retryDelay="1 hour"))

    async def work(task):
        return False

    one = runner(work)
    async with running(one):
        await kit.until(lambda: one.tasks and one.tasks[0].reports > 5)
    assert kit.now < 600
    assert one.statistics().ended == {"FALSE": 1}


@pytest.mark.parametrize("value", [0, 1, "no", []])
async def test_a_precondition_says_true_or_false(kit, runner, value):
    """Zero is no answer to a question whose wrong answer starts the work."""
    pipeline = kit.pipeline(guarded(maximumRetries="0"))

    async def work(task):
        return value

    await runner(work).run(max_tasks=1)
    [attempt] = attempts(kit, pipeline)
    assert attempt["errorId"] == "BadReturnValue"


async def test_a_canceled_task_gets_no_status(kit, runner):
    """Its handler is interrupted once, cleans up, and nothing more is said to the service."""
    pipeline = kit.activity()
    cleaned = []

    async def work(task):
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(30)
            cleaned.append(task.canceled.is_set())

    one = runner(work)
    async with running(one):
        held = await kit.held(pipeline)
        kit.cancel(held.task_id)
        await kit.until(lambda: cleaned)
        await anyio.sleep(600)
    assert cleaned == [True]
    assert calls(kit, "SetTaskStatus") == 0
    assert one.statistics().ended == {"canceled": 1}


async def test_a_task_that_is_canceled_from_the_start_is_not_begun(kit, runner):
    """If the first answer is `canceled`, the handler is never called."""
    kit.activity()
    begun = []
    kit.faults.add(Fault(kind=FaultKind.HANG, actions=REPORT, duration=20))

    async def work(task):
        begun.append(task)

    one = runner(work)
    async with running(one):
        await kit.until(lambda: any(e.kind is AuditKind.ASSIGNED for e in kit.audit))
        [event] = [e for e in kit.audit if e.kind is AuditKind.ASSIGNED]
        kit.cancel(event.task_id)
        await anyio.sleep(200)
    assert begun == []
    assert one.statistics().ended == {"canceled": 1}
    assert calls(kit, "SetTaskStatus") == 0


async def test_a_lost_task_gets_no_status(kit, runner):
    """The service gave it to somebody else: the work is interrupted, and that is all."""
    pipeline = kit.activity()
    interrupted: list[bool] = []

    async def work(task):
        if interrupted:
            return
        try:
            await anyio.sleep_forever()
        finally:
            interrupted.append(task.lost.is_set())

    one = runner(work)
    async with running(one):
        held = await kit.held(pipeline)
        kit.give_away(held.task_id)
        await kit.finished(pipeline)
    assert interrupted == [True]
    assert one.statistics().ended == {"lost": 1, "FINISHED": 1}
    assert calls(kit, "DescribeObjects") == 0  # there is no doubt


async def test_work_that_is_done_is_told_even_if_the_lease_ran_out(kit, runner):
    """If the service still has it for us, nobody else needs to do it again."""
    pipeline = kit.activity()

    async def work(task):
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():  # it was as good as done
            return

    kit.faults.add(Fault(kind=FaultKind.RESET, actions=REPORT, start=100, duration=400))
    one = runner(work, lease_timeout=200)
    async with running(one):
        await kit.finished(pipeline)
    [run] = pipeline.runs
    assert run.attempts == 1
    assert one.statistics().ended == {"FINISHED": 1}


async def test_a_status_that_fails_for_four_minutes_arrives_once(kit, runner):
    """Reports go on between the tries; the work is done once, and told once."""
    pipeline = kit.activity()
    done = []

    async def work(task):
        await anyio.sleep(100)
        done.append(task)
        kit.faults.add(Fault(kind=FaultKind.SERVER_ERROR, actions=STATUS, duration=240))

    await runner(work).run(max_tasks=1)
    kit.assert_finished(pipeline)
    assert len(done) == 1
    assert kit.calls["SetTaskStatus", "ok"] == 1
    assert 340 <= kit.now < 400
    kinds = [event.kind for event in kit.audit]
    assert kinds.count(AuditKind.STATUS) == 1
    assert kinds.count(AuditKind.PROGRESS) >= 5


async def test_a_status_that_cannot_be_set_is_an_error_in_the_log(kit, runner, caplog):
    """The runner goes on to the next task."""
    kit.activity()
    kit.faults.add(Fault(kind=FaultKind.ACCESS_DENIED, actions=STATUS, duration=1000))

    async def work(task): ...

    one = runner(work, max_concurrency=1)
    async with running(one):
        await kit.until(lambda: one.statistics().ended)
        assert one.statistics().ended == {"no status": 1}
        later = kit.activity()
        await anyio.sleep(1000)
        await kit.until(lambda: later.runs[0].status is Status.FINISHED)
    assert "was not acknowledged" in caplog.text
    assert "without an answer" not in caplog.text


async def test_report_progress_timeout_sets_the_lease(kit, runner):
    """A task whose object allows ten minutes is held for ten, another for the usual five."""
    long = kit.activity(reportProgressTimeout="10 minutes")
    short = kit.activity()
    odd = kit.activity(reportProgressTimeout="1 minute")
    leases: dict[str, float] = {}
    timeouts: dict[str, float | None] = {}

    async def work(task):
        leases[task.pipeline_id] = task.deadline - task.last_reported_at
        timeouts[task.pipeline_id] = task.report_progress_timeout
        await anyio.sleep(1000)

    await runner(work, max_concurrency=3).run(max_tasks=3)
    assert leases == {long.id: 600, short.id: 300, odd.id: 60}
    assert timeouts == {long.id: 600.0, short.id: None, odd.id: 60.0}
    kit.assert_finished([long, short, odd])


async def test_a_limit_of_one_type(kit, runner):
    """Its further tasks are kept alive until they may run; other types go on meanwhile."""
    slow = [kit.activity() for _ in range(3)]
    at_once = []
    one = runner(max_concurrency=5)

    @one.activity("ShellCommandActivity", max_concurrency=1)
    async def shell(task):
        at_once.append(task)
        assert len(at_once) == 1
        await anyio.sleep(1000)
        at_once.remove(task)

    @one.activity("CopyActivity")
    async def copy(task):
        await anyio.sleep(1)

    async with running(one):
        await kit.until(lambda: len(one.tasks) == 3)
        other = kit.activity(type="CopyActivity")
        await kit.finished(other)
        assert kit.now < 1000
        await anyio.sleep(2900)  # the kit would look at them each second
        await kit.finished(slow)
    assert 3000 < kit.now < 3100
    kit.assert_single_owner()


async def test_tasks_are_those_that_the_service_has_acknowledged(kit, runner):
    """Until then it may give one to others, and no handler works on it."""
    kit.activity()
    kit.faults.add(Fault(kind=FaultKind.SLOW, actions=REPORT, delay=5))

    async def work(task):
        await anyio.sleep(100)

    one = runner(work)
    async with running(one):
        await kit.until(lambda: one.statistics().received)
        assert (one.statistics().running, one.tasks) == (1, ())
        await anyio.sleep(10)
        assert [task.attempt_id for task in one.tasks] == [
            "@Activity_2026-01-01T00:00:00_Attempt=1"
        ]


async def test_limits_are_of_types_and_not_of_handlers(kit, runner):
    """One handler for two types has a limit for each, even if it cannot be hashed."""
    pipelines = [kit.activity(), kit.activity(type="CopyActivity")]

    @dataclass
    class Handler:
        at_once: int = 0
        most: int = 0

        async def __call__(self, _):
            self.at_once += 1
            self.most = max(self.most, self.at_once)
            await anyio.sleep(100)
            self.at_once -= 1

    handler = Handler()
    one = runner()
    one.activity("ShellCommandActivity", max_concurrency=1)(handler)
    one.activity("CopyActivity", max_concurrency=1)(handler)
    await one.run(max_tasks=2)
    kit.assert_finished(pipelines)
    assert handler.most == 2


async def test_stop_may_be_called_by_a_handler(kit, runner):
    """A handler ends its runner; its own task still gets its status."""
    pipeline = kit.activity()

    async def work(task):
        one.stop()
        await anyio.sleep(10)

    one = runner(work)
    await one.run()
    kit.assert_finished(pipeline)
    assert "closed, 0 running" in repr(one)


async def test_what_is_logged(kit, runner, caplog):
    """One line when a task begins and one when it ends, with its ids in `extra`."""
    caplog.set_level(logging.INFO, logger="aiodp")
    pipeline = kit.activity()

    async def work(task):
        raise ValueError("no luck")

    await runner(work).run(max_tasks=1)
    records = [record for record in caplog.records if record.name == "aiodp"]
    attempt = f"ShellCommandActivity @Activity_2026-01-01T00:00:00_Attempt=1 of {pipeline.id}"
    what = f"{attempt} (task {records[0].task})"
    assert [record.getMessage() for record in records] == [
        f"{what}: begun",
        f"{what}: FAILED: ValueError: no luck",
    ]
    assert records[1].pipeline == pipeline.id
    assert records[1].status == "FAILED"


async def test_a_runner_is_run_once(runner):
    """A second `run` says so; one without handlers, or for no task, is refused before it begins."""

    async def work(task): ...

    one = runner(work)
    assert one.statistics() == RunnerStatistics()
    one.stop()
    with pytest.raises(ValueError, match="max_tasks must be a whole number of at least 1, not 0"):
        await one.run(max_tasks=0)
    await one.run()
    with pytest.raises(aiodp.ReporterClosed, match="can be run once"):
        await one.run()
    with pytest.raises(ValueError, match="give the runner a handler"):
        await runner().run()


async def test_raise_if_ended_hears_of_a_stop(kit, runner):
    """What looks instead of awaiting learns of the runner's end as well."""
    kit.activity()
    heard: list[str] = []

    async def work(task):
        task.raise_if_ended()
        one.cancel()
        with suppress(anyio.get_cancelled_exc_class()):
            await anyio.sleep_forever()
        assert task.stopped
        try:
            task.raise_if_ended()
        except RunnerStopped as stopped:
            heard.append(str(stopped))
            raise

    one = runner(work)
    await one.run()
    [message] = heard
    assert re.match(r"task \S+…\S+: the task runner was stopped at once", message)
    assert one.statistics().ended == {"FAILED": 1}
