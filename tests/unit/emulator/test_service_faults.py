"""The script of faults, jumps of time, and tasks and runners which are taken away."""

from __future__ import annotations

import json
import math

import anyio.lowlevel
import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession

from aiodp.emulator import AuditKind, Service, ServiceClock, TaskState
from aiodp.emulator._clock import JumpingClock, ManualClock
from aiodp.emulator._model.replies import Answer, Hang, Pending, Reset, Slow
from aiodp.testing import Fault, FaultKind, MemoryService, Settings
from unit.emulator.service_kit import Kit

REPORTS = frozenset({"ReportTaskProgress"})


def test_a_fault_changes_calls_of_the_tasks_it_names_only():
    """A fault of tasks leaves other tasks alone, and calls which are about none."""
    kit = Kit(poll_hold=0.0)
    marked, other = kit.service.assign(2)
    kit.service.faults.add(Fault(kind=FaultKind.THROTTLE, tasks=frozenset({marked})))
    assert kit.call("ReportTaskProgress", taskId=other) == {"canceled": False}
    assert kit.call("PollForTask", workerGroup="none") == {}
    for operation in ("ReportTaskProgress", "SetTaskStatus"):
        answer = kit.call(operation, taskId=marked, taskStatus="FINISHED")
        assert answer["error"] == "ThrottlingException"


@pytest.mark.parametrize("task_id", [["list"], {"a": 1}, 5, None])
def test_a_task_id_may_be_anything(task_id):
    """A malformed task id is the service's refusal, and no crash of the script."""
    kit = Kit()
    kit.service.faults.add(Fault(kind=FaultKind.THROTTLE, tasks=frozenset({"task"})))
    answer = kit.call("ReportTaskProgress", taskId=task_id)
    assert answer["error"] == "InvalidRequestException"


def test_actions_tasks_and_time_all_have_to_fit():
    """A fault with several conditions changes only a call which fits them all."""
    kit = Kit()
    [task_id] = kit.service.assign()
    kit.service.faults.add(
        Fault(
            kind=FaultKind.UNAVAILABLE,
            actions=REPORTS,
            tasks=frozenset({task_id}),
            start=kit.clock() + 10,
            duration=10,
        )
    )
    seen = []
    for _ in range(4):
        seen.append(kit.call("ReportTaskProgress", taskId=task_id).get("error"))
        kit.clock.move(7)
    assert seen == [None, None, "ServiceUnavailable", None]


def test_the_script_tells_how_far_it_got():
    """Each fault says how many calls it matched and changed; one that is over is gone."""
    kit = Kit(poll_hold=0.0)
    kit.service.faults.add(Fault(kind=FaultKind.THROTTLE, every=2, count=2))
    kit.service.faults.add(Fault(kind=FaultKind.RESET, start=kit.clock() + 50, duration=10))
    for _ in range(3):
        kit.call("PollForTask", workerGroup="none")
    first, second = kit.service.faults.active
    assert (first.matched, first.hits, first.end) == (3, 1, None)
    assert (second.start, second.end, second.hits) == (kit.clock() + 50, kit.clock() + 60, 0)
    kit.call("PollForTask", workerGroup="none")
    assert [active.fault.kind for active in kit.service.faults.active] == [FaultKind.RESET]
    kit.clock.move(60)
    assert kit.service.faults.active == ()


@pytest.mark.parametrize(
    "arguments",
    [
        {"kind": FaultKind.SLOW, "delay": -1.0},
        {"kind": FaultKind.SLOW, "delay": math.nan},
        {"kind": FaultKind.HANG, "every": 0},
        {"kind": FaultKind.HANG, "count": -1},
        {"kind": FaultKind.HANG, "duration": math.inf},
        {"kind": FaultKind.CLOCK_JUMP},
        {"kind": FaultKind.CLOCK_JUMP, "jump": -5.0},
        {"kind": FaultKind.HANG, "jump": 5.0},
    ],
)
def test_faults_which_cannot_be(arguments):
    """An impossible number is refused when the fault is made, not when it changes a call."""
    with pytest.raises(ValueError, match=r"every|delay|duration|count|jump"):
        Fault(**arguments)


def test_a_truncated_answer_is_applied():
    """The first half of the true answer comes, under the length of the whole."""
    kit = Kit()
    [task_id] = kit.service.assign()
    kit.service.faults.add(Fault(kind=FaultKind.TRUNCATED, count=1))
    answer = kit.service.request("ReportTaskProgress", {"taskId": task_id})
    assert isinstance(answer, Answer)
    assert answer.truncated
    assert answer.body == b'{"cancele'
    assert answer.headers["Content-Length"] == str(len(b'{"canceled":false}'))
    assert kit.service.task(task_id).state is TaskState.HELD
    assert kit.service.calls["ReportTaskProgress", "truncated"] == 1
    assert kit.service.calls["ReportTaskProgress", "ok"] == 0


