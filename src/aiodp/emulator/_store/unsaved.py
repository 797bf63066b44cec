"""What of a service is not in its state file yet, as rows that are to be written."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Final

from aiodp.emulator._model.records import Attempt, Instance, Pipeline, Task, Timeline
from aiodp.emulator._store.rows import encode, encode_record
from aiodp.emulator._store.tables import (
    ATTEMPTS,
    CALLS,
    DEFINITIONS,
    DROP_EVENTS,
    DROP_PIPELINE,
    EVENTS,
    INSTANCES,
    OF_PIPELINE,
    PIPELINES,
    RUNNERS,
    TASKS,
    TIMELINES,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aiodp.emulator._definition.components import Definition
    from aiodp.emulator._model.changes import Changes, Persisted
    from aiodp.emulator._model.runner_registry import TaskRunnerView
    from aiodp.emulator._model.service import Service
    from aiodp.emulator._store.tables import Table

    Row = tuple[Any, ...]

_ROLES: Final = ("latest", "active")


class Unsaved:
    """Compares a service with what was saved of it; `changes` names the changed records."""

    def __init__(self, service: Service, changes: Changes) -> None:
        self._service = service
        self._changes = changes
        self._events = 0
        self._dropped = 0
        self._calls: dict[tuple[str, str], int] = {}
        self._runners: tuple[TaskRunnerView, ...] = ()
        self._definitions: dict[tuple[str, str], Definition] = {}
        self._plans: Counter[str] = Counter()
        """How many of a pipeline's plans are saved; they never change."""

    def rows(self) -> list[tuple[str, list[Row]]]:
        """Return the statements to be executed, each with the values for all of its rows."""
        rows: defaultdict[Table, list[Row]] = defaultdict(list)
        for record in self._changes.all():
            table, row = _row(record)
            rows[table].append(row)
            if isinstance(record, Pipeline):
                rows[DEFINITIONS] += self._new_definitions(record)
        rows[EVENTS] += self._new_events()
        rows[CALLS] += [(*key, count) for key, count in self._new_calls()]
        return [
            *self._new_runners(),
            *self._dropped_events(),
            *((table.put, new_rows) for table, new_rows in rows.items() if new_rows),
            *self._forgotten(),
        ]

    def saved(self) -> None:
        """Note that all of it is saved now."""
        audit = self._service.audit
        for record in self._changes.all():
            if isinstance(record, Pipeline):
                self._definitions.update(_definitions(record))
                self._plans[record.id] = len(record.plans)
        for pipeline_id in self._changes.forgotten:
            self._plans.pop(pipeline_id, None)
            for role in _ROLES:
                self._definitions.pop((pipeline_id, role), None)
        self._changes.clear()
        self._events = audit.dropped + len(audit)
        self._dropped = audit.dropped
        self._calls.update(self._new_calls())
        self._runners = self._service.runners

    def _new_definitions(self, pipeline: Pipeline) -> Iterator[Row]:
        for key, definition in _definitions(pipeline):
            if self._definitions.get(key) is not definition:
                yield (*key, encode(definition))
        for n in range(self._plans[pipeline.id], len(pipeline.plans)):
            yield pipeline.id, str(n), encode(pipeline.plans[n].definition)

    def _new_events(self) -> Iterator[Row]:
        first, events = self._service.audit.page(self._events)
        yield from ((n, encode(event)) for n, event in enumerate(events, first))

    def _dropped_events(self) -> Iterator[tuple[str, list[Row]]]:
        dropped = self._service.audit.dropped
        if dropped > self._dropped:
            yield DROP_EVENTS, [(dropped,)]

    def _forgotten(self) -> Iterator[tuple[str, list[Row]]]:
        forgotten = self._changes.forgotten.items()
        if forgotten:
            ids: list[Row] = [(pipeline_id,) for pipeline_id, _ in forgotten]
            yield from ((table.forget, ids) for table in OF_PIPELINE)
            yield DROP_PIPELINE, [(pipeline_id,) for pipeline_id, name in forgotten if name]

    def _new_calls(self) -> list[tuple[tuple[str, str], int]]:
        saved = self._calls
        return [(key, n) for key, n in self._service.calls.items() if saved.get(key) != n]

    def _new_runners(self) -> Iterator[tuple[str, list[Row]]]:
        """Yield statements which write all task runners anew, so that the latest is the last."""
        runners = self._service.runners
        if runners != self._runners:
            yield RUNNERS.clear, [()]
            yield RUNNERS.put, [(runner.taskrunner_id, encode(runner)) for runner in runners]


def _definitions(pipeline: Pipeline) -> Iterable[tuple[tuple[str, str], Definition]]:
    """Return the definitions that a pipeline can replace, by its id and their role."""
    by_role = dict(zip(_ROLES, (pipeline.latest, pipeline.active), strict=True))
    return [((pipeline.id, role), known) for role, known in by_role.items() if known is not None]


def _row(record: Persisted) -> tuple[Table, Row]:
    """Return the table and the row of a record."""
    match record:
        case Pipeline():
            data = encode_record(record, Pipeline)
            return PIPELINES, (record.id, record.name, record.unique_id, data)
        case Timeline():
            data = encode_record(record, Timeline)
            return TIMELINES, (record.pipeline.id, record.name, data)
        case Instance():
            key = (record.pipeline.id, record.id)
            return INSTANCES, (*key, record.component.id, encode_record(record, Instance))
        case Attempt():
            return ATTEMPTS, (*_key(record), encode_record(record, Attempt))
        case Task():
            return TASKS, (record.id, *_key(record.attempt), encode_record(record, Task))
    raise TypeError(f"there is no table for {record!r}")


def _key(attempt: Attempt) -> tuple[str, str, int]:
    return attempt.pipeline.id, attempt.instance.id, attempt.number
