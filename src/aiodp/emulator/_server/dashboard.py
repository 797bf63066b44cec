"""What the page about the local service shows: who holds which task, and for how long still.

All times are the service's own, in seconds, so that the page can count down by itself between two
fetches. Lists are cut to what somebody can read, and give their whole length. Texts are cut as
well; rows which might then look the same have a `key`, which is not cut.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from aiodp.emulator._model.records import LIVE, Status, TaskState
from aiodp.emulator._model.runs.health import health_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from aiodp.emulator._definition.fields import Field, Fields
    from aiodp.emulator._model.faults import ActiveFault
    from aiodp.emulator._model.leases import Leases
    from aiodp.emulator._model.records import Attempt, Pipeline, Task
    from aiodp.emulator._model.runner_registry import TaskRunnerView
    from aiodp.emulator._model.service import Service

MAX_ROWS: Final = 100
"""Rows of one list; the page stays quick however much there is."""
_MAX_FIELDS: Final = 8
_MAX_TEXT: Final = 200  # characters

Row = dict[str, Any]


def dashboard(service: Service, now: float, limit: int = MAX_ROWS) -> dict[str, Any]:
    """Return what the page shows at a service time; each list has at most `limit` rows."""
    pipelines = [
        pipeline for pipeline in service.model.catalog.pipelines.values() if not pipeline.deleted
    ]
    held = [task for pipeline in pipelines for task in pipeline.held.values() if task.state in LIVE]
    return {
        "now": now,
        "date": service.model.context.calendar.stamp(now),
        "pipelines": _pipelines(pipelines, limit),
        "nextDeadline": min((task.deadline or now for task in held), default=None),
        "tasks": _tasks(held, service.settings.acknowledge_timeout, limit),
        "ended": _ended(pipelines, limit),
        "queues": _queues(_waiting(pipelines), held, service.model.leases, limit),
        "runners": _runners(service.runners, limit),
        "calls": _calls(service.calls, limit),
        "faults": _faults(service.faults.active, limit),
    }


def _cut(rows: Sequence[Row], total: int) -> dict[str, Any]:
    return {"rows": rows, "total": total}


# Pipelines


def _pipelines(pipelines: Sequence[Pipeline], limit: int) -> dict[str, Any]:
    newest = islice(reversed(pipelines), limit)
    return _cut([_pipeline(pipeline) for pipeline in newest], len(pipelines))


def _pipeline(pipeline: Pipeline) -> Row:
    counts = Counter(instance.status for instance in pipeline.instances.values())
    return {
        "id": pipeline.id,
        "name": _short(pipeline.name),
        "state": pipeline.state.value,
        "health": health_of(pipeline),
        "nextRun": pipeline.next_run_at() if pipeline.state is Status.SCHEDULED else None,
        "counts": {status.value: counts[status] for status in Status if counts[status]},
    }


# Attempts


def _tasks(held: list[Task], acknowledge_timeout: float, limit: int) -> dict[str, Any]:
    oldest = heapq.nsmallest(limit, held, key=lambda task: task.assigned_at)
    return _cut([_task(task, acknowledge_timeout) for task in oldest], len(held))


def _task(task: Task, acknowledge_timeout: float) -> Row:
    attempt = task.attempt
    waits = task.state is TaskState.ASSIGNED
    return _attempt(attempt) | {
        "task": task.id,
        "acknowledged": not waits,
        "hostname": _short(task.hostname),
        "lease": acknowledge_timeout if waits else attempt.lease_timeout,
        "deadline": task.deadline,
        "assigned": task.assigned_at,
        "reported": attempt.reported_at,
        "reports": task.reports,
        "fields": _fields(attempt.reported),
    }


def _ended(pipelines: Iterable[Pipeline], limit: int) -> dict[str, Any]:
    ended = [
        (attempt.ended_at, attempt)
        for pipeline in pipelines
        for attempt in pipeline.attempts.values()
        if attempt.ended_at is not None
    ]
    newest = heapq.nlargest(limit, ended, key=lambda pair: pair[0])
    rows = [_attempt(attempt) | _end(attempt) for _, attempt in newest]
    return _cut(rows, len(ended))


def _end(attempt: Attempt) -> Row:
    return {
        "hostname": _short(attempt.hostname),
        "ended": attempt.ended_at,
        "fields": _fields(attempt.reported),
        "outcome": _fields(attempt.outcome) | _reason(attempt),
    }


def _reason(attempt: Attempt) -> dict[str, str]:
    instance = attempt.instance
    if attempt is not instance.head or attempt.status is Status.FINISHED or not instance.reason:
        return {}
    return {"reason": _short(instance.reason)}


def _attempt(attempt: Attempt) -> Row:
    instance = attempt.instance
    return {
        "attempt": attempt.id,
        "status": attempt.status.value,
        "pipeline": instance.pipeline.id,
        "pipelineName": _short(instance.pipeline.name),
        "workerGroup": _short(attempt.worker_group or ""),
    }


def _fields(fields: Fields) -> dict[str, str]:
    shown = islice(fields.items(), _MAX_FIELDS)
    return {key: _short(_text(values)) for key, values in shown}


def _text(values: Iterable[Field]) -> str:
    return ", ".join(field.value for field in values)


def _short(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…"


# Work and workers


def _queues(
    waiting: Iterable[Attempt], held: Iterable[Task], leases: Leases, limit: int
) -> dict[str, Any]:
    groups: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for attempt in waiting:
        # A paused attempt, for example, keeps its place in the queue, but no poll gets it.
        offered = attempt.queued and leases.rules.may_run(attempt)
        groups[attempt.worker_group or ""]["offered" if offered else "later"] += 1
    for task in held:
        groups[task.attempt.worker_group or ""]["held"] += 1
    rows = [_group(name, groups[name]) for name in sorted(groups)[:limit]]
    total = sum(counts["offered"] for counts in groups.values())
    return _cut(rows, len(groups)) | {"offered": total}


def _waiting(pipelines: Iterable[Pipeline]) -> Iterator[Attempt]:
    """Yield the newest attempts of what waits for a worker, whether it is offered yet or not."""
    for pipeline in pipelines:
        for instance in pipeline.instances.values():
            head = instance.head
            if instance.status is Status.WAITING_FOR_RUNNER and head and not head.task:
                yield head


def _group(name: str, counts: Counter[str]) -> Row:
    return {
        "key": name,
        "workerGroup": _short(name),
        "offered": counts["offered"],
        "later": counts["later"],
        "held": counts["held"],
    }


def _runners(runners: Sequence[TaskRunnerView], limit: int) -> dict[str, Any]:
    newest = islice(reversed(runners), limit)
    return _cut([_runner(runner) for runner in newest], len(runners))


def _runner(runner: TaskRunnerView) -> Row:
    return {
        "key": runner.taskrunner_id,
        "id": _short(runner.taskrunner_id),
        "workerGroup": _short(runner.worker_group),
        "hostname": _short(runner.hostname),
        "heartbeat": runner.heartbeat_at,
        "terminating": runner.terminating,
    }


def _calls(calls: Counter[tuple[str, str]], limit: int) -> dict[str, Any]:
    outcomes: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for (operation, outcome), count in calls.items():
        outcomes[operation][outcome] += count
    rows = [_operation(name, outcomes[name]) for name in sorted(outcomes)[:limit]]
    answered = sum(counts["ok"] for counts in outcomes.values())
    return _cut(rows, len(outcomes)) | {"answered": answered, "others": calls.total() - answered}


def _operation(name: str, outcomes: Counter[str]) -> Row:
    others = {outcome: count for outcome, count in outcomes.items() if outcome != "ok"}
    return {"key": name, "operation": _short(name), "ok": outcomes["ok"], "others": others}


def _faults(active: Sequence[ActiveFault], limit: int) -> dict[str, Any]:
    return _cut([_fault(fault) for fault in islice(active, limit)], len(active))


def _fault(active: ActiveFault) -> Row:
    fault = active.fault
    return {
        "kind": fault.kind.value,
        "actions": sorted(fault.actions) if fault.actions is not None else None,
        "tasks": len(fault.tasks) if fault.tasks is not None else None,
        "every": fault.every,
        "left": fault.count - active.hits if fault.count is not None else None,
        "befallen": active.hits,
        "start": active.start,
        "end": active.end,
    }
