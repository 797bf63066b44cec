"""What the page about the local service shows first: who holds which task, for how long still.

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
from aiodp.emulator._server.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from aiodp.emulator._definition.fields import Field, Fields
    from aiodp.emulator._model.faults import ActiveFault
    from aiodp.emulator._model.records import Attempt, Pipeline, Task
    from aiodp.emulator._model.runner_registry import TaskRunnerView
    from aiodp.emulator._model.service import Service

_MAX_FIELDS: Final = 8
_MAX_TEXT: Final = 200  # characters

_EVERYTHING: Final = Selection()

Row = dict[str, Any]


def dashboard(service: Service, now: float, selection: Selection = _EVERYTHING) -> dict[str, Any]:
    """Return what the page shows at a service time, of attempts and pipelines those selected."""
    limit = selection.limit
    pipelines = [
        pipeline for pipeline in service.model.catalog.pipelines.values() if not pipeline.deleted
    ]
    held = [task for pipeline in pipelines for task in pipeline.held.values() if task.state in LIVE]
    return {
        "now": now,
        "date": service.model.context.calendar.stamp(now),
        "pipelineCount": len(pipelines),
        "pipelines": _pipelines(pipelines, selection),
        "nextDeadline": min((task.deadline or now for task in held), default=None),
        "taskCount": len(held),
        "tasks": _tasks(held, service.settings.acknowledge_timeout, selection),
        "ended": _ended(pipelines, selection),
        "queues": _queues(_waiting(pipelines), held, service, now, limit),
        "runners": _runners(service.runners, limit),
        "calls": _calls(service.calls, limit),
        "faults": _faults(service.faults.active, limit),
    }


def cut(rows: Sequence[Row], total: int) -> dict[str, Any]:
    """Return rows, and how many there are in all."""
    return {"rows": rows, "total": total}


# Pipelines


def _pipelines(pipelines: Sequence[Pipeline], selection: Selection) -> dict[str, Any]:
    chosen = [pipeline for pipeline in reversed(pipelines) if selection.takes_pipeline(pipeline)]
    return cut([pipeline_row(pipeline) for pipeline in chosen[: selection.limit]], len(chosen))


def pipeline_row(pipeline: Pipeline) -> Row:
    """Return how a pipeline stands."""
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


def _tasks(
    held: Iterable[Task], acknowledge_timeout: float, selection: Selection
) -> dict[str, Any]:
    chosen = [task for task in held if selection.takes_attempt(task.attempt)]
    order = (lambda task: task.deadline or 0.0) if selection.by_lease else _assigned_at
    first = heapq.nsmallest(selection.limit, chosen, key=order)
    return cut([task_row(task, acknowledge_timeout) for task in first], len(chosen))


def _assigned_at(task: Task) -> float:
    return task.assigned_at


def task_row(task: Task, acknowledge_timeout: float) -> Row:
    """Return who holds a task, and until when."""
    attempt = task.attempt
    waits = task.state is TaskState.ASSIGNED
    return attempt_row(attempt) | {
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


def _ended(pipelines: Iterable[Pipeline], selection: Selection) -> dict[str, Any]:
    ended = [
        (attempt.ended_at, attempt)
        for pipeline in pipelines
        for attempt in pipeline.attempts.values()
        if attempt.ended_at is not None and selection.takes_attempt(attempt)
    ]
    newest = heapq.nlargest(selection.limit, ended, key=lambda pair: pair[0])
    rows = [attempt_row(attempt) | _end(attempt) for _, attempt in newest]
    return cut(rows, len(ended))


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


def attempt_row(attempt: Attempt) -> Row:
    """Return which attempt it is, and its status."""
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
    waiting: Iterable[Attempt], held: Iterable[Task], service: Service, now: float, limit: int
) -> dict[str, Any]:
    rules, polls = service.model.leases.rules, service.model.worker_api.polls
    groups: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for attempt in waiting:
        # A paused attempt, for example, keeps its place in the queue, but no poll gets it.
        offered = attempt.queued and rules.may_run(attempt)
        groups[attempt.worker_group or ""]["offered" if offered else "later"] += 1
    for task in held:
        groups[task.attempt.worker_group or ""]["held"] += 1
    patience = 2 * service.settings.poll_hold  # a worker that has gone polls no more, nor holds
    rows = [_group(name, groups[name], polls.last(name), now - patience) for name in sorted(groups)]
    return cut(rows[:limit], len(groups)) | {
        "offered": sum(row["offered"] for row in rows),
        "unpolled": sum(row["unpolled"] for row in rows),
    }


def _waiting(pipelines: Iterable[Pipeline]) -> Iterator[Attempt]:
    """Yield the newest attempts of what waits for a worker, whether it is offered yet or not."""
    for pipeline in pipelines:
        for instance in pipeline.instances.values():
            head = instance.head
            if instance.status is Status.WAITING_FOR_RUNNER and head and not head.task:
                yield head


def _group(name: str, counts: Counter[str], polled: float | None, long_ago: float) -> Row:
    absent = polled is None or (polled < long_ago and not counts["held"])
    return {
        "key": name,
        "workerGroup": _short(name),
        "offered": counts["offered"],
        "later": counts["later"],
        "held": counts["held"],
        "polled": polled,
        "unpolled": absent and counts["offered"] > 0,
    }


def _runners(runners: Sequence[TaskRunnerView], limit: int) -> dict[str, Any]:
    newest = islice(reversed(runners), limit)
    return cut([_runner(runner) for runner in newest], len(runners))


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
    return cut(rows, len(outcomes)) | {"answered": answered, "others": calls.total() - answered}


def _operation(name: str, outcomes: Counter[str]) -> Row:
    others = {outcome: count for outcome, count in outcomes.items() if outcome != "ok"}
    return {"key": name, "operation": _short(name), "ok": outcomes["ok"], "others": others}


def _faults(active: Sequence[ActiveFault], limit: int) -> dict[str, Any]:
    return cut([_fault(fault) for fault in islice(active, limit)], len(active))


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
