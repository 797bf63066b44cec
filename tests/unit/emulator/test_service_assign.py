"""Tasks which `Service.assign` hands out by itself."""

from __future__ import annotations

import pytest

from aiodp.emulator import AuditKind
from unit.emulator.service_kit import Kit


def events(kit: Kit, *kinds: AuditKind) -> list[tuple[AuditKind, float]]:
    start = kit.service.audit[0].at
    return [(event.kind, event.at - start) for event in kit.service.audit if event.kind in kinds]


def test_what_is_assigned_is_in_no_queue():
    """Nobody else is offered a task which has its worker from the start."""
    kit = Kit()
    task_ids = kit.service.assign(3)
    assert len(set(task_ids)) == 3
    assert kit.poll() is None
    for task_id in task_ids:
        assert kit.call("ReportTaskProgress", taskId=task_id) == {"canceled": False}
    assert kit.poll() is None


def test_without_an_acknowledgement_it_is_offered_again():
    """After two minutes of silence the attempt is offered, and goes out under another task id."""
    kit = Kit()
    kit.clock.move(5)
    (task_id,) = kit.service.assign()
    before = events(kit, AuditKind.OFFERED)
    kit.clock.move(119)
    assert kit.poll() is None
    kit.clock.move(1)
    kit.service.advance()
    assert events(kit, AuditKind.OFFERED) == [*before, (AuditKind.OFFERED, 120.0)]
    again = kit.poll()
    assert again not in (None, task_id)
    assert kit.service.task(again).attempt_id == kit.service.task(task_id).attempt_id
    assert kit.poll() is None


def test_it_is_offered_again_behind_what_waits():
    """What comes back is the last of the queue, not the first."""
    kit = Kit()
    (task_id,) = kit.service.assign()
    kit.pipeline(count=2)
    kit.clock.move(120)
    taken = [kit.poll() for _ in range(3)]
    assert None not in taken
    assert kit.poll() is None
    attempts = [kit.service.task(task_id or "").pipeline_id for task_id in taken]
    assert attempts.index(kit.service.task(task_id).pipeline_id) == 2


@pytest.mark.parametrize("text", ["5", "-5"])
def test_a_timeout_which_is_no_period_is_refused(text):
    """A number without a unit is no reportProgressTimeout: nothing is handed out."""
    kit = Kit()
    with pytest.raises(ValueError, match=f"'{text}' is no period"):
        kit.service.assign(report_progress_timeout=text)
    assert not kit.service.audit


@pytest.mark.parametrize("option", ["worker_group", "hostname"])
@pytest.mark.parametrize("text", ["", "x" * 1025, "\ud800", "a\x00", "\uffff"])
def test_a_name_which_no_poll_could_have_is_refused(option, text):
    """Worker group and host are as PollForTask has them; otherwise nothing is handed out."""
    kit = Kit()
    with pytest.raises(ValueError, match=option):
        kit.service.assign(1, **{option: text})
    assert len(kit.service.audit) == 0
    assert len(kit.service.assign(1, **{option: "x" * 1024})) == 1
