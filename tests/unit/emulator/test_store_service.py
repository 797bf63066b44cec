"""A kept service: its time, its ids, and what it forgets."""

from __future__ import annotations

import math
import sqlite3
from datetime import UTC, datetime

import pytest

from aiodp.emulator import Fault, FaultKind, LockedService, Settings, TaskState
from aiodp.emulator._clock import ManualClock
from aiodp.emulator._model.changes import Changes
from aiodp.emulator._model.timers import Due, Timed, Timers
from aiodp.emulator._server.waiting import DroppedConnectionError
from aiodp.emulator._store import ServiceStore, Store

ACCOUNT, REGION = "123456789012", "us-east-1"
LEASE, ACKNOWLEDGE, RETRY = 300.0, 120.0, 120.0


class ScaledByHand(ManualClock):
    """A clock moved by hand which says that its time passes at a rate."""

    def __init__(self, rate):
        super().__init__()
        self.rate = rate

    def real(self, seconds):
        return seconds / self.rate if self.rate else math.inf


class Machine:
    """A machine whose time of day is told, with a service on it that can be started again."""

    def __init__(self, path):
        self.path = path
        self.wall = 1_800_000_000.0
        self.rate = 0.0
        self.start()

    def start(self, **settings):
        self.clock = ScaledByHand(self.rate)
        self.store = Store(self.path, lambda: self.wall)
        keeping = ServiceStore(self.store, ACCOUNT, REGION)
        given = Settings(**({"quotas": None} | settings))
        self.service = LockedService(self.clock, given, persistence=keeping)

    def crash(self):
        """End as by SIGKILL: nothing more is written."""
        self.store.close()

    def restart(self, after=0.0, **settings):
        self.crash()
        self.wall += after
        self.start(**settings)

    def move(self, seconds):
        """Let the service's time pass, as it does while the process runs."""
        self.wall += seconds / self.rate if self.rate else 0.0
        self.clock.advance(seconds)

    def report(self, task_id):
        answer = self.service.request("ReportTaskProgress", {"taskId": task_id})
        return answer.status == 200


@pytest.fixture
def machine(tmp_path):
    """A machine with a new service."""
    machine = Machine(tmp_path / "state")
    yield machine
    machine.crash()


def test_time_goes_on_while_the_service_is_down(machine):
    """The real time that passes counts by the new clock's scale."""
    machine.rate = 60.0
    machine.service.assign()
    machine.move(100.0)
    machine.restart(after=2.0)
    assert machine.service.now == pytest.approx(100.0 + 2.0 * 60.0)


def test_time_does_not_go_back(machine):
    """Not even if the machine's clock was set back meanwhile."""
    machine.rate = 1.0
    machine.clock.advance(100.0)
    machine.service.assign()
    machine.restart(after=-3600.0)
    assert machine.service.now == 100.0


def test_a_clock_moved_by_hand_stands_while_the_service_is_down(machine):
    """No real time makes it go on."""
    machine.move(100.0)
    machine.service.assign()
    machine.restart(after=2.0)
    assert machine.service.now == 100.0


def test_jumps_are_kept(machine):
    """A jump without any other change, of one service or of the clock of all, is not undone."""
    machine.service.jump(50.0)
    machine.restart()
    assert machine.service.now == 50.0
    machine.clock.jump(7.0)
    machine.restart()
    assert machine.service.now == 57.0


def test_the_time_that_passed_is_kept_at_once(machine):
    """A life in which nothing happens counts, even if its time ran faster than the next one's."""
    machine.service.assign()
    machine.rate = 1000.0
    machine.restart(after=1.0)
    machine.rate = 1.0
    machine.restart(after=1.0)
    assert machine.service.now == 1001.0


def test_the_dates_of_a_service_stay_in_a_later_life(machine):
    """The settings of a later life have no say in it."""
    [task_id] = machine.service.assign()
    pipeline_id = machine.service.task(task_id).pipeline_id
    before = described(machine.service, pipeline_id)
    machine.restart(epoch=datetime(2030, 7, 1, tzinfo=UTC))
    assert described(machine.service, pipeline_id) == before
    assert b"2026-01-01T00:00:00" in before


def test_a_lease_goes_on(machine):
    """With its old task id, until its old deadline."""
    machine.rate = 1.0
    [task_id] = machine.service.assign()
    assert machine.report(task_id)
    deadline = machine.service.lease_deadline(task_id)
    machine.restart(after=LEASE - 1.0)
    assert machine.service.lease_deadline(task_id) == deadline
    assert machine.report(task_id)
    machine.restart(after=LEASE - 1.0)
    assert machine.report(task_id)


