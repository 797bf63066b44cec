"""A service that runs for weeks does not grow: what is over is kept up to a limit, then dropped."""

from __future__ import annotations

import gc
import weakref

import pytest

from aiodp.emulator import AuditKind
from aiodp.emulator._model import audit as audits
from aiodp.emulator._model import deleted
from aiodp.emulator._store import Store
from unit.emulator.service_kit import Kit
from unit.emulator.store_dump import dump
from unit.emulator.store_kit import Walk


@pytest.fixture
def few_events(monkeypatch):
    """Twenty events are kept, and ten dropped at once."""
    monkeypatch.setattr(audits, "MAX_EVENTS", 20)
    monkeypatch.setattr(audits, "DROPPED_AT_ONCE", 10)
    monkeypatch.setattr("aiodp.emulator._store.restore.DROPPED_AT_ONCE", 10)


def keep_deleted(monkeypatch, values=10**9, names=10**9):
    monkeypatch.setattr(deleted, "MAX_KEPT_VALUES", values)
    monkeypatch.setattr(deleted, "MAX_KEPT_NAMES", names)


def test_unknown_operations_are_counted_up_to_a_limit():
    """Their names come from anybody, and each may be as long as a header is."""
    kit = Kit()
    for name in (*(f"{n}" for n in range(300)), "0", *(f"{n}" + "x" * 60_000 for n in range(9))):
        answer = kit.call(name)
        assert answer["error"] == "UnknownOperationException"
        assert len(answer["message"]) < 200
    counted = {name: count for (name, _), count in kit.service.calls.items()}
    assert counted == {"0": 2} | {f"{n}": 1 for n in range(1, 100)} | {"(others)": 209}


def test_the_audit_holds_the_latest_events(few_events):
    """Older ones are dropped, of the index by task as well; the numbers of events go on."""
    kit = Kit()
    first, second = kit.service.assign(2)
    audit = kit.service.audit
    while audit.dropped < 50:
        kit.call("ReportTaskProgress", taskId=first)
        assert len(audit) < 30
    assert audit.of(second) == []
    assert len(audit.of(first)) == len(audit)
    number, events = audit.page(0)
    assert (number, events) == (50, list(audit))
    assert audit.page(55, 3) == (55, audit[5:8])
    assert audit.page(1000) == (1000, [])
    audit.assert_single_owner()


def test_owners_are_found_among_what_is_kept(few_events):
    """An assignment that was dropped is no owner any more, and nobody is blamed for it."""
    kit = Kit()
    (task_id,) = kit.service.assign()
    for _ in range(40):
        kit.call("ReportTaskProgress", taskId=task_id)
    instance_id = kit.service.task(task_id).instance_id
    assert kit.service.audit.owners(instance_id) == []
    kit.service.give_away(task_id)
    kit.clock.move(1.0)
    assert kit.poll("workers") is not None
    (owner,) = kit.service.audit.owners(instance_id)
    assert owner.end is None
    kit.service.audit.assert_single_owner()
    assert kit.service.audit.of(task_id, AuditKind.LAPSED)


def deleted_pipeline(kit, name):
    """Make a pipeline with a held and a queued task, and delete it; return its id and the task."""
    pipeline_id = kit.pipeline(name, count=2)
    task_id = kit.poll()
    kit.call("ReportTaskProgress", taskId=task_id)
    kit.call("DeletePipeline", pipelineId=pipeline_id)
    return pipeline_id, task_id


def error_of(kit, operation, **params):
    return kit.call(operation, **params)["error"]