def test_an_empty_answer_can_be_truncated():
    """An answer without a body promises one which does not come."""
    kit = Kit()
    [task_id] = kit.service.assign()
    kit.service.faults.add(Fault(kind=FaultKind.TRUNCATED))
    answer = kit.service.request("SetTaskStatus", {"taskId": task_id, "taskStatus": "FINISHED"})
    assert isinstance(answer, Answer)
    assert len(answer.body) < int(answer.headers["Content-Length"])
    assert kit.service.task(task_id).state is TaskState.DONE


def test_a_wrong_type_is_the_true_answer():
    """Only the content type is wrong; the call is applied and its body is right."""
    kit = Kit()
    [task_id] = kit.service.assign()
    kit.service.faults.add(Fault(kind=FaultKind.WRONG_TYPE))
    answer = kit.service.request("ReportTaskProgress", {"taskId": task_id})
    assert isinstance(answer, Answer)
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert json.loads(answer.body) == {"canceled": False}
    assert kit.service.calls["ReportTaskProgress", "wrong_type"] == 1


@pytest.mark.parametrize("kind", [FaultKind.TRUNCATED, FaultKind.WRONG_TYPE])
def test_a_held_poll_is_corrupted_when_it_is_answered(kind):
    """The fault of a poll which is held waits for its answer, and is counted then."""
    kit = Kit()
    kit.service.faults.add(Fault(kind=kind, actions=frozenset({"PollForTask"}), count=1))
    poll = kit.hold()
    assert poll.resume() is None
    assert kit.service.calls.total() == 0
    kit.pipeline()
    answer = poll.resume()
    assert isinstance(answer, Answer)
    assert answer.outcome == kind
    assert kit.service.calls["PollForTask", kind] == 1
    assert len(kit.service.audit.of("", AuditKind.OFFERED)) == 1
    assert sum(event.kind is AuditKind.ASSIGNED for event in kit.service.audit) == 1


def test_a_poll_under_a_fault_is_abandoned_as_any_other():
    """A held poll under a fault is abandoned as any other."""
    kit = Kit()
    kit.service.faults.add(Fault(kind=FaultKind.TRUNCATED))
    poll = kit.hold()
    poll.abandon()
    assert kit.service.calls["PollForTask", "abandoned"] == 1
    with pytest.raises(RuntimeError):
        poll.resume()


def test_what_is_not_answered_is_counted_by_the_fault_s_name():
    """Hangs, resets and slow answers keep their counts; a slow one counts as what it is."""
    kit = Kit()
    [task_id] = kit.service.assign()
    kinds = {FaultKind.HANG: Hang, FaultKind.RESET: Reset, FaultKind.RESET_AFTER: Reset}
    for kind, reply in kinds.items():
        kit.service.faults.add(Fault(kind=kind, count=1))
        given = kit.service.request("ReportTaskProgress", {"taskId": task_id})
        assert isinstance(given, reply)
        assert isinstance(given, Hang | Reset)
        assert given.outcome == kind
        assert kit.service.calls["ReportTaskProgress", kind] == 1
    kit.service.faults.add(Fault(kind=FaultKind.SLOW, delay=1, count=1))
    assert isinstance(kit.service.request("ReportTaskProgress", {"taskId": task_id}), Slow)
    assert kit.service.calls["ReportTaskProgress", "ok"] == 1


def test_a_clock_jump_comes_before_its_call_is_served():
    """Time jumps before the call is served: the lease it would have renewed is over."""
    kit = Kit()
    late, early = kit.service.assign(2)
    for task_id in (late, early):
        kit.call("ReportTaskProgress", taskId=task_id)
    before = kit.service.now
    jump = Fault(kind=FaultKind.CLOCK_JUMP, jump=301.0, tasks=frozenset({late}), count=1)
    kit.service.faults.add(jump)
    assert kit.call("ReportTaskProgress", taskId=late)["error"] == "TaskNotFoundException"
    assert kit.service.now == before + 301
    assert kit.call("ReportTaskProgress", taskId=early)["error"] == "TaskNotFoundException"
    [lapse] = kit.service.audit.of(late, AuditKind.LAPSED)
    assert lapse.at == before + 300


def test_what_is_due_within_a_jump_happens_at_its_own_time():
    """What is due within a jump happens at its own time; time goes on from there."""
    kit = Kit()
    [task_id] = kit.service.assign()
    began = kit.service.now
    kit.service.jump(1000)
    assert kit.service.now == began + 1000
    [event] = kit.service.audit.of(task_id, AuditKind.REASSIGNED)
    assert event.at == began + 120
    kit.clock.move(5)
    assert kit.service.now == began + 1005


