"""The model of the service against a few lines that say what its leases must do."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from aiodp.emulator._model.records import LIVE, TERMINAL
from unit.emulator.lifecycle_invariants import check_ids
from unit.emulator.lifecycle_objects import Ref, activity, schedule
from unit.emulator.service_kit import Kit

ACK, LEASE, SHORT_LEASE, RETRY = 120.0, 300.0, 60.0, 90.0
NOT_FOUND = "TaskNotFoundException"


@dataclass(slots=True)
class Expected:
    """What must be true of a task: until when it answers, and with what."""

    deadline: float
    lease: float
    canceled: bool = False
    ended: str | None = None
    """The error of all further calls."""


class ServiceMachine(RuleBasedStateMachine):
    """Workers, owners and time do what they like; leases must follow their four rules."""

    tasks = Bundle("tasks")
    pipelines = Bundle("pipelines")

    def __init__(self) -> None:
        super().__init__()
        self.kit = Kit(
            acknowledge_timeout=ACK,
            lease_timeout=LEASE,
            retry_delay=RETRY,
            max_retries=1,
            max_pipelines=10_000,
        )
        self.expected: dict[str, Expected] = {}
        self.final: dict[tuple[str, str], str] = {}
        self.deleted: set[str] = set()
        self.leases: dict[str, float] = {}

    @rule(target=pipelines, count=st.integers(1, 2), short=st.booleans())
    def activate(self, count, short):
        fields = {"reportProgressTimeout": "1 Minute"} if short else {}
        pipeline_id = self.kit.pipeline(f"p{len(self.leases)}", count, **fields)
        self.leases[pipeline_id] = SHORT_LEASE if short else LEASE
        return pipeline_id

    @rule(target=pipelines)
    def activate_on_two_schedules(self):
        """An activity which one of each schedule needs is made in the slots of both."""
        start = {"startAt": "FIRST_ACTIVATION_DATE_TIME", "occurrences": "2"}
        definition = {
            "Long": schedule("1 hour", **start),
            "Short": schedule("20 minutes", **start),
            "Common": activity(schedule=None),
            "A": activity(schedule=Ref("Long"), dependsOn=Ref("Common")),
            "B": activity(schedule=Ref("Short"), dependsOn=Ref("Common")),
        }
        pipeline_id = self.kit.put_pipeline(f"p{len(self.leases)}", definition)
        assert self.kit.call("ActivatePipeline", pipelineId=pipeline_id) == {}
        self.leases[pipeline_id] = LEASE
        return pipeline_id

    @rule(seconds=st.sampled_from([0.5, 30.0, SHORT_LEASE, RETRY, ACK - 0.5, ACK, LEASE]))
    def wait(self, seconds):
        self.kit.clock.move(seconds)

    @rule(seconds=st.sampled_from([0.5, SHORT_LEASE, ACK]))
    def jump(self, seconds):
        self.kit.service.jump(seconds)

    @rule(task_id=tasks)
    def give_away(self, task_id):
        expected = self.expected[task_id]
        if self.error(task_id) is None and not expected.canceled:
            self.kit.service.give_away(task_id)
            expected.ended = NOT_FOUND

    @rule(target=tasks)
    def poll(self):
        task_id = self.kit.poll()
        if task_id is None:
            return multiple()
        assert task_id not in self.expected, "a task id was given twice"
        pipeline_id = self.kit.service.task(task_id).pipeline_id
        assert pipeline_id not in self.deleted, "a deleted pipeline's task was handed out"
        self.expected[task_id] = Expected(self.kit.service.now + ACK, self.leases[pipeline_id])
        return task_id

    @rule(target=tasks)
    def assign(self):
        [task_id] = self.kit.service.assign()
        self.leases[self.kit.service.task(task_id).pipeline_id] = LEASE
        self.expected[task_id] = Expected(self.kit.service.now + ACK, LEASE)
        return task_id

    @rule(task_id=tasks)
    def report(self, task_id):
        answer = self.kit.call("ReportTaskProgress", taskId=task_id)
        expected, error = self.expected[task_id], self.error(task_id)
        assert answer.get("error") == error
        if error is None:
            assert answer["canceled"] is expected.canceled
            expected.deadline = self.kit.service.now + expected.lease

    @rule(task_id=tasks, status=st.sampled_from(["FINISHED", "FAILED", "FALSE"]))
    def set_status(self, task_id, status):
        answer = self.kit.call("SetTaskStatus", taskId=task_id, taskStatus=status)
        expected, error = self.expected[task_id], self.error(task_id)
        if error is None and expected.canceled:
            error = NOT_FOUND
        elif error is None:
            expected.ended = NOT_FOUND
        assert answer.get("error") == error

    @rule(task_id=tasks)
    def cancel(self, task_id):
        view = self.kit.service.task(task_id)
        answer = self.kit.call(
            "SetStatus",
            pipelineId=view.pipeline_id,
            objectIds=[view.instance_id],
            status="TRY_CANCEL",
        )
        assert answer.get("error") == (
            "PipelineDeletedException" if view.pipeline_id in self.deleted else None
        )
        if "error" in answer:
            return
        for other, expected in self.expected.items():
            seen = self.kit.service.task(other)
            same = (seen.pipeline_id, seen.instance_id) == (view.pipeline_id, view.instance_id)
            if same and self.error(other) is None:
                expected.canceled = True

    @rule(pipeline_id=pipelines)
    def deactivate_and_activate(self, pipeline_id):
        if "error" in self.kit.call("DeactivatePipeline", pipelineId=pipeline_id):
            return
        self.kit.call("ActivatePipeline", pipelineId=pipeline_id)
        for task_id, expected in self.expected.items():
            mine = self.kit.service.task(task_id).pipeline_id == pipeline_id
            if mine and self.error(task_id) is None:
                expected.canceled = True

    @rule(pipeline_id=pipelines)
    def delete(self, pipeline_id):
        answer = self.kit.call("DeletePipeline", pipelineId=pipeline_id)
        self.deleted.add(pipeline_id)
        for task_id, expected in self.expected.items():
            mine = self.kit.service.task(task_id).pipeline_id == pipeline_id
            alive = self.error(task_id) is None
            had_it = alive and not expected.canceled  # a canceled one was taken away before
            if mine and had_it and "error" not in answer:
                expected.ended = "PipelineDeletedException"

    def error(self, task_id):
        """Return the error which a report must get now."""
        expected = self.expected[task_id]
        if expected.ended is None and self.kit.service.now >= expected.deadline:
            expected.ended = NOT_FOUND
        return expected.ended

    @invariant()
    def the_service_knows_the_same_deadlines(self):
        for task_id, expected in self.expected.items():
            dead = self.error(task_id) is not None
            assert self.kit.service.lease_deadline(task_id) == (None if dead else expected.deadline)

    @invariant()
    def an_instance_has_one_owner(self):
        for pipeline_id in self.leases:
            check_ids(self.kit.service, pipeline_id)
        self.kit.service.audit.assert_single_owner()
        views = [self.kit.service.task(task_id) for task_id in self.expected]
        live = [(view.pipeline_id, view.instance_id) for view in views if view.state in LIVE]
        assert len(live) == len(set(live))

    @invariant()
    def terminal_stays_terminal(self):
        for task_id in self.expected:
            view = self.kit.service.task(task_id)
            key = (view.pipeline_id, view.instance_id)
            if view.instance_status in TERMINAL:
                assert self.final.setdefault(key, view.instance_status) == view.instance_status
            else:
                assert key not in self.final


@pytest.mark.parametrize("runs", [30, pytest.param(150, marks=pytest.mark.slow)])
def test_the_service_keeps_its_rules_whatever_is_done_to_it(runs):
    """Every answer and every state is as the rules above have it, in any order of events."""
    run_state_machine_as_test(
        ServiceMachine,
        settings=settings(max_examples=runs, stateful_step_count=50, deadline=None),
    )
