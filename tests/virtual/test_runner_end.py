"""TaskRunner: how it stops, and what becomes of the tasks in hand."""

from __future__ import annotations

import asyncio
import logging
import os
import signal

import anyio
import pytest
from aiobotocore.session import get_session

from aiodp import RunnerStopped, TaskRunner, TaskStatus
from aiodp.testing import AuditKind, Fault, FaultKind, Status, VirtualTimeLoop
from virtual.fake_transport import FakeRunnerTransport
from virtual.kit import asyncio_only
from virtual.runner_kit import attempts, calls, running

pytestmark = pytest.mark.anyio


async def sleep_long(task):
    await anyio.sleep(1800)


class Waits:
    """A handler that waits to be interrupted; `clean_up` is what it does then."""

    def __init__(self, clean_up=None, *, finishes=False):
        self.begun = []
        self._clean_up = clean_up
        self._finishes = finishes

    async def __call__(self, task):
        self.begun.append(task)
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            if self._clean_up is not None:
                await self._clean_up(task)
            if not self._finishes:
                raise


async def canceled(kit, one, handler):
    """Run a runner until its handler waits, and cancel it; return how many seconds that took."""
    async with running(one):
        await kit.until(lambda: handler.begun)
        began = kit.now
        one.cancel()
    return kit.now - began


async def test_heartbeats_go_on_to_the_last_status_of_a_drain(kit, runner):
    """Tasks run for half an hour after `stop`; none is lost, each is FINISHED, no poll is begun."""
    pipelines = [kit.activity() for _ in range(3)]
    one = runner(sleep_long, max_concurrency=4)
    async with running(one):
        await kit.until(lambda: len(one.tasks) == 3)
        await anyio.sleep(10)
        one.stop()
        polls = one.statistics().polls
        began = kit.now
        kit.activity(worker_group="others")
    assert one.statistics().polls == polls
    kit.assert_finished(pipelines)
    kit.assert_single_owner()
    assert kit.now - began > 1700
    reports = [event for event in kit.audit if event.kind is AuditKind.PROGRESS]
    assert len(reports) >= 3 * 28
    assert one.statistics().ended == {"FINISHED": 3}


async def test_a_task_of_the_last_poll_is_run(kit, runner):
    """A poll that is under way when a drain begins brings a task: it is done like any other."""
    first = kit.activity()
    one = runner(sleep_long)
    async with running(one):
        await kit.until(lambda: one.statistics().running == 1 and one.statistics().polling == 1)
        one.stop()
        await anyio.sleep(30)
        last = kit.activity()
    kit.assert_finished([first, last])
    assert one.statistics().received == 2


async def test_a_drain_ends_with_its_last_task(kit, runner):
    """A poll that is left open beside it is broken off then, and not waited for."""
    pipeline = kit.activity()

    async def work(task):
        await anyio.sleep(20)

    one = runner(work)
    async with running(one):
        await kit.until(lambda: one.tasks and one.statistics().polling == 1)
        one.stop()
    kit.assert_finished(pipeline)
    assert kit.now == pytest.approx(20, abs=1)


async def test_an_idle_runner_stops_at_once(kit, runner, caplog):
    """Its polls are broken off and said so; what comes then waits for somebody else, untouched."""
    one = runner(sleep_long)
    async with running(one):
        await anyio.sleep(500)
        await kit.until(lambda: one.statistics().polling == 2)
        one.stop()
        began = kit.now
    assert kit.now - began == pytest.approx(2, abs=0.1)
    [said] = caplog.messages
    assert said.startswith("polls are broken off (2)")
    later = kit.activity()
    await anyio.sleep(5)
    [run] = later.runs
    assert run.status is Status.WAITING_FOR_RUNNER
    assert [event.kind for event in kit.audit] == [AuditKind.OFFERED]