def test_a_lease_runs_out_while_the_service_is_down(machine):
    """At its own time, not when the service comes back."""
    machine.rate = 1.0
    [task_id] = machine.service.assign()
    assert machine.report(task_id)
    machine.restart(after=LEASE + 1000.0)
    assert machine.service.task(task_id).state is TaskState.LAPSED
    assert not machine.report(task_id)
    assert [event.at for event in machine.service.audit if event.kind == "lapsed"] == [LEASE]


def test_no_id_is_given_twice(machine):
    """Each life has ids of its own, though the seed is the same."""
    given = []
    for _ in range(4):
        given += machine.service.assign(5)
        machine.restart()
    assert len(set(given)) == 20


def test_the_first_life_has_the_ids_of_one_that_is_not_kept(machine):
    """Whether a service is kept makes no difference to a test which counts on its seed."""
    in_memory = LockedService(ManualClock(), Settings(quotas=None))
    assert machine.service.assign(3) == in_memory.assign(3)


def test_a_reset_is_kept(machine):
    """After it the service is as new, in each later life as well."""
    [task_id] = machine.service.assign()
    machine.move(10.0)
    machine.service.reset()
    machine.restart()
    with pytest.raises(KeyError):
        machine.service.task(task_id)
    assert not machine.service.audit
    assert machine.service.now == 10.0


def test_a_reset_gives_no_id_again(machine):
    """Neither of the life before it nor, after a restart, of any other."""
    given = machine.service.assign(5)
    for _ in range(2):
        machine.service.reset()
        given += machine.service.assign(5)
        machine.restart()
        given += machine.service.assign(5)
    assert len(set(given)) == 25


@pytest.mark.parametrize("number", range(11))
def test_a_reset_is_whole_or_not_at_all(machine, number):
    """Killed between any two statements of it, the service is the old one."""
    [task_id] = machine.service.assign()
    machine.move(10.0)
    changes = iter(range(100))

    def deny(action, *_):
        changing = action in {sqlite3.SQLITE_DELETE, sqlite3.SQLITE_INSERT}
        killed = changing and next(changes) >= number
        return sqlite3.SQLITE_DENY if killed else sqlite3.SQLITE_OK

    machine.store._connection.set_authorizer(deny)
    with pytest.raises(OSError, match="not authorized"):
        machine.service.reset()
    machine.store._connection.set_authorizer(None)
    known = len(machine.service.audit)
    machine.restart()
    assert len(machine.service.audit) == known > 0
    assert machine.service.now == 10.0
    assert task_id not in machine.service.assign()


def test_faults_are_not_kept(machine):
    """They are a test's own."""
    machine.service.faults.add(Fault(kind=FaultKind.THROTTLE))
    machine.restart()
    assert machine.service.faults.active == ()


def test_quotas_are_full_again(machine):
    """They are not worth a write for each call."""
    machine.restart(quotas={"ListPipelines": (1.0, 1)})
    assert [machine.service.request("ListPipelines", {}).status for _ in range(2)] == [200, 400]
    machine.restart(quotas={"ListPipelines": (1.0, 1)})
    assert machine.service.request("ListPipelines", {}).status == 200


def test_endless_leases_are_kept(machine):
    """Though JSON has no infinity."""
    machine.restart(lease_timeout=math.inf)
    [task_id] = machine.service.assign()
    assert machine.report(task_id)
    machine.restart()
    assert machine.service.lease_deadline(task_id) == math.inf
    machine.move(1e9)
    assert machine.report(task_id)


def test_what_is_due_at_one_time_keeps_its_order(machine):
    """Who failed first is tried again first, whatever their ids are."""
    ids = machine.service.assign(3)
    for task_id in reversed(ids):
        params = {"taskId": task_id, "taskStatus": "FAILED"}
        assert machine.service.request("SetTaskStatus", params).status == 200
    failed = [machine.service.task(task_id).instance_id for task_id in reversed(ids)]
    machine.restart()
    machine.move(RETRY)
    machine.service.run_due()
    assert [event.instance_id for event in machine.service.audit if event.kind == "offered"][
        -3:
    ] == failed


def test_a_time_beyond_the_calendar_is_no_damage(machine):
    """The machine's clock, or the scale, is to blame and not the file."""
    machine.service.assign()
    machine.rate = 1000.0
    with pytest.raises(ValueError, match="the clock of this machine is wrong"):
        machine.restart(after=1e9)
    machine.restart(after=-1e9)
    assert machine.service.audit


