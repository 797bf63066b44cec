"""Task groups that raise one error, and what is built on them."""

from __future__ import annotations

import asyncio
import signal
import threading
import traceback
from functools import partial

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from aiodp._concurrency import (
    bare_group,
    cancellation_requested,
    clock,
    first_of,
    for_each,
    interruptible,
    may_replace_handler,
    run_shielded_task,
    threadsafe_call,
)

pytestmark = pytest.mark.anyio

TOO_LONG = 60


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


class FailedError(Exception):
    """What the tests raise."""


async def fail(text="child"):
    await anyio.lowlevel.checkpoint()  # the others have begun by then
    raise FailedError(text)


async def in_group(block, *children):
    """Run the block in a `bare_group` with these children."""
    async with bare_group() as group:
        for child in children:
            group.start_soon(child)
        await block()


async def fail_when_cancelled(text="late"):
    try:
        await anyio.sleep_forever()
    finally:
        raise FailedError(text)


class TestBareGroup:
    """`bare_group`."""

    async def test_a_child_s_error_comes_out_bare_and_ends_the_block(self):
        """The block is cancelled, as in every task group."""
        with pytest.raises(FailedError, match="child"):
            await in_group(anyio.sleep_forever, fail)

    async def test_the_block_s_own_error_is_the_very_same_object(self):
        """Its cause and context too; no note is added."""
        error, cause, context = FailedError("block"), ValueError("cause"), KeyError("context")
        error.__cause__, error.__context__ = cause, context

        async def block():
            raise error

        with pytest.raises(FailedError) as caught:
            await in_group(block, anyio.sleep_forever)
        assert caught.value is error
        assert (error.__cause__, error.__context__) == (cause, context)
        assert not hasattr(error, "__notes__")

    async def test_a_child_s_error_keeps_its_context(self):
        """What it was raised from is not replaced by the cancellation of the block."""
        context = ValueError("context")

        async def fail_in_turn():
            try:
                raise context
            except ValueError:
                await fail()

        with pytest.raises(FailedError) as caught:
            await in_group(anyio.sleep_forever, fail_in_turn)
        assert caught.value.__context__ is context
        assert "fail_in_turn" in "".join(traceback.format_exception(caught.value))

    async def test_the_block_s_error_goes_before_one_of_a_child_s_clean_up(self):
        """The first error is the reason; the later one is named in its notes."""
        with pytest.raises(FailedError, match="block") as caught:
            await in_group(partial(fail, "block"), fail_when_cancelled)
        assert caught.value.__notes__ == ["another exception came after it: FailedError('late')"]

    async def test_a_child_s_error_goes_before_one_of_the_block_s_clean_up(self):
        """The other way round."""
        with pytest.raises(FailedError, match="child") as caught:
            await in_group(fail_when_cancelled, fail)
        assert caught.value.__notes__ == ["another exception came after it: FailedError('late')"]

    async def test_a_group_that_a_child_raises_stays_whole(self):
        """Only the group that the task group itself adds is taken away."""
        errors = ExceptionGroup("of the child", [FailedError("a"), FailedError("b")])

        async def fail_twice():
            raise errors

        with pytest.raises(ExceptionGroup, match="of the child") as caught:
            await in_group(anyio.sleep_forever, fail_twice)
        assert caught.value.exceptions == errors.exceptions  # trio makes groups anew

    async def test_groups_in_each_other_raise_bare_errors(self):
        """An error passes all of them."""
        with pytest.raises(FailedError, match="child"):
            await in_group(partial(in_group, anyio.sleep_forever, fail))

    async def test_cancellation_from_outside_comes_out_as_it_is(self):
        """A scope around it is left in silence, though many children are cancelled."""
        with anyio.CancelScope() as scope:
            async with bare_group() as group:
                for _ in range(3):
                    group.start_soon(anyio.sleep_forever)
                scope.cancel()
                await anyio.sleep_forever()
        assert scope.cancelled_caught

    async def test_an_error_goes_before_cancellation_from_outside(self):
        """What fails while it is cancelled is not lost."""

        async def cancelled():
            await anyio.lowlevel.checkpoint()
            scope.cancel()
            await anyio.sleep_forever()

        with pytest.raises(FailedError, match="late"), anyio.CancelScope() as scope:
            await in_group(cancelled, fail_when_cancelled, anyio.sleep_forever)

    async def test_it_can_be_cancelled_by_its_own_scope(self):
        """As anyio's; nothing is raised."""
        async with bare_group() as group:
            group.start_soon(anyio.sleep_forever)
            group.cancel_scope.cancel()

    async def test_what_is_no_exception_comes_out_bare_too(self):
        """`SystemExit`, say, from the block."""
        with pytest.raises(SystemExit):
            async with bare_group():
                raise SystemExit


