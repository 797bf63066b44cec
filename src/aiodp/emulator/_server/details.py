"""What the page shows of one pipeline and of one attempt, asked for only while somebody looks."""

from __future__ import annotations

from collections import defaultdict
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from aiodp.emulator._model.audit import AuditKind, ownerships
from aiodp.emulator._model.records import LIVE
from aiodp.emulator._model.views import fields_of
from aiodp.emulator._server.dashboard import attempt_row, cut, pipeline_row, task_row

if TYPE_CHECKING:
    from aiodp.emulator._calendar import Calendar
    from aiodp.emulator._definition.fields import Fields
    from aiodp.emulator._model.audit import AuditEvent
    from aiodp.emulator._model.records import Attempt, Instance
    from aiodp.emulator._model.service import Service
    from aiodp.emulator._server.dashboard import Row
    from aiodp.emulator._server.selection import Selection

MAX_EVENTS: Final = 200
"""The latest events of an attempt which are shown, and the latest owners."""
_MAX_FIELDS: Final = 200
_MAX_TEXT: Final = 10_000  # characters of one value
_REPORTS: Final = frozenset({AuditKind.ACKNOWLEDGED, AuditKind.PROGRESS})


def pipeline_details(
    service: Service, now: float, pipeline_id: str, selection: Selection
) -> dict[str, Any]:
    """Return a pipeline and the newest of its instances which are selected.

    Raises `ServiceError` for a pipeline which is not there.
    """
    pipeline = service.model.catalog.get(pipeline_id)
    newest = reversed(pipeline.instances.values())
    chosen = [instance for instance in newest if selection.takes_instance(instance)]
    rows = [_run(instance) for instance in chosen[: selection.limit]]
    return _time(service, now) | {
        "pipeline": pipeline_row(pipeline) | {"description": _long(pipeline.description or "")},
        "runs": cut(rows, len(chosen)),
    }


def attempt_details(
    service: Service, now: float, pipeline_id: str, attempt_id: str
) -> dict[str, Any]:
    """Return an attempt, its fields, who held it, and what happened to it.

    Raises `ServiceError` for a pipeline which is not there, `KeyError` for such an attempt.
    """
    pipeline = service.model.catalog.get(pipeline_id)
    attempt = pipeline.attempts[attempt_id]
    calendar = service.model.context.calendar
    fields = fields_of(attempt.id, pipeline, calendar)
    # Equal objects of different pipelines have equal ids.
    key = (attempt.id, pipeline.id)
    events = [event for event in service.audit if (event.attempt_id, event.pipeline_id) == key]
    owners = _owners(events)
    return _time(service, now) | {
        "attempt": _attempt(attempt, service.settings.acknowledge_timeout),
        "fields": _texts(fields),
        "owners": cut(owners[:MAX_EVENTS], len(owners)),
        "events": cut(
            [_event(event, calendar) for event in events[: -MAX_EVENTS - 1 : -1]], len(events)
        ),
    }


def _time(service: Service, now: float) -> dict[str, Any]:
    return {"now": now, "date": service.model.context.calendar.stamp(now)}


def _run(instance: Instance) -> Row:
    head = instance.head
    return {
        "instance": instance.id,
        "status": instance.status.value,
        "attempts": [attempt.id for attempt in instance.attempts[-MAX_EVENTS:]],
        "workerGroup": _long((head.worker_group or "") if head else ""),
        "hostname": _long(head.hostname if head else ""),
        "started": instance.started_at,
        "ended": instance.ended_at,
        "reason": _long(instance.reason or ""),
        "over": not instance.is_open(),
    }


def _attempt(attempt: Attempt, acknowledge_timeout: float) -> Row:
    instance, task = attempt.instance, attempt.task
    held = task is not None and task.state in LIVE
    return attempt_row(attempt) | {
        "instance": instance.id,
        "instanceStatus": instance.status.value,
        "over": not instance.is_open(),
        "attempts": [other.id for other in instance.attempts[-MAX_EVENTS:]],
        "held": task_row(task, acknowledge_timeout) if held and task else None,
        "ended": attempt.ended_at,
        "error": _texts(attempt.outcome),
        "reason": _long(instance.reason or "") if attempt is instance.head else "",
    }


def _owners(events: list[AuditEvent]) -> list[Row]:
    """Return who held the attempt; the newest is the first."""
    of_task: defaultdict[str, list[AuditEvent]] = defaultdict(list)
    for event in events:
        of_task[event.task_id].append(event)
    rows = []
    for owner in ownerships(events):
        reports = [event.at for event in of_task[owner.task_id] if event.kind in _REPORTS]
        rows.append(
            {
                "task": owner.task_id,
                "hostname": _long(owner.hostname),
                "start": owner.start,
                "end": owner.end,
                "reports": len(reports),
                "reported": reports[-1] if reports else None,
            }
        )
    return rows[::-1]


def _event(event: AuditEvent, calendar: Calendar) -> Row:
    return {
        "at": event.at,
        "date": calendar.stamp(event.at),
        "kind": event.kind.value,
        "hostname": _long(event.hostname),
        "detail": _long(event.detail),
    }


def _texts(fields: Fields) -> dict[str, str]:
    shown = islice(fields.items(), _MAX_FIELDS)
    return {key: _long(", ".join(field.value for field in values)) for key, values in shown}


def _long(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…"
