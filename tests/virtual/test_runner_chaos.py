"""Seeded chaos: three runners on one worker group, of which one is drained and one stops at once.

Handlers return, fail, report and set statuses; calls are slow, fail in every way and are answered
by nonsense; tasks are canceled and given away. Whatever comes, an instance is worked on by one
handler at a time, and each comes to an end that can be accounted for.
"""

from __future__ import annotations

import logging
import random
from collections import Counter, defaultdict
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest
from aiobotocore.config import AioConfig
from botocore import UNSIGNED

from aiodp import LeaseState, Quota, TaskRunner, TaskStatus
from aiodp._runner.execution import _LAST_STATUS_TIMEOUT
from aiodp.testing import AuditKind, Fault, FaultKind, MemoryKit, Settings, Status
from virtual.fake_transport import FakeRunner
from virtual.kit import block, set_jitter

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

SEEDS = 20
FAST_SEEDS = 1
"""The others are marked as slow."""
CLIENT_SEEDS = {1, 2}
"""Those whose calls a client makes, rough and not on each event loop; the others' go past it."""
PIPELINES = 2
ACTIVITIES = 60
RETRIES = 2
DISTURBANCE_COUNT = 80
DAY = 86_400
ENDS = {AuditKind.REASSIGNED, AuditKind.LAPSED}
KINDS = [kind for kind in FaultKind if kind is not FaultKind.CLOCK_JUMP]
"""No client can see the service's own time jump, so no lease could be safe from that."""
FEW = "HadoopActivity"
"""A type of which a runner does two tasks at once."""
CHEAP = AioConfig(signature_version=UNSIGNED, user_agent="aiodp-chaos")
"""Calls that need less time, and are handled as any."""
SLOW = 0.5
"""The share of handlers which are, if the run is rough, slow to stop."""
DISTURBANCES = ["fault"] * 3 + ["block", "clear", "clear", "cancel"] + ["give away"] * 3
HANDLER_ENDS = ["return"] * 6 + ["set status", "report", "raise", "return false"]


class HandlerCalls:
    """Who works on what: each handler's call, from its begin to its end."""

    def __init__(self, rng, *, margin, rough):
        self.rng = rng
        self.margin = margin
        self.rough = rough  # the event loop is blocked at times, and handlers are slow to stop
        self.running = defaultdict(list)
        self.calls: Counter[str] = Counter()
        self.returned = []
        self.given_away = set()
        self.violations = []

    def handler(self, runner):
        """Return the handler of one runner."""

        async def handle(task):
            with self.recorded(runner, task):
                result = await self.work(task)
                self.returned.append(task.task_id)
                return result

        return handle

    @contextmanager
    def recorded(self, runner, task):
        here = self.running[task.pipeline_id, task.attempt_id.rpartition("_Attempt=")[0]]
        self.calls[task.task_id] += not task.is_precondition  # these may be looked at repeatedly
        self.violations += [
            f"{task} began beside {call}" for call in here if self.clash(runner, call)
        ]
        here.append((runner, task))
        try:
            yield
        finally:
            here.remove((runner, task))

    def clash(self, runner, other):
        """Whether the other call should have ended before one in this runner begins.

        A runner waits for its own. Another one may not have heard yet of what was given away, and
        what it has given up may be slow to stop.
        """
        other_runner, task = other
        if runner == other_runner:
            return True
        if task.task_id in self.given_away:
            return False
        return not (self.rough and task.ended.is_set())

    @property
    def time_to_end(self):
        """For how long a handler may go on in a runner that was stopped: a status, the clean-up."""
        return _LAST_STATUS_TIMEOUT + self.margin / 2 + 1

    def expect_nobody(self, runner):
        """Note whoever works on in a runner that was stopped, and has had its time to end."""
        if not self.rough:
            calls = [call for calls in self.running.values() for call in calls]
            self.violations += [f"{task} goes on" for number, task in calls if number == runner]

    async def work(self, task):
        try:
            task.update(step="begun")
            await anyio.sleep(self.rng.uniform(0, self.rng.choice([30, 30, 30, 300])))
            return await self.end(task, self.rng.choice(HANDLER_ENDS))
        finally:
            with anyio.CancelScope(shield=True):
                slow = self.rough and self.rng.random() < SLOW
                await anyio.sleep(self.rng.uniform(0, 200 if slow else self.margin / 2))

    async def end(self, task, how):
        if how == "raise":
            raise ValueError("bad luck")
        if how == "report":
            await task.report()
        elif how == "set status":
            await task.set_status(TaskStatus.FINISHED)
        return how != "return false"

    @property
    def tasks(self):
        """The tasks that handlers work on now."""
        return [task for calls in self.running.values() for _, task in calls]


