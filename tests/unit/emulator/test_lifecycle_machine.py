"""Owners, workers, time and faults do what they like with pipelines of all kinds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from aiodp.emulator import AuditKind, Fault, FaultKind, TaskState
from aiodp.emulator._model.replies import Answer, Pending
from shapes import check_answer
from unit.emulator import lifecycle_invariants as inv
from unit.emulator.lifecycle_definitions import DEFINITIONS
from unit.emulator.lifecycle_kit import Lifecycle
from unit.emulator.lifecycle_objects import EPOCH, wire_objects
from unit.emulator.lifecycle_turns import check_turns
from unit.emulator.service_kit import parse

RETRIES = 1
LIVE = (TaskState.ASSIGNED, TaskState.HELD)
AFTER_DELETION = {AuditKind.CANCELED_TOLD, AuditKind.REFUSED}
NTH = st.integers(0, 30)
"""Which of those there are; counted around."""
KINDS = st.sampled_from(sorted(DEFINITIONS))
GROUPS = st.sampled_from(["workers", "workers", "box"])
STATUSES = st.sampled_from(["FINISHED", "FINISHED", "FINISHED", "FAILED", "FALSE"])
SECONDS = st.sampled_from([0.5, 30.0, 60.0, 120.0, 300.0, 900.0, 1800.0, 3600.0])


class LifecycleMachine(RuleBasedStateMachine):
    """Two pipelines at most, which are put, run, disturbed and deleted at random."""

    def __init__(self) -> None:
        super().__init__()
        self.kit = Lifecycle(
            max_retries=RETRIES,
            lease_timeout=300.0,
            resource_worker_group="box",
            resource_startup=90.0,  # which is beyond an initTimeout of a minute
        )
        self.kinds: dict[str, str] = {}
        self.snapshots: dict[str, inv.Snapshot] = {}
        self.deleted: set[str] = set()
        self.tasks: dict[str, str] = {}
        self.polls: list[Pending] = []
        self.seen_events = 0
        self.overridden: set[str] = set()
        self.last_at = 0.0
        self.deleted_before: set[str] = set()
        self._forget_step()

    def _forget_step(self) -> None:
        """Forget what the last step may have done."""
        self.given: set[str] = set()
        self.lossy = False
        self.rerun: dict[str, set[str]] = {}
        self.marked: dict[str, set[str]] = {}

    # Calls

    def call(self, operation: str, **params: Any) -> dict[str, Any]:
        """Do a call whose answer must be one that the operation may have."""
        return self._read(operation, self.kit.service.request(operation, params))

    def _read(self, operation: str, reply: object) -> dict[str, Any]:
        if isinstance(reply, Pending):
            self.polls.append(reply)
            return {}
        assert isinstance(reply, Answer), reply
        check_answer(operation, reply.body, reply.status)
        answer = parse(reply)
        if answer.get("taskObject") is not None:
            self.given.add(answer["taskObject"]["taskId"])
        return answer

    def of(self, n: int) -> str:
        """Return the n-th pipeline, and let the kit speak of it."""
        pipelines = list(self.kinds)
        self.kit.pipeline_id = pipelines[n % len(pipelines)]
        return self.kit.pipeline_id

    def objects(self, pipeline_id: str) -> list[str]:
        """Return the ids of a pipeline's instances."""
        snapshot = self.snapshots.get(pipeline_id)
        return list(snapshot.instances) if snapshot is not None else []

    # What owners do

    @initialize(kind=KINDS)
    def begin(self, kind):
        self.create_one(kind, activate=True)

    @precondition(lambda self: len(self.kinds) - len(self.deleted) < 2)
    @rule(kind=KINDS, activate=st.booleans())
    def create(self, kind, activate):
        self.create_one(kind, activate=activate)

    def create_one(self, kind: str, *, activate: bool) -> None:
        unique = f"p{len(self.kinds)}"
        self.kit.pipeline_id = self.call("CreatePipeline", name=kind, uniqueId=unique)["pipelineId"]
        assert self.kit.pipeline_id not in self.kinds
        self.kinds[self.kit.pipeline_id] = kind
        self._put(kind)
        if activate:
            self.call("ActivatePipeline", pipelineId=self.kit.pipeline_id)

    def _put(self, kind: str) -> dict[str, Any]:
        params = {
            "pipelineId": self.kit.pipeline_id,
            "pipelineObjects": wire_objects(DEFINITIONS[kind]),
        }
        self.call("ValidatePipelineDefinition", **params)
        answer = self.call("PutPipelineDefinition", **params)
        assert answer.get("errored", False) is False, answer
        return answer

    @precondition(lambda self: self.kinds)
    @rule(n=NTH)
    def put_again(self, n):
        self._put(self.kinds[self.of(n)])

    @precondition(lambda self: self.kinds)
    @rule(n=NTH, start=st.sampled_from([None, None, -3600, 0, 3600]))
    def activate(self, n, start):
        stamp = {} if start is None else {"startTimestamp": EPOCH.timestamp() + start}
        self.call("ActivatePipeline", pipelineId=self.of(n), **stamp)

    @precondition(lambda self: self.kinds)
    @rule(n=NTH, cancel=st.booleans(), really=st.booleans())
    def deactivate(self, n, cancel, really):
        if really:
            self.call("DeactivatePipeline", pipelineId=self.of(n), cancelActive=cancel)

    @precondition(lambda self: self.kinds)
    @rule(n=NTH, really=st.integers(0, 3))
    def delete(self, n, really):
        if really < 3:
            return
        answer = self.call("DeletePipeline", pipelineId=self.of(n))
        assert ("error" in answer) is (self.kit.pipeline_id in self.deleted)
        self.deleted.add(self.kit.pipeline_id)

    @precondition(lambda self: self.kinds)
    @rule(
        n=NTH,
        which=st.sets(NTH, min_size=1, max_size=3),
        status=st.sampled_from(["TRY_CANCEL", "RERUN", "MARK_FINISHED"]),
    )
    def set_instances(self, n, which, status):
        pipeline_id = self.of(n)
        ids = self.objects(pipeline_id)
        if not ids:
            return
        chosen = sorted({ids[number % len(ids)] for number in which})
        answer = self.call("SetStatus", pipelineId=pipeline_id, objectIds=chosen, status=status)
        if "error" in answer or status == "TRY_CANCEL":
            return
        self.overridden.add(pipeline_id)
        done = self.rerun if status == "RERUN" else self.marked
        done[pipeline_id] = set(chosen)

    @precondition(lambda self: self.kinds)
    @rule(n=NTH, which=NTH, status=st.sampled_from(["PAUSE", "RESUME"]))
    def set_component(self, n, which, status):
        pipeline_id = self.of(n)
        names = list(DEFINITIONS[self.kinds[pipeline_id]])
        self.call(
            "SetStatus",
            pipelineId=pipeline_id,
            objectIds=[names[which % len(names)]],
            status=status,
        )

    @precondition(lambda self: self.kinds)
    @rule(n=NTH, which=NTH, expression=st.sampled_from(["#{@status}", "#{nothing}", "plain"]))
    def look(self, n, which, expression):
        pipeline_id = self.of(n)
        ids = [*DEFINITIONS[self.kinds[pipeline_id]], *self.objects(pipeline_id), "@Nobody"]
        chosen = ids[which % len(ids)]
        known = {"pipelineId": pipeline_id}
        self.call("ListPipelines")
        self.call("GetPipelineDefinition", version="active", **known)
        self.call("EvaluateExpression", objectId=chosen, expression=expression, **known)
        self.call("DescribeObjects", objectIds=[chosen], evaluateExpressions=True, **known)
        self.call("AddTags", tags=[{"key": "k", "value": chosen}], **known)
        self.call("RemoveTags", tagKeys=["k"], **known)
        self.call("ReportTaskRunnerHeartbeat", taskrunnerId="runner", workerGroup="workers")

    @rule(there=st.booleans())
    def upload(self, there):
        objects = self.kit.outside.objects
        (objects.add if there else objects.discard)("s3://bucket/ready")

    # What workers do

    @rule(group=GROUPS, acknowledge=st.booleans())
    def poll(self, group, acknowledge):
        task_id = self._take(group)
        if acknowledge and task_id is not None:
            self.call("ReportTaskProgress", taskId=task_id)

    @rule(group=GROUPS, count=st.integers(1, 6), status=STATUSES)
    def work(self, group, count, status):
        for _ in range(count):
            task_id = self._take(group)
            if task_id is None:
                return
            self.call("ReportTaskProgress", taskId=task_id)
            self.call("SetTaskStatus", taskId=task_id, taskStatus=status)

    def _take(self, group: str) -> str | None:
        answer = self.call("PollForTask", workerGroup=group)
        if not answer:
            self.polls.pop().abandon()
            return None
        task_id: str = answer["taskObject"]["taskId"]
        return task_id

    @rule(group=GROUPS)
    def hold(self, group):
        self.call("PollForTask", workerGroup=group)

    @rule()
    def resume_polls(self):
        for poll in list(self.polls):
            answer = poll.resume()
            if answer is not None:
                self.polls.remove(poll)
                self._read("PollForTask", answer)

    @precondition(lambda self: self.tasks)
    @rule(n=NTH)
    def report(self, n):
        task_id = self._newest(n)
        self.call("ReportTaskProgress", taskId=task_id)

    @precondition(lambda self: self.tasks)
    @rule(n=NTH, status=STATUSES)
    def end(self, n, status):
        self.call("SetTaskStatus", taskId=self._newest(n), taskStatus=status)

    def _newest(self, n: int) -> str:
        return list(self.tasks)[-1 - n % len(self.tasks)]

    # What happens to both

    @rule(seconds=SECONDS)
    def wait(self, seconds):
        self.kit.clock.move(seconds)

    @rule()
    def wait_for_something(self):
        due = self.kit.service.next_event()
        if due is not None:
            self.kit.clock.move(due - self.kit.service.now)

    @rule(seconds=SECONDS)
    def jump(self, seconds):
        self.kit.service.jump(seconds)

    @precondition(lambda self: self.tasks)
    @rule(n=NTH)
    def give_away(self, n):
        task_id = self._newest(n)
        if self.kit.service.task(task_id).state in LIVE:
            self.kit.service.give_away(task_id)
            self.kit.service.advance()
            assert self.kit.service.task(task_id).state not in LIVE

    @precondition(lambda self: self.tasks)
    @rule(
        n=NTH,
        operation=st.sampled_from(["PollForTask", "ReportTaskProgress", "SetTaskStatus"]),
        kind=st.sampled_from(
            ["throttle", "reset", "reset_after", "hang_after", "truncated", "clock_jump"]
        ),
    )
    def fault(self, n, operation, kind):
        params = {
            "PollForTask": {"workerGroup": "workers"},
            "ReportTaskProgress": {"taskId": self._newest(n)},
            "SetTaskStatus": {"taskId": self._newest(n), "taskStatus": "FINISHED"},
        }[operation]
        jump = 200.0 if kind == "clock_jump" else 0.0
        self.kit.service.faults.add(
            Fault(kind=FaultKind(kind), actions=frozenset({operation}), count=1, jump=jump)
        )
        self.lossy = True
        reply = self.kit.service.request(operation, params)
        if isinstance(reply, Pending):
            reply.abandon()

    def teardown(self):
        for poll in self.polls:
            poll.abandon()
        self.kit.service.audit.assert_single_owner()

    # What must hold

    @invariant()
    def everything_adds_up(self):
        due = self.kit.service.next_event()
        now = self.kit.service.now
        assert due is None or due > now, "something is due in the past"
        self._check_events(now)
        if self.kinds.keys() == self.deleted and not self._in_state(*LIVE, TaskState.CANCELED):
            assert due is None, "something is to happen to deleted pipelines"
        for pipeline_id in self.kinds.keys() - self.deleted:
            self._check(pipeline_id)
        self._forget_step()

    def _check_events(self, now: float) -> None:
        audit = self.kit.service.audit
        for event in audit[self.seen_events :]:
            assert self.last_at <= event.at <= now, "an event out of its time"
            self.last_at = event.at
            if event.pipeline_id in self.deleted_before:
                assert event.kind in AFTER_DELETION, f"after the deletion: {event}"
            if event.kind is AuditKind.ASSIGNED:
                assert event.task_id not in self.tasks, "a task id was given twice"
                assert self.lossy or event.task_id in self.given, "a lease without a poll"
                self.tasks[event.task_id] = event.pipeline_id
        self.seen_events = len(audit)
        self.deleted_before = set(self.deleted)

    def _check(self, pipeline_id: str) -> None:
        self.kit.pipeline_id = pipeline_id
        inv.check_ids(self.kit.service, pipeline_id)
        check_turns(self.kit.service, pipeline_id)
        snapshot = inv.take_snapshot(self.kit, self.call)
        overridden = pipeline_id in self.overridden
        live = self._live_tasks(pipeline_id)
        on_demand = self.kinds[pipeline_id] == "diamond"
        inv.check(snapshot, live, RETRIES, on_demand=on_demand, overridden=overridden)
        before = self.snapshots.get(pipeline_id)
        if before is not None:
            inv.check_progress(
                before,
                snapshot,
                rerun=self.rerun.get(pipeline_id, set()),
                marked=self.marked.get(pipeline_id, set()),
                overridden=overridden,
            )
        self.snapshots[pipeline_id] = snapshot

    def _in_state(self, *states: TaskState) -> list[str]:
        return [task_id for task_id in self.tasks if self.kit.service.task(task_id).state in states]

    def _live_tasks(self, pipeline_id: str) -> list[Any]:
        mine = [task_id for task_id, owner_id in self.tasks.items() if owner_id == pipeline_id]
        views = [self.kit.service.task(task_id) for task_id in mine]
        live = [view for view in views if view.state in LIVE]
        assert len({view.instance_id for view in live}) == len(live), "an instance has two owners"
        return live


@pytest.mark.parametrize("runs", [15, pytest.param(80, marks=pytest.mark.slow)])
def test_pipelines_keep_their_rules_whatever_is_done_to_them(runs):
    """Every state that the API shows is as the invariants have it, in any order of events."""
    run_state_machine_as_test(
        LifecycleMachine,
        settings=settings(
            max_examples=runs, stateful_step_count=40, deadline=None, report_multiple_bugs=False
        ),
    )