@pytest.mark.parametrize("seconds", [-1.0, math.nan, math.inf])
def test_time_jumps_ahead_only(seconds):
    """A jump back, or to the end of time, is refused and changes nothing."""
    kit = Kit()
    before = kit.service.now
    with pytest.raises(ValueError, match="ahead"):
        kit.service.jump(seconds)
    assert kit.service.now == before


def test_a_jump_fills_buckets_and_moves_dates():
    """Quotas and the service's dates follow the time."""
    kit = Kit(quotas={"CreatePipeline": (1.0, 1)})
    assert "error" not in kit.call("CreatePipeline", name="a", uniqueId="a")
    assert kit.call("CreatePipeline", name="b", uniqueId="b")["error"] == "ThrottlingException"
    kit.service.jump(86_400)
    made = kit.call("CreatePipeline", name="b", uniqueId="b")["pipelineId"]
    [described] = kit.call("DescribePipelines", pipelineIds=[made])["pipelineDescriptionList"]
    [created] = [f["stringValue"] for f in described["fields"] if f["key"] == "@creationTime"]
    assert created.startswith("2026-01-02")


def test_a_jump_is_announced_to_subscribers():
    """Subscribers hear of a jump, by the service's own method and of a clock moved by hand."""
    clock = ManualClock()
    service = Service(clock)
    heard: list[float] = []
    service.subscribe(lambda: heard.append(service.now))
    service.jump(5)
    clock.advance(5)
    assert heard == [5.0, 10.0]


def test_an_unacknowledged_task_is_given_away():
    """Before the first report the same attempt is offered again, under a new task id."""
    kit = Kit()
    kit.pipeline()
    first = kit.poll()
    assert first
    kit.service.give_away(first)
    assert kit.service.task(first).state is TaskState.UNACKNOWLEDGED
    second = kit.poll()
    assert second
    assert kit.service.task(second).attempt_id == kit.service.task(first).attempt_id
    assert kit.call("ReportTaskProgress", taskId=first)["error"] == "TaskNotFoundException"
    kit.service.audit.assert_single_owner()


def test_a_held_task_is_given_away():
    """After reports the attempt has failed, and the next one is waiting at once."""
    kit = Kit()
    kit.pipeline()
    first = kit.poll()
    kit.call("ReportTaskProgress", taskId=first)
    kit.clock.move(10)
    assert first
    kit.service.give_away(first)
    [lapse] = kit.service.audit.of(first, AuditKind.LAPSED)
    assert lapse.at == kit.clock()
    second = kit.poll()
    assert second
    assert kit.service.task(second).attempt_id.endswith("_Attempt=2")
    kit.service.audit.assert_single_owner()


def test_only_what_is_held_can_be_given_away():
    """A task which has ended, was canceled or never was is refused, and stays as it is."""
    kit = Kit()
    done, canceled = kit.service.assign(2)
    kit.call("SetTaskStatus", taskId=done, taskStatus="FINISHED")
    kit.service.cancel(canceled)
    events = len(kit.service.audit)
    for task_id, state in ((done, "DONE"), (canceled, "CANCELED")):
        with pytest.raises(ValueError, match=state):
            kit.service.give_away(task_id)
    with pytest.raises(KeyError):
        kit.service.give_away("never given")
    assert len(kit.service.audit) == events
    assert kit.call("ReportTaskProgress", taskId=canceled) == {"canceled": True}


def test_a_held_poll_gets_what_is_given_away():
    """A poll which waits hears of a task that is given away."""
    kit = Kit()
    [task_id] = kit.service.assign(worker_group="workers")
    poll = kit.hold()
    heard: list[bool] = []
    kit.service.subscribe(lambda: heard.append(True))
    kit.service.give_away(task_id)
    assert heard
    answer = poll.resume()
    assert isinstance(answer, Answer)
    assert "taskObject" in json.loads(answer.body)


def heartbeat(kit: Kit, taskrunner_id: str, **members: str) -> bool:
    answer = kit.call("ReportTaskRunnerHeartbeat", taskrunnerId=taskrunner_id, **members)
    terminate: bool = answer["terminate"]
    return terminate


def test_task_runners_are_known_by_their_heartbeats():
    """Each runner's last heartbeat is kept; the one heard of last is the last."""
    kit = Kit()
    assert list(kit.service.runners) == []
    heartbeat(kit, "one", workerGroup="workers", hostname="host")
    heartbeat(kit, "two")
    kit.clock.move(900)
    heartbeat(kit, "one", workerGroup="others", hostname="host")
    two, one = kit.service.runners
    assert (one.taskrunner_id, one.worker_group, one.hostname) == ("one", "others", "host")
    assert (one.heartbeat_at, two.heartbeat_at) == (kit.clock(), kit.clock() - 900)
    assert two.worker_group == two.hostname == ""