@pytest.mark.parametrize("limit", [None, 300])
async def test_an_idle_runner_that_is_canceled_waits_for_nothing(kit, runner, limit):
    """Neither for an answer of its polls, nor until the limit of a drain."""
    one = runner(sleep_long, drain_timeout=limit)
    async with running(one):
        await kit.until(lambda: one.statistics().polling == 2)
        began = kit.now
        one.cancel()
        await kit.until(lambda: one.statistics().polling == 0)
    assert kit.now - began < 0.1


async def test_a_task_that_comes_after_a_cancel_is_not_begun(kit, runner, monkeypatch):
    """Its poll could not be broken off. It fails as those do which were interrupted."""
    poll = FakeRunnerTransport.poll

    async def shielded(self, *args):
        with anyio.CancelScope(shield=True):
            return await poll(self, *args)

    monkeypatch.setattr(FakeRunnerTransport, "poll", shielded)
    begun: list[object] = []
    one = runner(begun.append, max_concurrency=1)  # a plain function, which cannot be interrupted
    async with running(one):
        await kit.until(lambda: one.statistics().polling == 1)
        one.cancel()
        await anyio.sleep(5)
        pipeline = kit.activity()
    assert begun == []
    assert attempts(kit, pipeline)[0]["errorId"] == "RunnerStopped"


async def test_no_task_is_dropped_whenever_it_comes(kit, runner):
    """Around the moment in which polls are broken off: run, or left to others, and never lost."""
    for tenth in range(12, 30):
        one = runner(sleep_long)
        async with running(one):
            await kit.until(lambda: one.statistics().polling == 2)  # noqa: B023 - awaited here
            one.stop()
            await anyio.sleep(tenth / 10)
            pipeline = kit.activity()
            await anyio.sleep(0.01)
        [run] = pipeline.runs
        assert run.status in (Status.FINISHED, Status.WAITING_FOR_RUNNER)
        if run.status is Status.WAITING_FOR_RUNNER:
            assert not attempts(kit, pipeline)[0].get("hostname")
            pipeline.delete()


async def test_cancel_interrupts_and_says_so(kit, runner):
    """The handler cleans up while heartbeats go on; its task is FAILED with RunnerStopped."""
    pipeline = kit.activity()
    cleaned = []

    async def clean_up(task):
        with anyio.CancelScope(shield=True):
            await anyio.sleep(20)
        cleaned.append(task.stopped)

    work = Waits(clean_up)
    one = runner(work)
    assert await canceled(kit, one, work) >= 20
    assert cleaned == [True]
    [attempt] = attempts(kit, pipeline)
    assert attempt["@status"] == "FAILED"
    assert attempt["errorId"] == "RunnerStopped"
    assert one.statistics().ended == {"FAILED": 1}


@asyncio_only
async def test_on_asyncio_the_handler_is_canceled_once(kit, runner):
    """A plain `finally: await ...` runs to its end when the runner stops at once."""
    kit.activity()
    cleaned = []

    async def clean_up(task):
        await anyio.sleep(5)
        await anyio.sleep(5)
        cleaned.append(True)

    work = Waits(clean_up)
    await canceled(kit, runner(work), work)
    assert cleaned == [True]


@asyncio_only
@pytest.mark.parametrize(("seconds", "in_time"), [(29.9, True), (30.1, False)])
async def test_a_handler_has_thirty_seconds_to_clean_up(kit, runner, seconds, in_time):
    """Then it is canceled a second time."""
    kit.activity()
    cleaned = []

    async def clean_up(task):
        await anyio.sleep(seconds)
        cleaned.append(True)

    work = Waits(clean_up)
    await canceled(kit, runner(work), work)
    assert bool(cleaned) is in_time


@pytest.mark.parametrize("seconds", [0, 29.5, 31])
async def test_work_that_is_done_in_spite_of_a_stop_is_told(kit, runner, seconds):
    """At once, at the last moment, and when it was abandoned: it need not be done again."""
    pipeline = kit.activity()

    async def clean_up(task):
        with anyio.CancelScope(shield=True):
            await anyio.sleep(seconds)
        kit.latency = 1.0

    work = Waits(clean_up, finishes=True)
    await canceled(kit, runner(work), work)
    kit.assert_finished(pipeline)


