"""TaskRunner: when it polls, and what it makes of odd answers."""

from __future__ import annotations

import itertools
import logging
from typing import Any

import anyio
import pytest

from aiodp import Quota, ReporterClosed, ReportKind, TaskStatus
from aiodp._core.text import shorten
from aiodp._runner.poller import Poller
from aiodp._types import Outcome
from aiodp.testing import AuditKind, Fault, FaultKind, scaled
from virtual.fake_transport import FakeRunnerTransport, FakeTransport
from virtual.kit import trio_slow
from virtual.runner_kit import attempts, calls, running

pytestmark = pytest.mark.anyio

POLL = frozenset({"PollForTask"})
REPORT = frozenset({"ReportTaskProgress"})


async def nothing(task): ...


async def sleep_long(task):
    await anyio.sleep(1800)


@pytest.fixture
def polled_at(kit, monkeypatch):
    """The times at which polls were made."""
    times = []
    poll = Poller.poll

    async def noting(self):
        times.append(anyio.current_time())
        return await poll(self)

    monkeypatch.setattr(Poller, "poll", noting)
    return times


async def test_one_poll_for_each_free_slot(kit, runner):
    """Three slots, one of them at work: two polls are held, each renewed after its 90 s."""
    kit.activity()
    one = runner(sleep_long, max_concurrency=3)
    async with running(one):
        await kit.until(lambda: one.statistics().running == 1 and one.statistics().polling == 2)
        for _ in range(50):
            await anyio.sleep(7)
            assert one.statistics().polling <= 2
        polls = one.statistics().polls
        assert 1 + 2 * 4 <= polls <= 1 + 2 * 5
        one.cancel()


async def test_no_more_than_two_polls_a_second(kit, runner, polled_at):
    """Nor less, when each brings a task that takes no time: the account has two a second."""
    pipelines = [kit.activity() for _ in range(30)]
    one = runner(nothing, max_concurrency=10)
    async with running(one):
        await kit.finished(pipelines)
    assert len(polled_at) >= 30
    for first, third in zip(polled_at, polled_at[2:], strict=False):
        assert third - first >= 1 - 1e-6
    assert polled_at[29] - polled_at[0] == pytest.approx(29 / 2, abs=0.1)


@trio_slow
@pytest.mark.parametrize(
    "kind",
    [
        FaultKind.SERVER_ERROR,
        FaultKind.UNAVAILABLE,
        FaultKind.RESET,
        FaultKind.THROTTLE,
        FaultKind.GARBAGE,
        FaultKind.EMPTY,
        FaultKind.HTML,
        FaultKind.HTML_ERROR,
        FaultKind.TYPE_IN_OK,
        FaultKind.ACCESS_DENIED,
        FaultKind.EXPIRED_TOKEN,
        FaultKind.INVALID_REQUEST,
    ],
)
async def test_failing_polls_back_off_and_never_end_the_runner(
    kit, client_runner, polled_at, caplog, kind
):
    """An hour of failures costs some hundred polls and one line; then work is found soon."""
    kit.faults.add(Fault(kind=kind, actions=POLL, duration=3600))
    pipeline = kit.activity()
    one = client_runner(nothing, max_concurrency=1)
    async with running(one):
        await anyio.sleep(3590)
        assert one.statistics().polls_failed == len(polled_at)
        assert 60 <= len(polled_at) <= 150
        gaps = [second - first for first, second in itertools.pairwise(polled_at)]
        assert max(gaps) <= 60
        assert min(gaps[8:]) >= 30
        assert max(gaps[:2]) <= 2
        await kit.finished(pipeline, timeout=200)
    lines = [r for r in caplog.records if "polls fail" in r.getMessage()]
    assert len(lines) == 1
    denied = kind in (FaultKind.ACCESS_DENIED, FaultKind.EXPIRED_TOKEN)
    assert lines[0].levelno == (logging.ERROR if denied else logging.WARNING)


