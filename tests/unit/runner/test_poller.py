"""When polls are made, and how long calls that fail are delayed."""

from __future__ import annotations

import itertools
import random

import anyio
import pytest

from aiodp import ReportKind
from aiodp._runner.execution import Shared
from aiodp._runner.handlers import Activity, Handlers, Limits
from aiodp._runner.poller import Backoff, Identity, Poller
from aiodp._runner.shutdown import Shutdown
from aiodp._types import Outcome
from aiodp.testing import VirtualTimeLoop

FAILURE = Outcome(kind=ReportKind.SERVER_ERROR)
SCALE = 8.0
"""Of the service's time; by it, all delays are exact in binary."""


@pytest.fixture
def anyio_backend():
    return "asyncio", {"loop_factory": VirtualTimeLoop}


def task_of(type_name):
    """Return what a poll brings: a task of this type."""
    fields = [{"key": "type", "stringValue": type_name}]
    objects = {"@A": {"id": "@A", "fields": fields}}
    return {"taskId": "task", "pipelineId": "df-1", "attemptId": "@A", "objects": objects}


OURS, OTHER = task_of("ShellCommandActivity"), task_of("HadoopActivity")


class Answers:
    """A transport whose polls are answered at once, by one answer after the other."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.names = set()

    async def poll(self, *names):
        self.names.add(names)
        return self.answers.pop(0)


def make_poller(transport, scale=1.0):
    """Return a poller that leaves tasks of other types, and spreads nothing."""
    handlers = Handlers(None, leave=True)
    handlers.add("ShellCommandActivity", Activity(handler=print))
    shared = Shared(
        handlers=handlers,
        limits=Limits(1),
        queries=None,  # type: ignore[arg-type]
        shutdown=Shutdown(),
        scale=scale,
        jitter=lambda: 0.0,
    )
    identity = Identity(worker_group="workers", taskrunner_id="one", hostname="here")
    return Poller(transport, identity, shared)


async def polled_at(*answers, scale=1.0):
    """Poll for all answers, one after the other; return the times, in seconds of the service."""
    transport, times = Answers(*answers), []
    poller = make_poller(transport, scale)
    while transport.answers:
        await poller.wait_turn()
        times.append(anyio.current_time() * scale)
        await poller.poll()
    assert transport.names == {("workers", "here")}
    assert (poller.polls, poller.outstanding) == (len(times), 0)
    return times


@pytest.mark.anyio
@pytest.mark.parametrize("scale", [1.0, SCALE])
async def test_polls_are_half_a_second_apart(scale):
    """Of the service, whose account may make two a second."""
    assert await polled_at(*[None] * 4, scale=scale) == [0, 0.5, 1, 1.5]


@pytest.mark.anyio
@pytest.mark.parametrize("scale", [1.0, SCALE])
async def test_polls_wait_twice_as_long_after_each_failure(scale):
    """Until one is answered, with or without a task: then the delays begin anew."""
    answers = [FAILURE, FAILURE, None, FAILURE, FAILURE, OURS, FAILURE, None]
    assert await polled_at(*answers, scale=scale) == [0, 1, 3, 3.5, 4.5, 6.5, 7, 8]


@pytest.mark.anyio
@pytest.mark.parametrize("scale", [1.0, SCALE])
async def test_polls_wait_twice_as_long_after_each_task_that_is_left(scale):
    """Up to two and a half minutes; a task that can be done begins the delays anew."""
    answers = [*[OTHER] * 10, OURS, OTHER, None]
    delays = [1, 2, 4, 8, 16, 32, 64, 128, 150, 150, 0.5, 1]
    times = await polled_at(*answers, scale=scale)
    assert [after - before for before, after in itertools.pairwise(times)] == delays


@pytest.mark.anyio
async def test_a_short_delay_does_not_end_a_long_one():
    """Polls fail, and what was polled before is not acknowledged: both want polls to wait."""
    poller = make_poller(Answers())
    for backoff in (*[poller.unanswered] * 4, poller.unacknowledged):
        poller.wait_after(backoff, FAILURE)
    await poller.wait_turn()
    assert anyio.current_time() == 8


@pytest.mark.anyio
async def test_that_tasks_of_a_type_are_left_is_logged_again_after_an_hour(caplog):
    """An hour of the service in which none of them came."""
    poller = make_poller(Answers(*[OTHER] * 3), SCALE)
    for seconds, lines in [(0, 1), (3599.5, 1), (3600.5, 2)]:
        await anyio.sleep(seconds / SCALE)
        assert await poller.poll() is None
        assert len(caplog.records) == lines


@pytest.mark.anyio
async def test_a_task_that_cannot_be_read_is_not_left_to_others():
    """They cannot read it either: it is to be failed."""
    odd = {**OTHER, "objects": {}}
    poller = make_poller(Answers(odd))
    assert await poller.poll() == odd
    assert poller.left == 0


@pytest.mark.parametrize(("jitter", "share"), [(0.0, 1.0), (0.5, 0.75), (1.0, 0.5)])
def test_delays_double_from_a_second_to_a_minute(jitter, share):
    """Up to a half is taken off at random; a success begins anew, and the count goes on."""
    backoff = Backoff("polls", lambda: jitter)
    delays = [1, 2, 4, 8, 16, 32, 60, 60]
    assert [backoff.fail(FAILURE) / share for _ in delays] == delays
    backoff.succeed()
    assert [backoff.fail(FAILURE) / share for _ in range(2)] == [1, 2]
    assert backoff.count == len(delays) + 2


def test_a_minute_is_the_delay_after_any_number_of_failures():
    """No number of them is too large to be doubled."""
    backoff = Backoff("polls", random.random)
    delays = [backoff.fail(FAILURE) for _ in range(2000)]
    assert all(30 <= delay <= 60 for delay in delays[6:])