@pytest.mark.parametrize("seconds", [0, 300])
async def test_a_drain_has_its_time(kit, runner, caplog, seconds):
    """After `drain_timeout` the handlers are interrupted, and that is said."""
    pipeline = kit.activity()
    one = runner(sleep_long, drain_timeout=seconds)
    async with running(one):
        await kit.held(pipeline)
        began = kit.now
    assert seconds <= kit.now - began < seconds + 10
    assert attempts(kit, pipeline)[0]["errorId"] == "RunnerStopped"
    assert f"the drain takes longer than {seconds} s" in caplog.messages


async def test_a_stop_is_bounded_when_the_service_hangs(kit, runner):
    """Neither a status nor a report that is never answered keeps the runner for ever."""
    pipeline = kit.activity()
    one = runner(sleep_long)
    async with running(one):
        await kit.held(pipeline)
        kit.faults.add(Fault(kind=FaultKind.HANG))
        began = kit.now
        one.cancel()
    assert kit.now - began < 60
    assert one.statistics().ended == {"no status": 1}


@pytest.mark.parametrize(("seconds", "end"), [(9.5, "FAILED"), (10.5, "no status")])
async def test_a_status_has_ten_seconds_when_the_runner_stops_at_once(kit, runner, seconds, end):
    """However long an attempt may take otherwise."""
    kit.activity()
    kit.faults.add(Fault(kind=FaultKind.SLOW, actions=frozenset({"SetTaskStatus"}), delay=seconds))
    work = Waits()
    one = runner(work, attempt_timeout=30)
    await canceled(kit, one, work)
    assert one.statistics().ended == {end: 1}


async def test_cleaning_up_is_bounded(kit, runner):
    """Who does not end half a minute after the interruption is canceled the hard way."""
    pipeline = kit.activity()

    async def clean_up(task):
        with anyio.move_on_after(200, shield=True):
            await anyio.sleep_forever()
        await anyio.sleep_forever()

    work = Waits(clean_up)
    one = runner(work)
    assert await canceled(kit, one, work) < 250
    assert attempts(kit, pipeline)[0]["errorId"] == "RunnerStopped"
    assert one.statistics().ended == {"FAILED": 1}


async def test_a_status_that_was_not_set_is_said(kit, runner, caplog):
    """The log's last word about a task is what the service was told, or that it was not."""
    pipeline = kit.activity()

    async def clean_up(task):
        kit.faults.add(Fault(kind=FaultKind.SERVER_ERROR))

    work = Waits(clean_up, finishes=True)
    await canceled(kit, runner(work), work)
    last = [record for record in caplog.records if pipeline.id in record.getMessage()][-1]
    assert last.getMessage().endswith(": no status")
    assert last.levelname == "ERROR"


async def test_cancellation_from_outside(kit, runner):
    """A scope around `run` ends it like `cancel`: clean-up, status, and then the cancellation."""
    pipeline = kit.activity()
    cleaned = []

    async def clean_up(task):
        with anyio.CancelScope(shield=True):
            await anyio.sleep(20)
        cleaned.append(True)

    work = Waits(clean_up)
    with anyio.CancelScope() as scope:
        async with running(runner(work)):
            await kit.until(lambda: work.begun)
            scope.cancel()
    assert scope.cancelled_caught
    assert cleaned == [True]
    assert attempts(kit, pipeline)[0]["errorId"] == "RunnerStopped"


def test_the_end_of_the_event_loop(kit):
    """It cancels everything at once: the handler's task gets its status all the same."""
    pipeline = kit.activity()
    work = Waits()

    async def main():
        one = TaskRunner(kit.attach(get_session()), worker_group="workers", handler=work)
        running = asyncio.ensure_future(one.run())
        await kit.until(lambda: work.begun)
        return running

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as loop:
        running = loop.run(main())
    assert running.cancelled()
    assert attempts(kit, pipeline)[0]["errorId"] == "RunnerStopped"


