"""The diagrams of the local service draw what happens, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from aiodp.emulator._model.records import Attempt, Instance, Pipeline, Status, Task
from unit.emulator.lifecycle_kit import Lifecycle
from unit.emulator.lifecycle_objects import (
    Ref,
    activity,
    daily,
    key_exists,
    node,
    on_resource,
    resource,
    schedule,
    shell_precondition,
)
from unit.emulator.test_lifecycle_machine import LifecycleMachine

PAGE: Final = (Path(__file__).parents[3] / "docs" / "local-service.md").read_text()
NEW: Final = "[*]"
Edge = tuple[str, str]


class Watch:
    """Notes each change of a status from now on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: dict[type, set[Edge]] = {kind: set() for kind in (Instance, Attempt, Task)}
        self._watch(monkeypatch, Attempt, "status")
        self._watch(monkeypatch, Task, "state")
        self._watch_instances(monkeypatch)

    def _watch(self, monkeypatch: pytest.MonkeyPatch, kind: type, name: str) -> None:
        def assign(record: object, key: str, value: Any) -> None:
            if key == name and (before := getattr(record, name, NEW)) != value:
                self.seen[kind].add((str(before), str(value)))
            object.__setattr__(record, key, value)

        monkeypatch.setattr(kind, "__setattr__", assign)

    def _watch_instances(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Watch them from when the pipeline has them: before that they are not complete."""
        add, change = Pipeline.add, Pipeline.change
        seen = self.seen[Instance]

        def added(pipeline: Pipeline, instance: Instance) -> None:
            seen.add((NEW, str(instance.status)))
            add(pipeline, instance)

        def changed(pipeline: Pipeline, instance: Instance, status: Status) -> None:
            if instance.status is not status:
                seen.add((str(instance.status), str(status)))
            change(pipeline, instance, status)

        monkeypatch.setattr(Pipeline, "add", added)
        monkeypatch.setattr(Pipeline, "change", changed)


@pytest.fixture
def watch(monkeypatch):
    return Watch(monkeypatch)


def drawn() -> dict[type, set[Edge]]:
    """Return the transitions in the diagrams, which stand in this order."""
    diagrams = re.findall(r"^```mermaid$(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    found = [set(re.findall(r"^ +(\S+) --> (\w+)", diagram, re.MULTILINE)) for diagram in diagrams]
    return dict(zip((Task, Attempt, Instance), found, strict=True))


@pytest.mark.slow
def test_no_transition_is_missing_in_the_diagrams(watch, monkeypatch):
    """Owners, workers, time and faults do what they like: nothing happens that is not drawn.

    But RERUN and MARK_FINISHED, of which the page speaks beside the diagrams.
    """
    call = LifecycleMachine.call

    def without_those(machine: LifecycleMachine, operation: str, **params: Any) -> dict[str, Any]:
        if params.get("status") in ("RERUN", "MARK_FINISHED"):
            return {"error": "left out"}
        return call(machine, operation, **params)

    monkeypatch.setattr(LifecycleMachine, "call", without_those)
    run_state_machine_as_test(LifecycleMachine, settings=RUN)
    for kind, edges in watch.seen.items():
        assert edges <= drawn()[kind], kind


def test_the_diagrams_draw_what_happens(watch):
    """The transitions in these stories are drawn, and no other."""
    for story in STORIES:
        story()
    assert watch.seen == drawn()


def kit(definition: Any, **settings: Any) -> Lifecycle:
    """Return a service which runs this definition, by default without retries."""
    made = Lifecycle(**({"max_retries": 0, "resource_worker_group": "workers"} | settings))
    made.launch(definition)
    return made


def work_ends_well_or_badly() -> None:
    for report in (True, False):
        for status in ("FINISHED", "FAILED"):
            service = kit(daily(A=activity()))
            service.end(service.begin("A") if report else service.get(), status)
    kit(daily(A=activity()), max_retries=1).fail("A")


def workers_are_silent() -> None:
    service = kit(daily(A=activity(), B=activity()), lease_timeout=300.0)
    service.begin("A")
    service.get()
    service.move(300)


def work_is_canceled() -> None:
    service = kit(daily(**{name: activity() for name in "ABC"}, D=activity(dependsOn=Ref("A"))))
    service.begin("A")
    service.get()
    service.tell("TRY_CANCEL", *"ABCD")
    service.move(90 * 86_400)


def a_pipeline_is_deleted() -> None:
    service = kit(daily(A=activity(), B=activity()))
    service.begin("A")
    service.get()
    service.call("DeletePipeline", pipelineId=service.pipeline_id)


def attempts_time_out() -> None:
    limited = activity(attemptTimeout="1 minute")
    service = kit(daily(A=limited, B=limited))
    service.begin("A")
    service.get()
    service.move(60)


def slots_are_skipped() -> None:
    service = Lifecycle()
    service.launch(
        {"Hourly": schedule("1 hour"), "A": activity(schedule=Ref("Hourly"))}, start=3600
    )


def a_failure_spreads() -> None:
    mode = {"failureAndRerunMode": "cascade"}
    kit(daily(A=activity(), B=activity(dependsOn=Ref("A"), **mode))).fail("A")


def data_is_awaited() -> None:
    guarded = daily(A=activity(input=Ref("D"), precondition=Ref("S")), S=shell_precondition())
    service = kit(guarded | {"D": node(precondition=Ref("P")), "P": key_exists()})
    service.outside.objects.add("s3://bucket/ready")
    service.move(120)
    service.end(service.begin("S"), "FALSE")
    for end in ({"preconditionTimeout": "1 minute"}, {}):
        service = kit(daily(A=activity(precondition=Ref("P")), P=key_exists(**end)))
        service.move(60)


def boxed(*moves: float, cancel: str = "", **fields: str) -> Lifecycle:
    """Return a service with an activity on a resource, after these moves and a cancellation."""
    service = kit(daily(Box=resource(**fields), A=on_resource()), resource_shutdown=600.0)
    for seconds in moves:
        service.move(seconds)
    if cancel:
        service.tell("TRY_CANCEL", cancel)
    return service


def resources_come_and_go() -> None:
    boxed(60).finish("A")
    boxed(cancel="A").move(600)
    boxed(cancel="Box")
    boxed(60, cancel="Box")
    boxed(cancel="A").tell("TRY_CANCEL", "Box")
    boxed(60, 60, terminateAfter="2 minutes")
    boxed(cancel="A", terminateAfter="2 minutes").move(120)
    kit(
        daily(Box=resource(terminateAfter="1 minute"), A=on_resource()), resource_startup=120.0
    ).move(60)
    kit(daily(Box=resource(), A=on_resource(precondition=Ref("P")), P=key_exists())).tell(
        "TRY_CANCEL", "A"
    )


def a_deactivation_comes_between() -> None:
    for shutdown in (30.0, 600.0):
        service = kit(
            daily(Box=resource(), A=on_resource()), max_retries=1, resource_shutdown=shutdown
        )
        service.move(60)
        work = service.begin("A")
        service.deactivate(cancelActive=False)
        service.end(work, "FAILED")
        service.move(120)
        service.activate()


def resources_do_not_start() -> None:
    slow = {"initTimeout": "1 minute", "maximumRetries": "1"}
    kit(daily(Box=resource(**slow), A=on_resource()), resource_startup=90.0).move(240)


def a_resource_is_needed_later_in_its_slot() -> None:
    definition = {
        "Hourly": schedule("1 hour"),
        "Thirds": schedule("20 minutes"),
        "Box": resource(schedule=Ref("Hourly")),
        "A": on_resource(schedule=Ref("Thirds")),
    }
    service = kit(definition)
    service.move(60)
    service.deactivate()
    service.activate()
    service.move(1200)
    service = Lifecycle()
    service.launch(definition, start=1200)
    service.move(1200)


STORIES = (
    work_ends_well_or_badly,
    workers_are_silent,
    work_is_canceled,
    a_pipeline_is_deleted,
    attempts_time_out,
    slots_are_skipped,
    a_failure_spreads,
    data_is_awaited,
    resources_come_and_go,
    a_deactivation_comes_between,
    resources_do_not_start,
    a_resource_is_needed_later_in_its_slot,
)
RUN = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