def test_a_task_runner_is_told_to_terminate():
    """Each later heartbeat of that runner says so, because an answer may get lost; no other's."""
    kit = Kit()
    heartbeat(kit, "one")
    heartbeat(kit, "two")
    kit.service.terminate("one")
    assert [heartbeat(kit, "one"), heartbeat(kit, "two"), heartbeat(kit, "one")] == [1, 0, 1]
    with pytest.raises(KeyError):
        kit.service.terminate("three")


def test_only_so_many_runners_are_remembered():
    """A service that runs for weeks lets the runners go which it heard of longest ago."""
    kit = Kit()
    for number in range(1200):
        heartbeat(kit, f"runner-{number}")
    assert len(kit.service.runners) == 1000
    assert kit.service.runners[0].taskrunner_id == "runner-200"


def test_a_jumping_clock_is_its_base_and_its_jumps():
    """Jumps add up, a copy shows the same time, and what unsubscribed hears no more."""
    base = ManualClock()
    clock = JumpingClock(base)
    heard: list[str] = []
    end = clock.subscribe(lambda: heard.append("jump"))
    clock.jump(5)
    base.advance(2)
    copy = clock.copy()
    clock.jump(1)
    assert (clock(), copy(), base()) == (8.0, 7.0, 2.0)
    end()
    clock.jump(1)
    assert heard == ["jump", "jump"]


def test_no_real_time_moves_a_manual_clock():
    """Waiting for a time on it takes for ever; waiting for what is past takes nothing."""
    clock = ManualClock()
    assert clock.real(1) == math.inf
    assert clock.real(-1) == 0
    clock.advance(90)
    assert repr(clock) == "<ManualClock at 90>"
    with pytest.raises(ValueError, match="ahead"):
        clock.advance(-1)


def test_a_service_clock_jumps_by_service_seconds():
    """A jump is of service seconds, whatever the scale."""
    clock = ServiceClock(1000.0)
    before = clock()
    clock.jump(3600)
    assert clock() - before >= 3600
    assert clock.real(1000.0) == 1.0


def test_pending_is_what_a_fault_lets_pass():
    """A clock jump lets a poll be held as usual."""
    kit = Kit()
    kit.service.faults.add(Fault(kind=FaultKind.CLOCK_JUMP, jump=10.0, count=1))
    reply = kit.service.request("PollForTask", {"workerGroup": "workers"})
    assert isinstance(reply, Pending)
    assert reply.deadline == kit.service.now + 90


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def by_hand(anyio_backend):  # the loop to be started in
    """A client of a service in process, the service, and its clock, which is moved by hand."""
    clock = ManualClock()
    memory = MemoryService(clock=clock, settings=Settings(quotas=None))
    session = memory.attach(AioSession())
    config = AioConfig(retries={"total_max_attempts": 1})
    async with session.create_client("datapipeline", config=config) as client:
        yield client, memory, clock


@pytest.mark.anyio
async def test_a_service_in_process_whose_time_is_moved_by_hand(by_hand):
    """A held poll and a slow answer wait for the clock, and hear at once when it moves."""
    client, memory, clock = by_hand
    memory.faults.add(Fault(kind=FaultKind.SLOW, delay=60, actions=frozenset({"ListPipelines"})))
    ended: dict[str, float] = {}

    async def note(name, call):
        await call
        ended[name] = memory.now

    async with anyio.create_task_group() as group:
        group.start_soon(note, "poll", client.poll_for_task(workerGroup="none"))
        group.start_soon(note, "slow", client.list_pipelines())
        while len(memory.service._subscribers) < 2:
            await anyio.lowlevel.checkpoint()
        for _ in range(9):
            clock.advance(10)
            await anyio.wait_all_tasks_blocked()
    assert ended == {"slow": 60, "poll": 90}


@pytest.mark.anyio
async def test_what_can_be_done_to_a_service_in_process(by_hand):
    """Tasks are given away, runners terminated and time jumps as in the model."""
    client, memory, _ = by_hand
    given, late = memory.assign(2)
    memory.give_away(given)
    assert memory.task(given).state is TaskState.UNACKNOWLEDGED
    memory.jump(121)
    assert memory.now == 121
    assert memory.task(late).state is TaskState.UNACKNOWLEDGED
    await client.report_task_runner_heartbeat(taskrunnerId="runner")
    memory.terminate("runner")
    assert [runner.terminating for runner in memory.runners] == [True]