async def test_polls_that_succeed_again_have_forgotten_their_failures(
    kit, client_runner, polled_at, caplog
):
    """The next failure is the first one again: of its delay, and in the log."""
    caplog.set_level(logging.INFO, logger="aiodp")
    async with running(client_runner(nothing, max_concurrency=1)):
        for duration in (600, 100):
            kit.faults.add(Fault(kind=FaultKind.THROTTLE, actions=POLL, duration=duration))
            await anyio.sleep(700)
    said = [m.partition(" (")[0] for m in caplog.messages if m.startswith("polls ")]
    assert said[:4] == ["polls fail", "polls succeed again"] * 2
    second = next(at for at in polled_at if at > 700 + polled_at[0])
    assert polled_at[polled_at.index(second) + 1] - second <= 2


async def test_a_poll_that_is_never_answered_ends(kit, client_runner, polled_at):
    """A hanging poll is given up after its 90 seconds and some, and repeated."""
    kit.faults.add(Fault(kind=FaultKind.HANG, actions=POLL, count=1))
    pipeline = kit.activity()
    one = client_runner(nothing, max_concurrency=1)
    async with running(one):
        await kit.finished(pipeline)
    assert 95 < polled_at[1] - polled_at[0] < 115


async def test_a_task_whose_hand_over_is_lost_comes_again(kit, client_runner):
    """The service offers it again after two minutes; the runner does it then, once."""
    kit.faults.add(Fault(kind=FaultKind.RESET_AFTER, actions=POLL, count=1))
    pipeline = kit.activity()
    one = client_runner(nothing)
    async with running(one):
        await kit.finished(pipeline)
    assert 120 <= kit.now < 130
    assert pipeline.runs[0].attempts == 1


async def test_polls_wait_when_nothing_can_be_acknowledged(kit, runner, caplog):
    """Who may poll but not report would take one task after the other, and do none."""
    caplog.set_level(logging.INFO, logger="aiodp")
    for _ in range(50):
        kit.activity()
    kit.faults.add(Fault(kind=FaultKind.ACCESS_DENIED, actions=REPORT, duration=600))
    done = []

    async def work(task):
        done.append(task)

    one = runner(work)
    async with running(one):
        await anyio.sleep(590)
        assert done == []
        assert 5 < one.statistics().received < 40
        assert one.statistics().ended == {"unacknowledged": one.statistics().received}
        await kit.until(lambda: len(done) == 50)
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len([r for r in errors if "acknowledgements of tasks fail" in r.getMessage()]) == 1
    assert "acknowledgements of tasks succeed again" in caplog.text
    assert any(": not begun: task " in message for message in caplog.messages)


@pytest.mark.parametrize(
    ("kind", "slower"), [(ReportKind.REFUSED, False), (ReportKind.SERVER_ERROR, True)]
)
async def test_polls_slow_down_unless_the_service_refused_the_task(
    kit, runner, monkeypatch, caplog, kind, slower
):
    """A refusal is about one task; what is not acknowledged otherwise may happen to the next."""

    async def report(*_):
        return Outcome(kind=kind)

    kit.activity()
    monkeypatch.setattr(FakeTransport, "report", report)
    one = runner(nothing)
    await one.run(max_tasks=1)
    assert one.statistics().ended == {"unacknowledged": 1}
    assert ("acknowledgements of tasks fail" in caplog.text) is slower


@pytest.mark.parametrize("scale", [1, 10])
async def test_the_quota_is_looked_at_again_after_five_seconds(kit, runner, monkeypatch, scale):
    """Of the service. It may have room again without the end of a task."""
    kit.activity()
    one = runner(nothing, **scaled(scale))
    looked_at = []

    def has_room(count):
        looked_at.append(anyio.current_time())
        return len(looked_at) > 3

    monkeypatch.setattr(one._reporter, "has_room", has_room)
    await one.run(once=True)
    gaps = [second - first for first, second in itertools.pairwise(looked_at)]
    assert gaps == pytest.approx([5 / scale] * 3)
    assert one.statistics().ended == {"FINISHED": 1}