@asyncio_only
async def test_inner_tasks_that_are_canceled_end_it_with_a_word(kit, runner):
    """Who cancels tasks of the loop by their names ends the runner, but not silently."""
    one = runner(sleep_long)
    with pytest.RaisesGroup(RunnerStopped):
        async with running(one):
            await kit.until(lambda: one.statistics().polling == 2)
            for task in asyncio.all_tasks():
                if task.get_name().startswith("aiodp task runner heartbeat"):
                    task.cancel()
            await anyio.sleep(100)


@pytest.fixture
def polls(monkeypatch):
    """The tasks of asyncio that have polled, and that work on what their polls have brought."""
    tasks = []
    poll = FakeRunnerTransport.poll

    async def noting(self, *args):
        tasks.append(asyncio.current_task())
        return await poll(self, *args)

    monkeypatch.setattr(FakeRunnerTransport, "poll", noting)
    return tasks


@asyncio_only
async def test_a_poll_that_is_canceled_alone_harms_no_other(kit, runner, polls):
    """Whoever cancels it by its name: the task that runs goes on, and another poll is made."""
    pipeline = kit.activity()
    one = runner(sleep_long)
    async with running(one):
        await kit.until(lambda: one.tasks and one.statistics().polling == 1)
        polls[-1].cancel()
        await kit.finished(pipeline)
        await kit.until(lambda: one.statistics().polling == 2)
    assert one.statistics().ended == {"FINISHED": 1}


@asyncio_only
async def test_work_that_is_canceled_alone_has_ten_seconds_for_its_status(kit, runner, polls):
    """As if the runner had stopped; the others go on."""
    pipelines = [kit.activity(), kit.activity()]
    kit.faults.add(Fault(kind=FaultKind.HANG, actions=frozenset({"SetTaskStatus"}), count=1))
    one = runner(sleep_long, attempt_timeout=60)
    async with running(one):
        await kit.until(lambda: len(one.tasks) == 2)
        began = kit.now
        polls[0].cancel()
        await kit.until(lambda: one.statistics().ended)
        assert one.statistics().ended == {"no status": 1}
        assert kit.now - began == pytest.approx(10, abs=1)
        await kit.finished(pipelines)
    assert one.statistics().ended == {"no status": 1, "FINISHED": 2}


@asyncio_only
async def test_signals_drain_and_then_interrupt(kit, runner, caplog):
    """SIGTERM drains; SIGINT after it interrupts; a program that wants neither says so."""
    pipelines = [kit.activity(), kit.activity()]
    one = runner(sleep_long)
    async with running(one):
        await kit.until(lambda: len(one.tasks) == 2)
        os.kill(os.getpid(), signal.SIGTERM)
        await anyio.sleep(60)
        assert one._shutdown.step == 1
        assert len(one.tasks) == 2
        os.kill(os.getpid(), signal.SIGINT)
    assert [attempts(kit, pipeline)[0]["errorId"] for pipeline in pipelines] == [
        "RunnerStopped"
    ] * 2
    said = [message for message in caplog.messages if message.startswith("SIG")]
    assert said == [
        "SIGTERM: draining; a second one interrupts",
        "SIGINT: the tasks are interrupted",
    ]


@asyncio_only
async def test_signal_handlers_are_put_back(kit, runner):
    """After `run` the program hears signals as before."""

    def mine(*_): ...

    before = signal.signal(signal.SIGTERM, mine)
    try:
        async with running(runner(sleep_long)):
            await kit.until(lambda: calls(kit, "ReportTaskRunnerHeartbeat"))
            assert signal.getsignal(signal.SIGTERM) is not mine
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)


@asyncio_only
async def test_signals_may_be_somebody_elses(kit, runner):
    """With `handle_signals=False` the program's own handlers stay."""
    heard = []
    before = signal.signal(signal.SIGTERM, lambda *_: heard.append(True))
    try:
        pipeline = kit.activity()
        one = runner(sleep_long, handle_signals=False)
        async with running(one):
            await kit.held(pipeline)
            os.kill(os.getpid(), signal.SIGTERM)
            await anyio.sleep(1)
            assert heard == [True]
            assert one._shutdown.step == 0
        kit.assert_finished(pipeline)
    finally:
        signal.signal(signal.SIGTERM, before)


