"""TaskRunner with plain functions, which run in threads and so in real time."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import warnings
from functools import partial

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest
from aiobotocore.session import get_session

import aiodp
from aiodp import RunnerStopped, TaskCanceled, TaskRunner, TaskStatus
from aiodp._runner import dispatcher
from aiodp.testing import MemoryKit, Settings, scaled
from virtual.runner_kit import attempts

pytestmark = pytest.mark.anyio

SCALE = 30.0
TIMINGS = scaled(SCALE)
RUN_OUT = 10.0


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def kit():
    """A service whose minutes last half a second."""
    return MemoryKit(
        Settings(
            quotas=None,
            acknowledge_timeout=120 / SCALE,
            lease_timeout=300 / SCALE,
            poll_hold=90 / SCALE,
        )
    )


@pytest.fixture
def runner(kit):
    session = kit.attach(get_session())

    def make(handler, **options):
        return TaskRunner(session, worker_group="workers", handler=handler, **TIMINGS, **options)

    return make


async def test_a_plain_function_runs_in_a_thread(kit, runner):
    """The event loop goes on; the task is there as argument and as `current_task()`."""
    pipeline = kit.activity()
    seen = []

    def work(task):
        seen.append((threading.current_thread(), aiodp.current_task() is task, task.type))
        task.update(percentComplete=100)

    await runner(work).run(max_tasks=1)
    kit.assert_finished(pipeline)
    [(thread, same, type_name)] = seen
    assert thread is not threading.main_thread()
    assert same
    assert type_name == "ShellCommandActivity"


async def test_what_it_raises_fails_the_task(kit, runner):
    """SystemExit of a thread included; the runner goes on to the next."""
    pipelines = [kit.activity(), kit.activity(), kit.activity()]
    errors = [SystemExit("gone"), StopIteration(3)]

    def work(task):
        if errors:
            raise errors.pop()

    one = runner(work, max_concurrency=1)
    await one.run(max_tasks=3)
    assert one.statistics().ended == {"FAILED": 2, "FINISHED": 1}
    kit.assert_finished(pipelines[2])


async def test_kinds_of_callables(kit, runner):
    """Partials, objects and lambdas, of coroutine functions and of plain ones."""
    done = []

    async def coroutine(name, task):
        await anyio.lowlevel.checkpoint()
        done.append(name)

    def plain(name, task):
        done.append(name)

    class Asynchronous:
        async def __call__(self, task):
            await coroutine("object", task)

    class Plain:
        def __call__(self, task):
            plain("plain object", task)

    handlers = {
        "partial": partial(coroutine, "partial"),
        "plain partial": partial(plain, "plain partial"),
        "object": Asynchronous(),
        "plain object": Plain(),
        "lambda": lambda task: coroutine("lambda", task),
        "plain lambda": lambda task: plain("plain lambda", task),
    }
    for handler in handlers.values():
        pipeline = kit.activity()
        await runner(handler).run(max_tasks=1)
        kit.assert_finished(pipeline)
    assert done == list(handlers)


@pytest.mark.slow
async def test_a_thread_hears_of_a_cancel(kit, runner):
    """`task.canceled` can be read there, and `raise_if_ended` raises; no status is sent."""
    pipeline = kit.activity()
    begun, heard = threading.Event(), []

    def work(task):
        begun.set()
        while not task.canceled.is_set():
            threading.Event().wait(0.005)
        try:
            task.raise_if_ended()
        except TaskCanceled as canceled:
            heard.append(canceled)
            raise

    one = runner(work)
    async with anyio.create_task_group() as group:
        group.start_soon(one.run)
        held = await kit.held(pipeline)
        await anyio.to_thread.run_sync(begun.wait)
        kit.cancel(held.task_id)
        await kit.until(lambda: one.statistics().ended)
        one.stop()
    assert len(heard) == 1
    assert one.statistics().ended == {"canceled": 1}
    assert not [name for name, _ in kit.calls if name == "SetTaskStatus"]


async def test_a_thread_that_hears_nothing_keeps_its_slot(kit, runner):
    """Its task is canceled, its work goes on: the slot is free when it ends, and not before."""
    deaf = kit.activity()
    begun, release = threading.Event(), threading.Event()

    def work(task):
        if task.pipeline_id == deaf.id:
            begun.set()
            assert release.wait(RUN_OUT)

    one = runner(work, max_concurrency=1)
    async with anyio.create_task_group() as group:
        group.start_soon(one.run)
        held = await kit.held(deaf)
        await anyio.to_thread.run_sync(begun.wait)
        kit.cancel(held.task_id)
        canceled = one.tasks[0].canceled
        await kit.until(canceled.is_set)
        other = kit.activity()
        await kit.until(lambda: one.statistics().reports.sent >= 2)
        assert one.statistics().polling == 0
        release.set()
        await kit.finished(other)
        one.stop()
    assert one.statistics().ended == {"canceled": 1, "FINISHED": 1}


@pytest.mark.slow
async def test_a_coroutine_of_a_plain_function_is_not_begun_too_late(kit, runner):
    """If the task was canceled while the function ran, what it returns is not awaited."""
    pipeline = kit.activity()
    begun, release = threading.Event(), threading.Event()
    awaited = []

    async def coroutine():
        awaited.append(True)

    def work(task):
        begun.set()
        assert release.wait(RUN_OUT)
        return coroutine()

    one = runner(work)
    async with anyio.create_task_group() as group:
        group.start_soon(one.run)
        held = await kit.held(pipeline)
        await anyio.to_thread.run_sync(begun.wait)
        kit.cancel(held.task_id)
        canceled = one.tasks[0].canceled
        await kit.until(canceled.is_set)
        release.set()
        await kit.until(lambda: one.statistics().ended)
        one.stop()
    assert awaited == []
    assert one.statistics().ended == {"canceled": 1}


async def test_what_a_plain_function_returns_is_not_awaited_after_a_cancel(kit, runner):
    """It has canceled the runner itself; what it returns is closed."""
    done = []

    async def coroutine():
        done.append(True)

    def work(task):
        one.cancel()
        return coroutine()

    pipeline = kit.activity()
    one = runner(work)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await one.run()
        gc.collect()
    [attempt] = attempts(kit, pipeline)
    assert done == []
    assert attempt["errorId"] == "RunnerStopped"


async def test_a_task_that_is_canceled_before_it_may_run_is_not_begun(kit, runner):
    """It waits for the limit of its type; in a thread, it could not be interrupted any more."""
    kit.activity()
    kit.activity()
    begun, release = [], threading.Event()
    one = runner(None)

    @one.activity("ShellCommandActivity", max_concurrency=1)
    def work(task):
        begun.append(task)
        assert release.wait(RUN_OUT)

    async with anyio.create_task_group() as group:
        group.start_soon(partial(one.run, max_tasks=2))
        await kit.until(lambda: len(one.tasks) == 2 and begun)
        [waiting] = set(one.tasks) - set(begun)
        kit.cancel(waiting.task_id)
        await waiting.report()
        await kit.until(lambda: one.statistics().ended)
        release.set()
    assert len(begun) == 1
    assert one.statistics().ended == {"canceled": 1, "FINISHED": 1}


@pytest.mark.parametrize("how", ["stop", "cancel"])
async def test_a_signal_handler_of_the_program_may_stop_it(monkeypatch, how):
    """An idle runner wakes up for it, and does not sleep until its polls of 90 s are over."""
    monkeypatch.setattr(dispatcher, "_LAST_POLL_TIMEOUT", 0.05)
    kit = MemoryKit()
    session = kit.attach(get_session())
    one = TaskRunner(session, worker_group="w", handler=lambda _: None, handle_signals=False)
    before = signal.signal(signal.SIGUSR1, lambda *_: getattr(one, how)())
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(one.run)
            await kit.until(lambda: one.statistics().polling == 2)
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1)).start()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert one.statistics().polls == 2


async def test_a_thread_hears_that_the_runner_stops(kit, runner):
    """`raise_if_ended` raises RunnerStopped, and the task fails with that."""
    pipeline = kit.activity()
    begun = threading.Event()

    def work(task):
        begun.set()
        while True:
            task.raise_if_ended()
            threading.Event().wait(0.005)

    one = runner(work)
    async with anyio.create_task_group() as group:
        group.start_soon(one.run)
        await kit.held(pipeline)
        await anyio.to_thread.run_sync(begun.wait)
        one.cancel()
    [run] = pipeline.runs
    assert "the task runner was stopped" in run.error


async def test_a_thread_that_does_not_end_is_left_behind(kit, runner, monkeypatch, caplog):
    """After its time the runner returns without it, sets no status, and says so."""
    monkeypatch.setattr(dispatcher, "_CLEAN_UP_TIMEOUT", 0.2)
    pipeline = kit.activity()
    begun, release = threading.Event(), threading.Event()

    def work(task):
        begun.set()
        assert release.wait(RUN_OUT)

    one = runner(work)
    async with anyio.create_task_group() as group:
        group.start_soon(one.run)
        await kit.held(pipeline)
        await anyio.to_thread.run_sync(begun.wait)
        one.cancel()
    release.set()
    assert one.statistics().ended == {"interrupted": 1}
    assert "its handler's thread goes on" in caplog.text
    assert not [name for name, _ in kit.calls if name == "SetTaskStatus"]


async def test_stop_and_cancel_from_other_threads(kit, runner):
    """A plain handler may end its runner; so may any thread."""
    pipelines = [kit.activity()]

    def work(task):
        one.stop()

    one = runner(work)
    await one.run()
    kit.assert_finished(pipelines)

    kit.activity()
    begun = asyncio.Event()

    async def forever(task):
        begun.set()
        await anyio.sleep_forever()

    other = runner(forever)
    async with anyio.create_task_group() as group:
        group.start_soon(other.run)
        await begun.wait()
        await anyio.to_thread.run_sync(other.cancel)
    assert other.statistics().ended == {"FAILED": 1}


async def test_what_is_asked_after_the_end_has_no_effect(kit, runner):
    """`stop` and `cancel` of a runner that has ended return, from any thread."""
    one = runner(lambda _: None)
    one.stop()
    await one.run()
    one.stop()
    await anyio.to_thread.run_sync(one.cancel)


async def test_a_coroutine_may_use_threads_itself(kit, runner):
    """Interrupted while it waits for one, it is told as a stop; the context reaches the thread."""
    kit.activity()
    begun, release = threading.Event(), threading.Event()
    seen = []

    def blocking():
        seen.append(aiodp.current_task())
        begun.set()
        assert release.wait(RUN_OUT)

    async def work(task):
        await asyncio.to_thread(blocking)

    one = runner(work)
    async with anyio.create_task_group() as group:
        group.start_soon(one.run)
        await anyio.to_thread.run_sync(begun.wait)
        one.cancel()
    release.set()
    assert isinstance(seen[0], aiodp.Task)
    assert one.statistics().ended == {"FAILED": 1}
    with pytest.raises(RunnerStopped):
        seen[0].raise_if_ended()


@pytest.mark.parametrize("error", [GeneratorExit, KeyboardInterrupt, asyncio.CancelledError])
async def test_what_a_thread_raises_is_told_by_its_name(kit, runner, error):
    """GeneratorExit, KeyboardInterrupt and the like of a thread fail that task alone."""
    pipelines = [kit.activity(), kit.activity()]

    def work(task):
        if task.pipeline_id == pipelines[0].id:
            raise error("out of a thread")

    await runner(work, max_concurrency=1).run(max_tasks=2)
    [run] = pipelines[0].runs
    assert run.error == "out of a thread"
    kit.assert_finished(pipelines[1])


async def test_what_a_thread_sets_last_arrives(kit, runner):
    """Before the status that it sets from there, and before the one for its return."""
    pipelines = [kit.activity(), kit.activity()]

    def work(task):
        task.update(percentComplete=100)
        if task.pipeline_id == pipelines[0].id:
            anyio.from_thread.run(task.set_status, TaskStatus.FINISHED)

    await runner(work).run(max_tasks=2)
    kit.assert_finished(pipelines)
    assert [attempts(kit, pipeline)[0]["percentComplete"] for pipeline in pipelines] == ["100"] * 2


async def test_a_thread_may_wait_until_its_progress_is_reported(kit, runner):
    """`report_from_thread` returns when the service has it, and says whether to go on."""
    pipeline = kit.activity()
    seen = []

    def work(task):
        task.update(percentComplete=50)
        seen.append(task.report_from_thread())
        seen.append(attempts(kit, pipeline)[0]["percentComplete"])
        anyio.from_thread.run_sync(kit.cancel, task.task_id)
        seen.append(aiodp.current_task().report_from_thread())

    one = runner(work)
    await one.run(max_tasks=1)
    assert seen == [False, "50", True]
    assert one.statistics().ended == {"canceled": 1}


async def test_a_thread_that_anyio_did_not_start_cannot_report(kit, runner):
    """It says how, and nothing waits for ever."""
    kit.activity()
    errors = []

    def report(task):
        try:
            task.report_from_thread()
        except RuntimeError as error:
            errors.append(str(error))

    def work(task):
        thread = threading.Thread(target=report, args=(task,))
        thread.start()
        thread.join()

    await runner(work).run(max_tasks=1)
    assert "AnyIO" in errors[0]