@pytest.mark.parametrize(("seconds", "lines"), [(5.45, 1), (5.55, 2)])
async def test_that_there_is_no_room_is_logged_again_after_a_minute_with_room(
    kit, runner, monkeypatch, caplog, seconds, lines
):
    """A minute of the service, which is six seconds here; half a second passes between looks."""
    kit.activity()
    kit.activity()

    async def work(task):
        await anyio.sleep(seconds)

    one = runner(work, max_concurrency=1, **scaled(10))
    looks = itertools.cycle([False, True])
    monkeypatch.setattr(one._reporter, "has_room", lambda _: next(looks))
    await one.run(max_tasks=2)
    assert caplog.text.count("no polls until the quota can keep more tasks alive") == lines


@trio_slow
async def test_no_polls_beyond_what_the_quota_can_keep_alive(kit, runner, caplog):
    """With a tenth of a report a second there is room for 28 tasks: the rest is left to others."""
    pipelines = [kit.activity() for _ in range(32)]
    one = runner(sleep_long, max_concurrency=40, quota=Quota(rate=0.1, burst=50))
    async with running(one):
        await anyio.sleep(1000)
        assert one._reporter.capacity == 28
        assert one.statistics().running == 28
        assert one.statistics().polling == 0
        assert caplog.text.count("no polls until the quota can keep more tasks alive") == 1
        await anyio.sleep(2500)  # the kit would look at them each second
        await kit.finished(pipelines)
    assert one.statistics().ended == {"FINISHED": 32}


@trio_slow
@pytest.mark.parametrize("at_once", [1, 3])
async def test_polls_go_on_after_a_long_throttling(kit, runner, at_once):
    """What the account had to give is forgotten when it has more again; the queue is worked off."""
    for _ in range(at_once):
        kit.activity()
    one = runner(sleep_long, max_concurrency=at_once)
    async with running(one):
        await kit.until(lambda: len(one.tasks) == at_once)
        kit.faults.add(Fault(kind=FaultKind.THROTTLE, actions=REPORT, duration=900))
        await kit.until(lambda: one.statistics().ended.get("lost") == at_once)
        await anyio.sleep(900)
        later = [kit.activity() for _ in range(10)]
        await anyio.sleep(10 * 1800 / at_once)  # the kit would look at them each second
        await kit.finished(later)


async def test_the_same_task_given_twice_is_done_once(kit, runner, monkeypatch, caplog):
    """A duplicate of what is in hand is dropped, with a word."""
    pipeline = kit.activity()
    poll = FakeRunnerTransport.poll
    answers: list[Any] = []

    async def twice(self, *args):
        if answers:
            return answers.pop()
        answer = await poll(self, *args)
        answers.append(answer)
        return answer

    monkeypatch.setattr(FakeRunnerTransport, "poll", twice)
    done = []

    async def work(task):
        done.append(task)
        await anyio.sleep(100)

    one = runner(work)
    await one.run(max_tasks=2)
    assert len(done) == 1
    assert one.statistics().ended == {"duplicate": 1, "FINISHED": 1}
    kit.assert_finished(pipeline)
    [message] = caplog.messages
    assert message.startswith("ShellCommandActivity @Activity_")
    assert message.endswith(" was given twice")


async def test_two_attempts_are_never_worked_on_together(kit, runner, caplog):
    """What comes again while its first handler cleans up waits for that, and is kept alive."""
    pipeline = kit.activity()
    at_once = []

    async def work(task):
        at_once.append(task)
        assert len(at_once) == 1
        try:
            await anyio.sleep(1000)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(400)
            at_once.remove(task)

    one = runner(work)
    async with running(one):
        held = await kit.held(pipeline)
        await anyio.sleep(5)
        kit.give_away(held.task_id)
        await kit.until(lambda: len(one.tasks) == 2)
        assert len(at_once) == 1
        again = shorten(one.tasks[1].task_id)
        await kit.finished(pipeline)
    assert one.statistics().ended == {"lost": 1, "FINISHED": 1}
    assert pipeline.runs[0].attempts == 2
    said = f"task {again} was handed out again while it is worked on here; it waits for that to end"
    assert said in caplog.messages