class TestFirstOf:
    """`first_of`."""

    async def test_it_returns_when_the_first_wait_does_and_cancels_the_others(self):
        """Their clean-up is waited for."""
        ended = []

        async def wait():
            try:
                await anyio.sleep_forever()
            finally:
                ended.append(True)

        await first_of(wait, anyio.lowlevel.checkpoint, wait)
        assert ended == [True, True]

    async def test_a_wait_that_fails_raises_its_error_bare(self):
        """And ends the others."""
        with pytest.raises(FailedError):
            await first_of(anyio.sleep_forever, fail)

    async def test_cancellation_reaches_all_waits(self):
        """It waits for nothing more."""
        with anyio.CancelScope() as scope:
            scope.cancel()
            await first_of(anyio.sleep_forever, anyio.sleep_forever)
        assert scope.cancelled_caught


class TestForEach:
    """`for_each`."""

    @pytest.mark.parametrize(("items", "limit"), [(0, 3), (2, 3), (10, 3), (5, 1)])
    async def test_the_work_is_done_for_all_items_at_most_so_many_at_once(self, items, limit):
        """No item is asked for before there is room for it, and as many run as may."""
        asked, running, done, most = 0, 0, [], 0

        async def give():
            nonlocal asked
            for item in range(items):
                assert running < limit
                asked += 1
                yield item

        async def work(item):
            nonlocal running, most
            running += 1
            most = max(most, running)
            for _ in range(10):
                await anyio.lowlevel.checkpoint()
            running -= 1
            done.append(item)

        await for_each(give(), work, limit=limit, name="work")
        assert (asked, sorted(done), most) == (items, list(range(items)), min(items, limit))

    async def test_the_first_error_ends_all_and_comes_out_bare(self):
        """Work that waits is cancelled, the source of the items is closed."""
        ended = []

        async def give():
            try:
                for item in range(10):
                    yield item
            finally:
                ended.append("source")

        async def work(item):
            if item == 1:
                await fail()
            try:
                await anyio.sleep_forever()
            finally:
                ended.append(item)

        with pytest.raises(FailedError, match="child"):
            await for_each(give(), work, limit=2, name="work")
        assert sorted(map(str, ended)) == ["0", "source"]

    async def test_an_error_of_the_source_comes_out_bare(self):
        """Listing S3 fails, say, in the midst of the downloads."""

        async def give():
            yield 1
            await fail("source")

        with pytest.raises(FailedError, match="source"):
            await for_each(give(), anyio.sleep, limit=2, name="work")

    async def test_cancellation_ends_the_work(self):
        """From outside."""
        ended = []

        async def give():
            while True:
                yield 1

        async def work(_):
            try:
                await anyio.sleep_forever()
            finally:
                ended.append(True)
                scope.cancel()

        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(for_each_named, give(), work)
                await anyio.wait_all_tasks_blocked()
                scope.cancel()
        assert ended == [True, True]

    async def test_the_tasks_have_the_name(self):
        """As whoever debugs an event loop sees it."""
        names = []

        async def give():
            yield 1

        async def work(_):
            names.append(anyio.get_current_task().name)

        await for_each_named(give(), work)
        assert names == ["transfer"]


async def for_each_named(items, work):
    await for_each(items, work, limit=2, name="transfer")


class TestRunShieldedTask:
    """`run_shielded_task`."""

    async def test_it_returns_what_the_work_returns(self):
        """Of a task of the given name."""

        async def work():
            return anyio.get_current_task().name

        assert await run_shielded_task(work, name="one") == "one"

    async def test_it_raises_what_the_work_raises(self):
        """Bare."""
        with pytest.raises(FailedError):
            await run_shielded_task(fail, name="one")

    async def test_cancellation_reaches_the_work(self):
        """By a scope around it."""
        with anyio.CancelScope() as scope:
            scope.cancel()
            await run_shielded_task(anyio.sleep_forever, name="one")
        assert scope.cancelled_caught

    @pytest.mark.parametrize("outcome", ["returns", "fails"])
    async def test_work_that_outlasts_a_cancellation_says_how_it_ended(self, outcome):
        """In a shield, for instance; that it was cancelled is no matter then."""

        async def work():
            with anyio.CancelScope(shield=True):
                scope.cancel()
                await anyio.lowlevel.checkpoint()
            if outcome == "fails":
                raise FailedError("work")
            return outcome

        ends = []
        with anyio.CancelScope() as scope:
            try:
                ends.append(await run_shielded_task(work, name="one"))
            except FailedError:
                ends.append("fails")
        assert ends == [outcome]


