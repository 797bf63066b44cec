"""The service behind its lock: threads that wait in it, in real time and on a clock that stands."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from aiodp.emulator import LockedService, ManualClock, ServiceClock, Settings
from aiodp.emulator._server.waiting import DroppedConnectionError

POLL = {"workerGroup": "workers", "hostname": "host"}
TIMEOUT = 60.0


class NotingClock(ManualClock):
    """Time which stands; it notes when a request is about to wait."""

    def __init__(self):
        super().__init__()
        self.waits, self.waits_again = Event(), Event()

    def real(self, seconds):
        if seconds != 1.0:  # which is asked for the rate
            (self.waits_again if self.waits.is_set() else self.waits).set()
        return super().real(seconds)


@pytest.fixture
def clock():
    return NotingClock()


@pytest.fixture
def service(clock, monkeypatch):
    monkeypatch.setattr("aiodp.emulator._server.waiting.CLIENT_CHECK_INTERVAL", TIMEOUT)
    service = LockedService(clock, Settings(quotas=None))
    yield service
    service.close()


@pytest.fixture
def held_poll(service, clock):
    """A poll which the service holds."""
    with ThreadPoolExecutor(1) as executor:
        poll = executor.submit(service.request, "PollForTask", POLL)
        assert clock.waits.wait(TIMEOUT)
        yield poll
        service.close()


def test_real_time_ends_a_long_poll():
    """Ninety seconds of a clock that runs fast pass while the request waits."""
    service = LockedService(ServiceClock(3000), Settings(quotas=None))
    assert "taskObject" not in json.loads(service.request("PollForTask", POLL).body)
    assert service.now >= 90


def test_real_time_brings_a_task_to_a_held_poll():
    """What its worker did not acknowledge for two minutes is given to the poll that waits."""
    settings = Settings(quotas=None, poll_hold=1e6)
    service = LockedService(ServiceClock(3000), settings)
    [task_id] = service.assign()
    answer = json.loads(service.request("PollForTask", POLL).body)
    assert answer["taskObject"]["taskId"] != task_id
    assert service.now >= 120


def test_who_reads_wakes_no_request(service, clock, held_poll):
    """Reading takes the lock alone; whoever may have changed something wakes those who wait."""
    with service.read() as model:
        assert model.runners == ()
    assert not clock.waits_again.wait(0.05)
    with service:
        pass
    assert clock.waits_again.wait(TIMEOUT)
    assert not held_poll.done()


@pytest.mark.parametrize("end", ["reset", "close"])
def test_a_request_which_waits_is_dropped(service, held_poll, end):
    """A reset or the end of the service ends it without an answer, and not by a reset of TCP."""
    getattr(service, end)()
    with pytest.raises(DroppedConnectionError) as dropped:
        held_poll.result(TIMEOUT)
    assert (dropped.value.reset, dropped.value.outcome) == (False, "dropped")


def test_a_closed_service_can_be_read(service):
    """What happened is still there to be looked at, but nothing can be changed."""
    [task_id] = service.assign()
    service.close()
    assert service.task(task_id).task_id == task_id
    assert len(service.events()) == len(service.audit)
    assert service.faults.active == ()
    with pytest.raises(DroppedConnectionError):
        service.assign()