def test_a_closed_service_changes_no_more(machine):
    """What would not be kept is refused; what is known can still be read."""
    [task_id] = machine.service.assign()
    assert machine.report(task_id)
    machine.service.close()
    for change in (
        machine.service.assign,
        machine.service.reset,
        machine.service.faults.clear,
        lambda: machine.service.jump(1.0),
        lambda: machine.service.cancel(task_id),
    ):
        with pytest.raises(DroppedConnectionError):
            change()
    assert machine.service.task(task_id).state is TaskState.HELD
    assert machine.service.faults.active == ()
    machine.restart()
    assert machine.service.task(task_id).state is TaskState.HELD


def test_services_do_not_mix(machine):
    """Each account in each region has its own part of the file."""
    other = LockedService(
        machine.clock,
        Settings(quotas=None),
        persistence=ServiceStore(machine.store, ACCOUNT, "eu-west-1"),
    )
    machine.service.assign(2)
    other.assign(3)
    machine.service.reset()
    assert machine.store.known() == [(ACCOUNT, "eu-west-1"), (ACCOUNT, REGION)]
    keeping = ServiceStore(machine.store, ACCOUNT, "eu-west-1")
    again = LockedService(machine.clock, Settings(quotas=None), persistence=keeping)
    assert len(again.audit) == len(other.audit) > 0
    assert not machine.service.audit


def test_what_cannot_be_kept_is_not_answered(machine):
    """While the disk is full calls fail; what they did is written as soon as there is room."""
    [first, second] = machine.service.assign(2)
    with machine.store.transaction() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
    limit = "PRAGMA max_page_count = {}"
    machine.store.read(limit.format(pages))
    fields = [{"key": "long", "stringValue": "x" * 10_000}]
    with pytest.raises(OSError, match="is full"):
        machine.service.request("ReportTaskProgress", {"taskId": first, "fields": fields})
    machine.store.read(limit.format(1_000_000))
    assert machine.report(second)
    machine.restart()
    assert machine.service.task(first).state is TaskState.HELD
    assert machine.service.task(first).reports == 1


def test_what_happens_by_itself_is_kept(machine):
    """Nobody has to call for it."""
    machine.service.assign()
    machine.move(ACKNOWLEDGE)
    machine.service.run_due()
    kept = machine.store.read("SELECT data FROM events ORDER BY number DESC LIMIT 2")
    assert [event.kind for event in machine.service.audit[-2:]] == ["reassigned", "offered"]
    for kind, (row,) in zip(("offered", "reassigned"), kept, strict=True):
        assert f'"kind":"{kind}"' in row
        assert f'"at":{ACKNOWLEDGE}' in row


def test_what_happens_by_itself_may_be_kept_later(machine, caplog):
    """If the disk is full just then, it is a warning."""
    machine.service.assign()
    machine.move(ACKNOWLEDGE)
    machine.store.read("PRAGMA query_only = 1")
    machine.service.run_due()
    machine.store.read("PRAGMA query_only = 0")
    assert [record.message for record in caplog.records] == ["the service's state was not saved"]
    machine.service.run_due()
    assert len(machine.store.read("SELECT 1 FROM events")) == len(machine.service.audit)


def test_each_change_of_a_timer_is_noted():
    """When it is set, when it is stopped and when it fires; not if there is nothing to stop."""
    changes = Changes()
    timers, owner = Timers(lambda: None), Timed(changes)
    timers.handle(Due.TURN, lambda *_: None)

    def noted():
        found = changes.all()
        changes.clear()
        return found == [owner]

    assert noted(), "it is new"
    timers.set(owner, Due.TURN, 1.0)
    assert noted()
    timers.run(2.0)
    assert noted()
    timers.set(owner, Due.TURN, 3.0)
    timers.set(owner, Due.TURN, 4.0)
    assert noted()
    timers.stop(owner)
    assert noted()
    timers.stop(owner, Due.RETRY)
    assert not noted()


def test_without_a_store_nothing_is_noted():
    """Records which nobody keeps have no part in it."""
    service = LockedService(ManualClock(), Settings(quotas=None))
    [task_id] = service.assign()
    with service as model:
        task = model.model.leases.tasks[task_id]
        assert type(task).__setattr__ is object.__setattr__
        assert task.changes is None


def described(service, pipeline_id):
    return service.request("DescribePipelines", {"pipelineIds": [pipeline_id]}).body