async def test_an_attempt_that_comes_while_the_runner_stops_tells_of_the_loss_before(kit, runner):
    """The earlier one learns at once that it is lost, not at its next report in minutes."""
    pipeline = kit.activity(retryDelay="2 minutes")
    lost = []

    async def work(task):
        try:
            await anyio.sleep(1000)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(20)
            lost.append(task.lost.is_set())

    one = runner(work, interval=290, lease_timeout=900)
    async with running(one):
        held = await kit.held(pipeline)
        await anyio.sleep(5)
        kit.give_away(held.task_id)
        kit.faults.add(Fault(kind=FaultKind.SLOW, actions=REPORT, delay=5))
        await kit.until(lambda: one.statistics().received == 2)
        one.cancel()
    assert lost == [True]
    assert one.statistics().ended == {"lost": 1, "FAILED": 1}


async def test_nor_are_three(kit, runner):
    """One that waits for the first and ends before it does not let the next one pass."""
    pipeline = kit.activity()
    at_once = []

    async def work(task):
        at_once.append(task)
        assert len(at_once) == 1
        try:
            await anyio.sleep(1000)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(400)
            at_once.remove(task)

    def in_hand(attempt):
        return [task for task in one.tasks if task.attempt_id.endswith(f"_Attempt={attempt}")]

    one = runner(work, max_concurrency=4)
    async with running(one):
        for attempt in (1, 2):
            await kit.until(lambda: in_hand(attempt))  # noqa: B023 - awaited here
            await anyio.sleep(5)
            kit.give_away(in_hand(attempt)[0].task_id)
        await kit.until(lambda: in_hand(3))
        await kit.until(lambda: not in_hand(2))
        assert in_hand(1)
        await kit.finished(pipeline)
    assert one.statistics().ended == {"lost": 2, "FINISHED": 1}


@pytest.mark.parametrize(
    "answer",
    [
        {"pipelineId": "df-1"},
        {"taskId": "", "pipelineId": "df-1", "attemptId": "a", "objects": {}},
        {"taskId": "x" * 3000, "pipelineId": "df", "attemptId": "a", "objects": {"a": {"id": "a"}}},
        {"taskId": 7},
        {"taskId": "unknown", "pipelineId": "df-1", "attemptId": "a", "objects": []},
        {"taskId": "unknown", "pipelineId": "df-1", "attemptId": "a", "objects": {"a": None}},
        {
            "taskId": "unknown",
            "pipelineId": "df-1",
            "attemptId": "a",
            "objects": {"a": {"id": "a", "fields": [{"key": "type"}]}},
        },
    ],
)  # fmt: skip
async def test_garbage_for_a_task_harms_nobody(kit, runner, monkeypatch, caplog, answer):
    """It is said what is wrong, and the next task is done."""
    pipeline = kit.activity()
    poll = FakeRunnerTransport.poll
    answers = [answer]

    async def odd(self, *args):
        return answers.pop() if answers else await poll(self, *args)

    monkeypatch.setattr(FakeRunnerTransport, "poll", odd)
    one = runner(nothing)
    await one.run(max_tasks=2)
    kit.assert_finished(pipeline)
    assert one.statistics().ended == {"unacknowledged": 1, "FINISHED": 1}
    assert not [record for record in caplog.records if record.levelno >= logging.CRITICAL]
    said = ("it could not be failed: ", "acknowledgements of tasks fail ")
    assert caplog.messages[-1].startswith(said)


async def test_a_task_that_cannot_be_read_is_failed(kit, runner, monkeypatch, caplog):
    """Or it would be handed out again and again."""
    pipeline = kit.activity()
    poll = FakeRunnerTransport.poll

    async def without_objects(self, *args):
        answer: Any = await poll(self, *args)
        return {**answer, "objects": {}}

    monkeypatch.setattr(FakeRunnerTransport, "poll", without_objects)
    one = runner(nothing)
    await one.run(max_tasks=1)
    [attempt] = attempts(kit, pipeline)
    assert attempt["errorId"] == "MalformedTask"
    assert "is not among its objects" in attempt["errorMessage"]
    assert one.statistics().ended == {"FAILED": 1}
    [record] = caplog.records
    assert record.getMessage() == f"a task cannot be held: {attempt['errorMessage']}"
    assert record.pipeline == pipeline.id


