"""Ten processes of TaskRunner on one worker group; two are killed and two drained amid their work.

Once on a good day with 1,000 tasks, and once on a bad day, on which calls are throttled, fail, and
lose their answers.
"""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from acceptance.support import CREDENTIALS
from aiodp.testing import AuditKind, Fault, FaultKind, ServerKit, TaskState

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

    from acceptance.commands import Command, Commands
    from aiodp.testing import Audit, AuditEvent, LocalPipeline

pytestmark = pytest.mark.timeout(500)

WORKER: Final = Path(__file__).with_name("runner_fleet_worker.py")
GROUP: Final = "fleet"
HOSTS: Final = tuple(f"host{number}" for number in range(10))
SIGNALS: Final = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGTERM)
"""Each ends a process in the middle of the work."""
TIME_SCALE: Final = 20.0
"""All processes together are given 60 tasks a second: PollForTask's quota is one for all."""
ACTIVITIES: Final = 100
SHORT: Final = 15
LONG: Final = 210
"""Service seconds of a task; one of twenty is a long one, which outlasts its lease."""
LEASE: Final = 180.0
LEAST_HELD: Final = 3
LIMIT: Final = 300.0
"""Real seconds for all of it; an idle machine needs a tenth of that."""
POLL: Final = frozenset({"PollForTask"})
STATUS: Final = frozenset({"SetTaskStatus"})
FAULTS: Final = (
    Fault(kind=FaultKind.RESET_AFTER, actions=POLL, every=40),
    Fault(kind=FaultKind.RESET_AFTER, actions=STATUS, every=40),
    Fault(kind=FaultKind.THROTTLE, every=30),
    Fault(kind=FaultKind.SERVER_ERROR, every=35),
    Fault(kind=FaultKind.RESET, every=45),
)
OVER: Final = frozenset({AuditKind.STATUS, AuditKind.LAPSED})
ENDS: Final = OVER | {AuditKind.REASSIGNED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What the processes have to do, and what goes wrong with it."""

    pipelines: int
    faults: tuple[Fault, ...] = ()


DAYS: Final = {"good": Day(pipelines=10), "bad": Day(pipelines=4, faults=FAULTS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A line of a process's own record."""

    host: str
    what: str
    task: str
    attempt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """What the service and the processes know when all is done."""

    kit: ServerKit
    day: Day
    audit: Audit
    pipelines: list[LocalPipeline]
    held: dict[str, set[str]]
    """What the killed and then the drained processes held when they were told, by their names."""
    records: list[Record]
    codes: dict[str, int]

    @property
    def killed(self) -> tuple[str, ...]:
        """The hosts whose processes were killed."""
        return tuple(self.held)[:2]

    @property
    def drained(self) -> tuple[str, ...]:
        """The hosts whose processes were told to drain in the middle of the work."""
        return tuple(self.held)[2:]

    @property
    def not_killed(self) -> tuple[str, ...]:
        """All other hosts than the killed ones."""
        return tuple(host for host in HOSTS if host not in self.killed)

    def tasks(self, *kinds: AuditKind, hosts: tuple[str, ...] = HOSTS) -> set[str]:
        """Return the ids of these hosts' tasks that have an event of these kinds."""
        chosen = {one.task_id for one in self.audit if one.kind in kinds and one.hostname in hosts}
        return chosen - {""}

    def recorded(self, what: str, hosts: tuple[str, ...] = HOSTS) -> list[str]:
        """Return the ids of the tasks of which these hosts recorded this."""
        return [one.task for one in self.records if one.what == what and one.host in hosts]

    def held_by(self, hosts: tuple[str, ...]) -> set[str]:
        """Return the ids of the tasks that these hosts held when they were told to end."""
        return set().union(*(self.held[host] for host in hosts))


@pytest.fixture(scope="module", params=DAYS)
def fleet(request, commands, tmp_path_factory) -> Iterator[Fleet]:
    """All tasks worked off, and every process ended."""
    day = DAYS[request.param]
    folder = tmp_path_factory.mktemp("fleet")
    with ServerKit(time_scale=TIME_SCALE) as kit:
        pipelines = [kit.pipeline(definition()) for _ in range(day.pipelines)]
        for fault in day.faults:
            kit.faults.add(fault)
        with processes(commands, folder, kit.endpoint) as running:
            held = work_off(kit, running, day.pipelines * ACTIVITIES)
            codes = end(running, held)
        yield Fleet(
            kit=kit,
            day=day,
            audit=kit.audit,
            pipelines=pipelines,
            held=held,
            records=[record for host in HOSTS for record in read_records(folder, host)],
            codes=codes,
        )


def definition() -> dict[str, Any]:
    """Return a pipeline whose tasks have tries for all that goes wrong."""
    common = {
        "type": "ShellCommandActivity",
        "workerGroup": GROUP,
        "scheduleType": "ondemand",
        "maximumRetries": "5",
        "reportProgressTimeout": f"{LEASE / 60:.0f} minutes",
    }
    return {"objects": [common | activity(number) for number in range(ACTIVITIES)]}


def activity(number: int) -> dict[str, str]:
    return {"id": f"Work{number}", "command": f"sleep {SHORT if number % 20 else LONG}"}


@contextmanager
def processes(commands: Commands, folder: Path, endpoint: str) -> Iterator[dict[str, Command]]:
    """Run the processes, by their host's name; none outlives the block."""
    environment = CREDENTIALS | {"AWS_ENDPOINT_URL": endpoint, "HOME": str(folder)}
    with ExitStack() as stack:
        running: dict[str, Command] = {}
        for host in HOSTS:
            arguments = [GROUP, host, folder / host, TIME_SCALE]
            process = commands.start(*arguments, script=WORKER, env=environment)
            running[host] = stack.enter_context(process)
            stack.callback(running[host].kill)  # which does nothing to one that has ended
        yield running


class Progress:
    """How far the work has come, by the service's record, of which each event is read once."""

    def __init__(self, kit: ServerKit) -> None:
        self._kit = kit
        self._seen = 0
        self._done = 0
        self._held: dict[str, set[str]] = {host: set() for host in HOSTS}

    def has_come_to(self, count: int) -> bool:
        """Tell whether so many tasks are done."""
        self._read(self._kit.service.events(self._seen))
        return self._done >= count

    def busiest(self, count: int, but: Container[str]) -> str | None:
        """Return a host that holds several tasks, once so many are done, and None before."""
        if not self.has_come_to(count):
            return None
        host = max(
            (host for host in HOSTS if host not in but), key=lambda host: len(self._held[host])
        )
        return host if len(self._held[host]) >= LEAST_HELD else None

    def tell(self, process: Command, host: str, number: int) -> set[str]:
        """Send a signal while the service stands still; return what the process holds then."""
        with self._kit.service as model:
            self._read(model.audit[self._seen :])
            held = {one for one in self._held[host] if model.task(one).state is TaskState.HELD}
            process.send_signal(number)
        return held

    def _read(self, events: list[AuditEvent]) -> None:
        self._seen += len(events)
        for event in events:
            self._done += event.kind is AuditKind.STATUS
            if event.kind is AuditKind.ACKNOWLEDGED:
                self._held[event.hostname].add(event.task_id)
            elif event.kind in OVER:
                self._held[event.hostname].discard(event.task_id)


def work_off(kit: ServerKit, running: dict[str, Command], count: int) -> dict[str, set[str]]:
    """Wait until all is done, and meanwhile end four processes; return what these held."""
    progress = Progress(kit)
    held: dict[str, set[str]] = {}
    for place, number in enumerate(SIGNALS, start=2):
        some = count * place // 10
        host = wait_until(running, held, lambda: progress.busiest(some, held))  # noqa: B023 - awaited here
        held[host] = progress.tell(running[host], host, number)
    wait_until(running, held, partial(progress.has_come_to, count))
    return held


def wait_until(
    running: dict[str, Command], told: dict[str, set[str]], reached: Callable[[], Any]
) -> Any:
    """Wait for some progress, as long as those go on that were not told to end; return it."""
    until = time.monotonic() + LIMIT
    while not (result := reached()):
        assert time.monotonic() < until, "the fleet is too slow"
        ended = [host for host, one in running.items() if host not in told and one.poll()]
        assert not ended, f"{ended} ended by themselves"
        time.sleep(0.02)
    return result


def end(running: dict[str, Command], told: Container[str]) -> dict[str, int]:
    """Tell those that go on to drain, and return all exit codes."""
    for host, process in running.items():
        if host not in told:
            process.send_signal(signal.SIGTERM)
    return {host: process.wait(timeout=LIMIT) for host, process in running.items()}


def read_records(folder: Path, host: str) -> Iterator[Record]:
    for line in (folder / host).read_text().splitlines():
        yield Record(host=host, **json.loads(line))


def test_every_task_finishes_exactly_once(fleet):
    """All instances are FINISHED, each by one SetTaskStatus."""
    fleet.kit.assert_finished(fleet.pipelines)
    statuses = [one for one in fleet.audit if one.kind is AuditKind.STATUS]
    ended = Counter((one.pipeline_id, one.instance_id) for one in statuses)
    assert len(ended) == fleet.day.pipelines * ACTIVITIES
    assert set(ended.values()) == {1}
    assert {one.detail for one in statuses} == {"FINISHED"}


def test_no_task_has_two_owners(fleet):
    """At no service time did a task have two owners, nor did a loser speak of what others had."""
    fleet.kit.assert_single_owner()


def test_every_lease_has_one_end(fleet):
    """What was handed out was finished or taken back, once, and nothing was taken after that."""
    for task_id in fleet.tasks(AuditKind.ASSIGNED):
        kinds = [one.kind for one in fleet.audit.of(task_id)]
        [end] = [place for place, kind in enumerate(kinds) if kind in ENDS]
        assert kinds[0] is AuditKind.ASSIGNED
        assert set(kinds[1:end]) <= {AuditKind.ACKNOWLEDGED, AuditKind.PROGRESS}
        assert set(kinds[end + 1 :]) <= {AuditKind.REFUSED}


def test_what_the_killed_held_comes_back_after_its_lease(fleet):
    """Exactly a lease after its last report the task is taken back, and somebody else does it."""
    assert [fleet.codes[host] for host in fleet.killed] == [-signal.SIGKILL] * len(fleet.killed)
    lapsed = fleet.tasks(AuditKind.LAPSED, hosts=fleet.killed)
    # A call that was on its way at the kill is taken all the same.
    assert fleet.held_by(fleet.killed) <= lapsed | fleet.tasks(AuditKind.STATUS, hosts=fleet.killed)
    assert lapsed & fleet.held_by(fleet.killed)
    for task_id in lapsed:
        *_, last, loss = fleet.audit.of(task_id)
        assert loss.at - last.at == pytest.approx(LEASE)
        owners = fleet.audit.owners(loss.instance_id, loss.pipeline_id)
        [finisher] = [one for one in owners if fleet.audit.of(one.task_id, AuditKind.STATUS)]
        assert finisher.start >= loss.at
        assert finisher.hostname not in fleet.killed


def test_the_drained_leave_nothing_unfinished(fleet):
    """They end with exit code 0, and all that they ever held got its status from them."""
    assert [fleet.codes[host] for host in fleet.drained] == [0] * len(fleet.drained)
    assert all(fleet.held[host] for host in fleet.drained)
    finished = fleet.tasks(AuditKind.STATUS, hosts=fleet.drained)
    assert fleet.held_by(fleet.drained) <= finished
    assert fleet.tasks(AuditKind.ACKNOWLEDGED, hosts=fleet.drained) == finished
    assert set(fleet.recorded("begun", fleet.drained)) == finished


def test_nobody_but_the_killed_loses_what_it_holds(fleet):
    """Heartbeats keep every lease of the others, also of tasks that last longer than a lease."""
    others = fleet.not_killed
    assert fleet.tasks(AuditKind.LAPSED, hosts=others) == set()
    assert fleet.tasks(AuditKind.PROGRESS, hosts=others)
    assert [fleet.codes[host] for host in others] == [0] * len(others)


def test_the_processes_agree_with_the_service(fleet):
    """What a handler finished has its status, except where the process was killed in between."""
    others = fleet.not_killed
    finished = fleet.recorded("finished")
    assert max(Counter(finished).values()) == 1
    assert max(Counter(fleet.recorded("begun")).values()) == 1
    assert set(fleet.recorded("finished", others)) == fleet.tasks(AuditKind.STATUS, hosts=others)
    assert set(fleet.recorded("finished", fleet.killed)) >= fleet.tasks(
        AuditKind.STATUS, hosts=fleet.killed
    )
    assigned = fleet.tasks(AuditKind.ASSIGNED)
    assert all(record.task in assigned for record in fleet.records)


def test_every_process_has_its_share(fleet):
    """One worker group is shared by all of them, without a word between them."""
    assigned = [event for event in fleet.kit.audit if event.kind is AuditKind.ASSIGNED]
    assert {event.hostname for event in assigned} == set(HOSTS)


def test_all_went_wrong_that_should(fleet):
    """On the bad day every kind of fault befell calls, and tasks that nobody heard of came back."""
    outcomes = {outcome for _, outcome in fleet.kit.calls}
    if fleet.day.faults:
        wanted = {"ThrottlingException", "InternalServiceError", "reset", "reset_after"}
        assert outcomes >= wanted
        assert fleet.kit.calls["SetTaskStatus", "reset_after"] > 0
        assert fleet.tasks(AuditKind.REASSIGNED)
    else:
        assert not outcomes & {"InternalServiceError", "reset", "reset_after"}