@asyncio_only
async def test_signals_of_the_loops_own_are_left_alone(kit, runner):
    """What the program has given to asyncio's loop is not taken from it."""
    loop = asyncio.get_running_loop()
    heard: list[bool] = []
    loop.add_signal_handler(signal.SIGTERM, heard.append, True)
    try:
        async with running(runner(sleep_long)) as one:
            await kit.until(lambda: calls(kit, "ReportTaskRunnerHeartbeat"))
            os.kill(os.getpid(), signal.SIGTERM)
            await anyio.sleep(1)
            assert one._shutdown.step == 0
        os.kill(os.getpid(), signal.SIGTERM)
        await anyio.sleep(1)
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
    assert heard == [True, True]


async def test_ignored_signals_stay_ignored(kit, runner):
    """As nohup wants it, even if there is none left to listen to."""
    before = {
        number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        async with running(runner(sleep_long)) as one:
            await kit.until(lambda: calls(kit, "ReportTaskRunnerHeartbeat"))
            os.kill(os.getpid(), signal.SIGTERM)
            await anyio.sleep(1)
            assert one._shutdown.step == 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@asyncio_only
async def test_signals_are_heard_during_the_clean_up_of_a_cancellation(kit, runner):
    """`run` was canceled from outside: a SIGTERM meanwhile must not kill the process."""
    pipeline = kit.activity()

    async def clean_up(task):
        await anyio.sleep(10)
        os.kill(os.getpid(), signal.SIGTERM)
        await anyio.sleep(10)

    work = Waits(clean_up)
    with anyio.CancelScope() as scope:
        async with running(runner(work)):
            await kit.until(lambda: work.begun)
            scope.cancel()
    assert attempts(kit, pipeline)[0]["errorId"] == "RunnerStopped"


async def test_the_service_may_terminate_a_runner(kit, runner, caplog):
    """The answer `terminate` to its heartbeat drains it; heartbeats go on meanwhile."""
    pipeline = kit.activity()
    one = runner(sleep_long, taskrunner_id="mine", hostname="here")
    async with running(one):
        await kit.held(pipeline)
        [seen] = kit.runners
        assert (seen.taskrunner_id, seen.worker_group, seen.hostname) == ("mine", "workers", "here")
        kit.terminate("mine")
        await kit.until(lambda: one._shutdown.step == 1)
        assert kit.now == pytest.approx(900, abs=1)
        await kit.until(lambda: calls(kit, "ReportTaskRunnerHeartbeat") == 3)
    kit.assert_finished(pipeline)
    assert caplog.messages.count("the service tells this task runner to terminate") == 1


async def test_heartbeats_of_the_runner(kit, runner, caplog):
    """At the start and every 15 minutes; what fails is repeated, and ends nothing."""
    caplog.set_level(logging.INFO, logger="aiodp")
    beat = frozenset({"ReportTaskRunnerHeartbeat"})
    one = runner(sleep_long)
    async with running(one):
        await anyio.sleep(899.5)
        assert calls(kit, "ReportTaskRunnerHeartbeat") == 1
        await anyio.sleep(1)
        assert calls(kit, "ReportTaskRunnerHeartbeat") == 2
        await anyio.sleep(3099.5)
        assert calls(kit, "ReportTaskRunnerHeartbeat") == 5
        kit.faults.add(Fault(kind=FaultKind.GARBAGE, actions=beat, duration=1000))
        await anyio.sleep(2000)
        assert kit.calls["ReportTaskRunnerHeartbeat", "ok"] >= 6
        assert one._shutdown.step == 0
    said = [message.partition(" (")[0] for message in caplog.messages if "heartb" in message]
    what = "heartbeats of the task runner"
    assert said == [f"{what} fail", f"{what} succeed again"]


async def test_once_polls_once(kit, runner):
    """One poll, one task; and no poll is broken off when it brings nothing."""
    pipelines = [kit.activity(), kit.activity()]
    one = runner(sleep_long)
    await one.run(once=True)
    assert one.statistics().polls == 1
    assert [run.status for pipeline in pipelines for run in pipeline.runs] == [
        Status.FINISHED,
        Status.WAITING_FOR_RUNNER,
    ]
    other = runner(sleep_long)
    await other.run(once=True)
    began = kit.now
    third = runner(sleep_long)
    await third.run(once=True)
    assert kit.now - began == pytest.approx(90, abs=1)
    assert third.statistics().received == 0


async def test_max_tasks_takes_no_more(kit, runner):
    """Three of five; polls that find nothing do not count."""
    one = runner(sleep_long, max_concurrency=4)
    async with running(one, max_tasks=3):
        await anyio.sleep(400)
        pipelines = [kit.activity() for _ in range(5)]
        await kit.until(lambda: one.statistics().ended.get("FINISHED") == 3)
    states = [run.status for pipeline in pipelines for run in pipeline.runs]
    assert states.count(Status.FINISHED) == 3
    assert states.count(Status.WAITING_FOR_RUNNER) == 2


async def test_a_task_that_has_ended_makes_no_room_for_another_than_max_tasks(kit, runner):
    """Two polls are held; the first task ends before there is a second one, and then come two."""
    kit.activity()

    async def work(task): ...

    one = runner(work, max_concurrency=3)
    async with running(one, max_tasks=2):
        await kit.until(lambda: one.statistics().ended)
        await anyio.sleep(5)
        pipelines = [kit.activity(), kit.activity()]
        await kit.until(lambda: one._state == "closed")
    states = {run.status for pipeline in pipelines for run in pipeline.runs}
    assert states == {Status.FINISHED, Status.WAITING_FOR_RUNNER}
    assert one.statistics().ended == {"FINISHED": 2}


@pytest.mark.parametrize(("seconds", "end"), [(8.5, "FINISHED"), (12, "no status")])
@pytest.mark.parametrize("way", ["cancel", "drain"])
async def test_the_handler_s_own_status_has_ten_seconds(kit, runner, seconds, end, way):
    """One that is on its way is not broken off by the stop, and never overwritten by FAILED."""
    pipeline = kit.activity()
    slow = Fault(kind=FaultKind.SLOW, actions=frozenset({"SetTaskStatus"}), delay=seconds)
    cleaned = []

    async def handler(task):
        kit.faults.add(slow)
        try:
            await task.set_status(TaskStatus.FINISHED)
            await anyio.sleep_forever()  # the stop is heard here
        finally:
            cleaned.append(kit.now)

    one = runner(handler, attempt_timeout=30, drain_timeout=1)
    async with running(one):
        await kit.until(lambda: one._reporter.statistics().acknowledged)
        await anyio.sleep(0.5)
        began = kit.now
        one.stop() if way == "drain" else one.cancel()
    assert one.statistics().ended == {end: 1}
    assert "errorId" not in attempts(kit, pipeline)[0]
    assert len(cleaned) == 1
    assert cleaned[0] - began < 12


@pytest.mark.parametrize(
    ("limit", "at_most", "done"), [(None, 2, False), (30, 30, True), (120, 90, True)]
)
async def test_an_idle_runner_waits_for_its_polls_where_it_may(kit, runner, limit, at_most, done):
    """With a `drain_timeout` a task that comes after the stop is done, and not late."""
    one = runner(lambda _: anyio.sleep(1), drain_timeout=limit, max_concurrency=1)
    async with running(one):
        await kit.until(lambda: one.statistics().polling == 1)
        began = kit.now
        one.stop()
    assert kit.now - began == pytest.approx(at_most, abs=1)

    async def handler(_):
        await anyio.sleep(1)

    other = runner(handler, drain_timeout=limit, max_concurrency=1)
    async with running(other):
        await kit.until(lambda: other.statistics().polling == 1)
        other.stop()
        await anyio.sleep(20)
        pipeline = kit.activity()
    [run] = pipeline.runs
    assert (run.status is Status.FINISHED) is done