async def test_a_lease_too_short_to_be_kept_is_said(kit, runner):
    """A margin as long as a task's own lease leaves no time to work: it fails, and says so."""
    pipeline = kit.activity(reportProgressTimeout="1 minute")
    await runner(nothing, safety_margin=65).run(max_tasks=1)
    [attempt] = attempts(kit, pipeline)
    assert attempt["errorId"] == "MalformedTask"
    why = "safety_margin (65 s) must be shorter than lease_timeout (60 s)"
    assert attempt["errorMessage"].startswith(why)


async def test_a_fault_of_the_runner_itself_ends_no_other_task(kit, runner, monkeypatch, caplog):
    """It is told with its traceback, and polls go on."""
    pipelines = [kit.activity(), kit.activity()]
    poll = FakeRunnerTransport.poll
    answers = iter([RuntimeError("a bug")])

    async def faulty(self, *args):
        answer = await poll(self, *args)
        if len(done) == 1:
            for error in answers:
                raise error
        return answer

    async def work(task):
        done.append(task)
        await anyio.sleep(1000)

    done: list[Any] = []
    monkeypatch.setattr(FakeRunnerTransport, "poll", faulty)
    one = runner(work)
    async with running(one):
        await kit.finished(pipelines)
    assert one.statistics().ended == {"FINISHED": 2}
    [record] = [record for record in caplog.records if record.levelno == logging.CRITICAL]
    assert record.getMessage() == "a fault in the task runner itself"
    assert str(record.exc_info[1]) == "a bug"


async def test_polls_that_bring_nothing_leave_room_for_as_many(kit, runner):
    """The quota can keep a few tasks alive; after hours of idle polls it can do so still."""
    one = runner(nothing, max_concurrency=2, quota=Quota(rate=0.02))
    assert 2 <= one._reporter.capacity <= 10
    async with running(one):
        await anyio.sleep(36_000)
        await kit.until(lambda: one.statistics().polling == 2)
        assert one.statistics().polls >= 2 * 36_000 / 100


async def test_a_reporter_that_crashes_ends_the_runner(kit, runner):
    """Nothing could be kept alive any more: handlers are interrupted, `run` raises the cause."""
    kit.activity()
    one = runner(sleep_long, max_concurrency=1)

    def crash(*_):
        raise RuntimeError("a bug")

    def is_the_bug(error):
        return str(error.__cause__) == "a bug"

    with pytest.RaisesGroup(pytest.RaisesExc(ReporterClosed, check=is_the_bug)):
        async with running(one):
            await kit.until(lambda: one.tasks)
            one._reporter._engine.schedule.next_lease = crash
            kit.activity()
            await anyio.sleep(3600)
    assert one.statistics().ended == {"lost": 1, "unacknowledged": 1}


async def test_time_scale(kit, runner):
    """An `ack_timeout` other than two minutes tells how fast the service's time runs."""
    kit.activity(reportProgressTimeout="10 minutes")
    leases = []

    async def work(task):
        leases.append(task.deadline - task.last_reported_at)
        await task.set_status(TaskStatus.FINISHED)

    one = runner(work, ack_timeout=2, lease_timeout=5, safety_margin=0.5, interval=1)
    async with running(one):
        await kit.until(lambda: leases)
        await anyio.sleep(100)
        assert calls(kit, "ReportTaskRunnerHeartbeat") == 7
    assert leases == [10]


async def test_two_runners_share_a_worker_group(kit, runner):
    """The service is what distributes: each task is done by one of them."""
    pipelines = [kit.activity() for _ in range(40)]
    done = []

    async def work(task):
        done.append(task.attempt_id)
        await anyio.sleep(100)

    first, second = runner(work, max_concurrency=10), runner(work, max_concurrency=10)
    async with running(first), running(second):
        await kit.finished(pipelines)
    assert len(done) == 40
    assert first.statistics().received + second.statistics().received == 40
    kit.assert_single_owner()
    assert len([event for event in kit.audit if event.kind is AuditKind.STATUS]) == 40