def test_a_deleted_pipeline_is_known_as_long_as_there_are_few(monkeypatch):
    """Its tasks are answered by its deletion; then its name alone is known, then nothing."""
    keep_deleted(monkeypatch, names=2)
    kit = Kit()
    pipeline_id, task_id = deleted_pipeline(kit, "a")
    assert error_of(kit, "DescribePipelines", pipelineIds=[pipeline_id]) == (
        "PipelineDeletedException"
    )
    assert error_of(kit, "ReportTaskProgress", taskId=task_id) == "PipelineDeletedException"
    keep_deleted(monkeypatch, values=0, names=2)
    deleted_pipeline(kit, "b")
    assert error_of(kit, "DescribePipelines", pipelineIds=[pipeline_id]) == (
        "PipelineDeletedException"
    )
    assert error_of(kit, "ReportTaskProgress", taskId=task_id) == "TaskNotFoundException"
    deleted_pipeline(kit, "c")
    assert error_of(kit, "DescribePipelines", pipelineIds=[pipeline_id]) == (
        "PipelineNotFoundException"
    )


@pytest.mark.parametrize("answer", ["canceled", "TaskNotFoundException"])
def test_nothing_is_left_of_a_forgotten_pipeline(monkeypatch, answer):
    """Neither its definition nor its instances, nor what waits in queues, or for a far time."""
    keep_deleted(monkeypatch, values=0)
    kit = Kit(deleted_answer=answer)
    pipeline_id = kit.pipeline("a", count=3, attemptTimeout="1000 days")
    kit.call("ReportTaskProgress", taskId=kit.poll())
    pipeline = weakref.ref(kit.service.model.catalog.pipelines[pipeline_id])
    kit.call("DeletePipeline", pipelineId=pipeline_id)
    gc.collect()
    assert pipeline() is None
    leases = kit.service.model.leases
    assert (leases.tasks, leases.queues) == ({}, {})
    assert kit.service.next_event() is None


def test_what_is_in_use_stays_however_much_is_deleted(monkeypatch):
    """Forgetting one pipeline changes nothing about another, which has the same objects."""
    keep_deleted(monkeypatch, values=0)
    kit = Kit()
    pipeline_id = kit.pipeline("kept", count=3)
    task_id = kit.poll()
    deleted_pipeline(kit, "a")
    assert kit.call("ReportTaskProgress", taskId=task_id) == {"canceled": False}
    assert kit.poll() is not None
    assert kit.call("ListPipelines")["pipelineIdList"] == [{"id": pipeline_id, "name": "kept"}]


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_the_state_file_forgets_as_well(few_events, monkeypatch, tmp_path, seed):
    """After each step the file has what the service knows, and no rows of what it has forgotten."""
    keep_deleted(monkeypatch, values=300, names=3)
    store = Store(tmp_path / "state")
    walk = Walk(store, seed)
    for number in range(150):
        step = walk.step()
        if number % 5 == 4:
            found = dump(walk.restored())
            for part, known in dump(walk.service).items():
                assert found[part] == known, f"step {number}, {step}: {part} is not as it was"
    known = {p.id for p in walk.service.model.catalog.pipelines.values() if p.instances}
    assert {row[0] for row in store.read("SELECT pipeline FROM instances")} == known
    events = len(walk.service.audit)
    assert store.read("SELECT count(*) FROM events") == [(events,)]
    assert walk.service.audit.dropped > 0
    assert any(p.deleted and not p.version for p in walk.service.model.catalog.pipelines.values())
    store.close()


class Compared(str):
    """A text that counts how often it is compared."""

    compared = 0
    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other):
        Compared.compared += 1
        return str.__eq__(self, other)


def test_the_values_of_a_selector_are_looked_up():
    """A call may bring thousands of values: no object is compared with each of them."""
    kit = Kit()
    pipeline_id = kit.pipeline(count=50)
    values = [Compared(f"no status {n}") for n in range(1000)]
    selector = {"fieldName": "@status", "operator": {"type": "EQ", "values": values}}
    for _ in range(2):
        answer = kit.call(
            "QueryObjects",
            pipelineId=pipeline_id,
            sphere="INSTANCE",
            query={"selectors": [selector]},
        )
        assert answer["ids"] == []
    assert Compared.compared < 1000
