"""Tasks which ``Service.assign`` hands out by itself."""

from __future__ import annotations

from aiodp.emulator import AuditKind
from unit.service_kit import Kit


def events(kit: Kit, *kinds: AuditKind) -> list[tuple[AuditKind, float]]:
    start = kit.service.audit[0].at
    return [(one.kind, one.at - start) for one in kit.service.audit if one.kind in kinds]


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
    attempts = [kit.service.task(one or "").pipeline_id for one in taken]
    assert attempts.index(kit.service.task(task_id).pipeline_id) == 2


def test_a_timeout_which_is_no_period_is_none():
    """A number without a unit is no reportProgressTimeout: the settings' lease holds."""
    for text in ("5", "-5"):
        kit = Kit(lease_timeout=300.0)
        (task_id,) = kit.service.assign(report_progress_timeout=text)
        kit.call("ReportTaskProgress", taskId=task_id)
        assert kit.service.lease_deadline(task_id) == kit.service.now + 300.0