@pytest.mark.parametrize("times", [1, 3])
def test_shields_hold_against_asyncio_s_own_cancellation(times):
    """However often `Task.cancel` is called, the thread is waited for."""

    async def main():
        started, released, ended = threading.Event(), threading.Event(), []

        def block():
            started.set()
            assert released.wait(TOO_LONG)
            ended.append(True)

        async def work():
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(block)

        task = asyncio.ensure_future(run_shielded_task(work, name="one"))
        await asyncio.to_thread(started.wait, TOO_LONG)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        assert not task.done()
        released.set()
        await task
        return ended

    assert asyncio.run(main()) == [True]


def test_work_that_is_cancelled_by_itself_raises_that():
    """A future that somebody else cancelled, say, and that the work awaits."""

    async def work():
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    async def main():
        with pytest.raises(asyncio.CancelledError):
            await run_shielded_task(work, name="one")

    asyncio.run(main())


class TestInterruptible:
    """`interruptible`."""

    async def test_it_ends_the_block_and_nothing_else(self):
        """The cancellation is over at the block's end."""
        async with interruptible() as interrupt:
            interrupt()
            await anyio.sleep_forever()
        await anyio.lowlevel.checkpoint()

    async def test_after_the_block_an_interruption_does_nothing(self):
        """It may come too late."""
        async with interruptible() as interrupt:
            pass
        interrupt()
        await anyio.lowlevel.checkpoint()

    async def test_an_error_of_the_block_comes_out(self):
        """A `TimeoutError` among them, which asyncio's own scope would use for itself."""

        async def interrupted():
            async with interruptible() as interrupt:
                interrupt()
                raise TimeoutError("mine")

        with pytest.raises(TimeoutError, match="mine"):
            await interrupted()


def test_on_asyncio_an_interruption_comes_once():
    """So `finally: await ...` works, as asyncio's users expect."""
    ended = []

    async def main():
        async with interruptible() as interrupt:
            interrupt()
            interrupt()
            try:
                await asyncio.sleep(TOO_LONG)
            finally:
                await asyncio.sleep(0)
                ended.append(True)

    asyncio.run(main())
    assert ended == [True]


async def test_the_clock_gives_the_loop_s_time_in_a_thread():
    """Of asyncio and of trio."""
    now = clock()
    before = anyio.current_time()
    in_thread = await anyio.to_thread.run_sync(now)
    assert before <= in_thread <= anyio.current_time()


async def test_a_thread_can_have_a_function_called_in_the_loop():
    """The loop wakes up for it."""
    called, call = anyio.Event(), threadsafe_call()
    await anyio.to_thread.run_sync(call, called.set)
    with anyio.fail_after(TOO_LONG):
        await called.wait()


@pytest.mark.parametrize(
    ("handler", "may"), [(signal.SIG_IGN, False), (signal.SIG_DFL, True), (print, True)]
)
async def test_ignored_signals_stay_ignored(handler, may):
    """As under `nohup`; others may be listened to."""
    assert may_replace_handler(handler) is may


def test_a_signal_handler_of_asyncio_s_loop_is_not_replaced():
    """The loop has one for each signal, and the program has set it."""

    async def main():
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, print)
        try:
            return may_replace_handler(signal.getsignal(signal.SIGUSR1))
        finally:
            asyncio.get_running_loop().remove_signal_handler(signal.SIGUSR1)

    assert asyncio.run(main()) is False


def test_cancellation_is_requested_only_of_the_task_itself():
    """A future that was cancelled raises the same exception, but nobody asked the task to end."""

    async def requested(task_itself):
        future = asyncio.get_running_loop().create_future()
        task = asyncio.current_task()
        assert task is not None
        if task_itself:
            task.cancel()
        else:
            future.cancel()
        try:
            await future
        except asyncio.CancelledError:
            return cancellation_requested()

    assert asyncio.run(requested(task_itself=True)) is True
    assert asyncio.run(requested(task_itself=False)) is False
