"""What a run that has not ended waits for, as the message of a failed test says it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiodp.emulator._definition.kinds import Kind
from aiodp.emulator._model.dependencies import needed
from aiodp.emulator._model.records import TERMINAL, Attempt, Instance, Status, TaskState
from aiodp.emulator._model.runs.placement import activity_of
from aiodp.emulator._model.timers import Due

if TYPE_CHECKING:
    from aiodp.emulator._calendar import Calendar

_WAITING: Final = frozenset({Status.WAITING_ON_DEPENDENCIES, Status.WAITING_FOR_RUNNER})


def waits_for(instance: Instance, calendar: Calendar) -> str:
    """Return what has to happen next to an instance; nothing, if that is up to its worker."""
    if instance.status in TERMINAL:
        return ""
    if instance.status in _WAITING and (pause := _pause(instance, calendar)):
        return pause
    if instance.status is Status.WAITING_ON_DEPENDENCIES:
        return _dependencies(instance, calendar)
    if instance.status is Status.WAITING_FOR_RUNNER:
        return _runner(instance, calendar)
    check = calendar.maybe(instance.due(Due.CHECK))
    return f"next check at {check}" if check else ""


def _pause(instance: Instance, calendar: Calendar) -> str:
    pipeline = instance.pipeline
    if pipeline.state is not Status.SCHEDULED:
        return f"while the pipeline is {pipeline.state}"
    activity, _ = activity_of(instance, calendar)
    paused = pipeline.paused & {instance.component.id, activity.component.id}
    return f"while {_listed(paused)} is PAUSED" if paused else ""


def _dependencies(instance: Instance, calendar: Calendar) -> str:
    turn = calendar.maybe(instance.due(Due.TURN))
    if turn:
        return f"until {turn}"
    needs = needed(instance, calendar)
    if needs.met():
        user = instance.kind is Kind.RESOURCE
        return "for what runs on it" if user else "for one of its other runs to end"
    unmet = _listed({need.component.id for need in needs.unmet()})
    return f"on {unmet}" if unmet else "on runs which are still to be made"


def _runner(instance: Instance, calendar: Calendar) -> str:
    retry = calendar.maybe(instance.due(Due.RETRY))
    if retry:
        return f"next try at {retry}"
    return "" if instance.head is None else _attempt(instance.head)


def _attempt(attempt: Attempt) -> str:
    if attempt.task is not None and attempt.task.state is TaskState.ASSIGNED:
        return "for its worker to report"
    resource = attempt.instance.resource
    if resource is None and attempt.instance.runs_on is not None:
        return f"for {attempt.instance.runs_on}, which is still to be made"
    if resource is not None and resource.status is not Status.RUNNING:
        return f"for {resource.component.id}, which is {resource.status}"
    if attempt.queued:
        return f"for a poll of {attempt.worker_group!r}"
    return "" if attempt.worker_group else "for a poll, but it has no workerGroup"


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names))