class Chaos:
    """One run: the runners, what disturbs them, and checks of who holds what."""

    def __init__(self, kit, handlers, runners, pipelines):
        self.kit = kit
        self.handlers = handlers
        self.rng = handlers.rng
        self.runners = runners
        self.pipelines = pipelines
        self.canceled = set()
        self.looks = 0

    async def run(self):
        async with anyio.create_task_group() as around:
            around.start_soon(self.disturb)
            around.start_soon(self.watch)
            async with anyio.create_task_group() as running:
                for runner in self.runners:
                    running.start_soon(runner.run)
                await self.end_two()
                await self.kit.ended(self.pipelines, timeout=DAY)
                self.runners[-1].stop()
            around.cancel_scope.cancel()

    async def end_two(self):
        """Drain the first runner, and stop the second at once, each with tasks in hand."""
        ends = [self.runners[0].stop, self.runners[1].cancel]
        for number, end in enumerate(ends, start=1):
            await self.kit.until(partial(self.is_time, number), timeout=DAY)
            end()
        await anyio.sleep(self.handlers.time_to_end)
        self.handlers.expect_nobody(1)

    def is_time(self, number):
        done = len(self.handlers.returned)
        return done >= number * PIPELINES * ACTIVITIES / 4 and self.runners[number - 1].tasks

    async def disturb(self):
        for _ in range(DISTURBANCE_COUNT):
            await anyio.sleep(self.rng.uniform(0, 50))
            kind = self.rng.choice(DISTURBANCES)
            if kind == "fault":
                self.kit.faults.add(self.fault())
            elif kind == "block" and self.handlers.rough:
                block(self.rng.uniform(0, 1.2 * self.kit.service.settings.lease_timeout))
            elif kind == "clear":
                self.kit.faults.clear()
            elif tasks := [task for runner in self.runners for task in runner.tasks]:
                waiting = [task for task in tasks if task not in self.handlers.tasks]
                self.take_away(kind, self.rng.choice(waiting or tasks))
        self.kit.faults.clear()

    def fault(self):
        return Fault(
            kind=self.rng.choice(KINDS),
            duration=self.rng.uniform(0, 80),
            every=self.rng.choice([1, 2, 3]),
            delay=self.rng.uniform(0, 15),
        )

    def take_away(self, kind, task):
        """Take a task from its runner, unless it is over already."""
        view = self.kit.task(task.task_id)
        if kind == "cancel":
            self.canceled.add((view.pipeline_id, view.instance_id))
            self.kit.cancel(task.task_id)
        elif view.deadline is not None and not view.canceled:
            self.handlers.given_away.add(task.task_id)
            self.kit.give_away(task.task_id)

    async def watch(self):
        """Let nobody believe to hold what the service has given to somebody else."""
        while True:
            self.kit.service.advance()
            for task in self.handlers.tasks:
                believed = not task.ended.is_set() and task.state is LeaseState.HELD
                if believed and task.task_id not in self.handlers.given_away:
                    self.looks += 1
                    taken = self.kit.audit.of(task.task_id, *ENDS)
                    assert not taken, f"{task} at {anyio.current_time()}: {taken}"
            await anyio.sleep(self.rng.uniform(0.01, 5))


def make_pipeline(kit):
    common = {"workerGroup": "workers", "scheduleType": "ondemand", "maximumRetries": str(RETRIES)}
    objects = [common | own for number in range(ACTIVITIES) for own in objects_of(number)]
    return kit.pipeline({"objects": objects})


def objects_of(number):
    """Return an activity: some are of a type with a limit, some wait for a precondition."""
    activity = {"id": f"Work{number}", "type": "ShellCommandActivity", "command": "true"}
    if number % 5 == 0:
        activity |= {"type": FEW, "jarUri": "s3://nowhere/few.jar"}
        del activity["command"]
    if number % 10 == 3:
        guarded = {"precondition": {"ref": f"Ready{number}"}, "failureAndRerunMode": "cascade"}
        return [activity | guarded, precondition(number)]
    return [activity]


def precondition(number):
    """Return a precondition: some are looked at again by the service, some by the runner."""
    ready = {"id": f"Ready{number}", "type": "ShellCommandPrecondition", "command": "true"}
    again = {"retryDelay": "2 minutes", "preconditionTimeout": "1 day"}
    return ready | again if number % 20 == 3 else ready


def make_runner(new_runner, handlers, number, lease):
    runner = new_runner(
        worker_group="workers",
        handler=handlers.handler(number),
        max_concurrency=handlers.rng.choice([4, 8, 12]),
        hostname=f"runner{number}",
        handle_signals=False,
        lease_timeout=lease,
        safety_margin=handlers.margin,
        interval=min(60, lease / 3),
        quota=handlers.rng.choice([None, Quota(), Quota(rate=0.5, burst=10)]),
    )
    set_jitter(runner._reporter, random.Random(handlers.rng.random()).random)
    runner.activity(FEW, max_concurrency=2)(handlers.handler(number))
    return runner


