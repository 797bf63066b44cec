"""Held polls, and what wakes those who wait with them."""

from __future__ import annotations

import pytest

from aiodp.emulator._model.replies import Answer
from unit.emulator.service_kit import Kit, parse


def test_nothing_is_assigned_before_resume():
    """Work which comes for a held poll stays queued until the poll asks."""
    kit = Kit()
    poll = kit.hold()
    assert poll.resume() is None
    kit.pipeline()
    kit.clock.move(1)
    other = kit.poll()
    assert other is not None
    assert poll.resume() is None


def test_a_held_poll_ends_at_its_deadline():
    """At the deadline the answer is a success without a task."""
    kit = Kit(poll_hold=90.0)
    poll = kit.hold()
    assert poll.deadline == kit.clock() + 90
    kit.clock.move(89.999)
    assert poll.resume() is None
    kit.clock.move(0.001)
    answer = poll.resume()
    assert isinstance(answer, Answer)
    assert parse(answer) == {}
    assert kit.service.calls["PollForTask", "ok"] == 1


def test_work_wins_over_the_deadline():
    """A poll which is resumed late, with work there, gets the work."""
    kit = Kit()
    poll = kit.hold()
    kit.pipeline()
    kit.clock.move(1000)
    answer = poll.resume()
    assert answer is not None
    assert "taskObject" in parse(answer)


def test_an_answered_poll_is_over():
    """Asking twice for one answer would assign two tasks, so it is an error."""
    kit = Kit()
    poll = kit.hold()
    kit.pipeline(count=2)
    assert poll.resume() is not None
    with pytest.raises(RuntimeError):
        poll.resume()
    poll.abandon()
    assert kit.service.calls["PollForTask", "abandoned"] == 0


def test_an_abandoned_poll_is_counted_once():
    """Abandoning is counted, and harmless to repeat; the poll cannot be resumed."""
    kit = Kit()
    poll = kit.hold()
    poll.abandon()
    poll.abandon()
    assert kit.service.calls["PollForTask", "abandoned"] == 1
    with pytest.raises(RuntimeError):
        poll.resume()


def test_a_poll_which_is_not_held():
    """Without a hold an empty poll is answered at once."""
    kit = Kit(poll_hold=0.0)
    assert kit.call("PollForTask", workerGroup="workers") == {}


def test_subscribers_hear_of_work():
    """Activation, retries that are scheduled, and tasks given back call the subscribers."""
    kit = Kit(retry_delay=5.0)
    calls: list[float] = []
    unsubscribe = kit.service.subscribe(lambda: calls.append(kit.clock()))
    kit.pipeline()
    assert calls
    task_id = kit.poll()
    calls.clear()
    kit.call("SetTaskStatus", taskId=task_id, taskStatus="FAILED")
    assert calls, "the retry is earlier than anything that was due"
    assert kit.service.next_event() == kit.clock() + 5
    kit.clock.move(5)
    calls.clear()
    assert kit.service.next_event() is None
    assert calls
    unsubscribe()
    calls.clear()
    kit.pipeline("other")
    assert calls == []


def test_the_next_event_follows_the_reports():
    """The next event is the earliest end of a window or lease, however often it was moved."""
    kit = Kit()
    first, second = kit.service.assign(2)
    start = kit.clock()
    assert kit.service.next_event() == start + 120
    kit.clock.move(10)
    kit.call("ReportTaskProgress", taskId=first)
    assert kit.service.next_event() == start + 120
    kit.call("ReportTaskProgress", taskId=second)
    assert kit.service.next_event() == start + 310


def test_events_have_the_time_at_which_they_were_due():
    """What happened while nobody called is recorded at its own time, in order."""
    kit = Kit(max_retries=0)
    [task_id] = kit.service.assign()
    start = kit.clock()
    kit.call("ReportTaskProgress", taskId=task_id)
    kit.clock.move(10_000)
    assert kit.service.lease_deadline(task_id) is None
    [owner] = kit.service.audit.owners(kit.service.task(task_id).attempt_id)
    assert (owner.start, owner.end) == (start, start + 300)
    assert kit.service.task(task_id).instance_status == "FAILED"