def make_chaos(new_session, seed):
    rng = random.Random(seed)
    lease = rng.choice([60, 300, 900])
    quotas = rng.choice([None, Settings().quotas])
    kit = MemoryKit(Settings(lease_timeout=lease, quotas=quotas))
    kit.latency = lambda: rng.choice([0, 0.05, 0.5, rng.uniform(0, 7.5)])
    handlers = HandlerCalls(rng, margin=rng.choice([10, 25]), rough=bool(seed % 2))
    pipelines = [make_pipeline(kit) for _ in range(PIPELINES)]
    new_runner: Callable[..., TaskRunner] = partial(FakeRunner, kit)
    if seed in CLIENT_SEEDS:
        new_runner = partial(TaskRunner, client_session(kit, new_session))
    runners = [make_runner(new_runner, handlers, number, lease) for number in range(3)]
    return Chaos(kit, handlers, runners, pipelines)


def client_session(kit, new_session):
    session = kit.attach(new_session())
    config = session.get_default_client_config() or AioConfig()
    session.set_default_client_config(config.merge(CHEAP))
    return session


def check_ends(chaos):
    """Each instance is FINISHED once, or there is a reason why it is not."""
    told = Counter(
        (event.pipeline_id, event.instance_id, event.detail)
        for event in chaos.kit.audit
        if event.kind is AuditKind.STATUS
    )
    runs = {(run.pipeline_id, run.instance_id): run for run in chaos.kit.runs(chaos.pipelines)}
    for instance, run in runs.items():
        finished = run.status is Status.FINISHED
        assert told[*instance, "FINISHED"] == finished, run
        assert finished or is_accounted_for(run, runs, told, chaos.canceled), run


def is_accounted_for(run, runs, told, canceled):
    """Whether it was canceled by us, has no tries left, or waited for what ended so."""
    instance = run.pipeline_id, run.instance_id
    cause = run.pipeline_id, run.error.partition(" is ")[0]
    match run.status:
        case Status.CANCELED:
            return instance in canceled or guarded_by(run) in canceled
        case Status.FAILED:  # FALSE costs a precondition no try
            return run.attempts - told[*instance, "FALSE"] == 1 + RETRIES
        case Status.CASCADE_FAILED:
            return is_accounted_for(runs[cause], runs, told, canceled)
    return False


def guarded_by(run):
    """Return the instance that a precondition is of: it is canceled with it."""
    return run.pipeline_id, run.instance_id.replace("@Ready", "@Work")


def check_statuses(chaos):
    """What the runners say of their tasks is what the service knows, as far as they can know it."""
    ends: Counter[str] = Counter()
    for runner in chaos.runners:
        ends.update(runner.statistics().ended)
    told = Counter(event.detail for event in chaos.kit.audit if event.kind is AuditKind.STATUS)
    unheard = ends["lost"] + ends["no status"] + ends["in doubt"] + ends["interrupted"]
    assert ends["FINISHED"] <= told["FINISHED"]
    assert ends["FAILED"] <= told["FAILED"]
    assert told.total() <= ends["FINISHED"] + ends["FAILED"] + ends["FALSE"] + unheard


def check_runners(chaos):
    """Each runner has let go of all it got; the one that drained has interrupted nothing."""
    for runner in chaos.runners:
        statistics = runner.statistics()
        assert statistics.received == sum(statistics.ended.values())
        assert (statistics.polling, statistics.running, statistics.reports.tracked) == (0, 0, 0)
        assert runner.tasks == ()
    assert "interrupted" not in chaos.runners[0].statistics().ended


@pytest.mark.parametrize(
    ("anyio_backend", "seed"),
    [
        pytest.param(
            "trio" if seed % 4 > 1 else "asyncio",
            seed,
            marks=[] if seed < FAST_SEEDS else pytest.mark.slow,
        )
        for seed in range(SEEDS)
    ],
    indirect=["anyio_backend"],
)
async def test_one_handler_at_a_time(seed, new_session, caplog):
    """Whatever fails, no instance is worked on twice at once, and all of them come to an end."""
    chaos = make_chaos(new_session, seed)
    with caplog.at_level(logging.CRITICAL, logger="aiodp"), anyio.fail_after(2 * DAY):
        await chaos.run()
    assert caplog.records == []
    assert chaos.handlers.violations == []
    assert chaos.handlers.tasks == []
    assert max(chaos.handlers.calls.values()) == 1
    assert chaos.looks > 100
    chaos.kit.audit.assert_single_owner()
    check_ends(chaos)
    check_statuses(chaos)
    check_runners(chaos)
