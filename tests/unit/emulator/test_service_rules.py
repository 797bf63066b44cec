"""The model's rules which no client can see at leisure, and the record that proves them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from botocore.session import Session

from aiodp.emulator import AuditKind, Fault, FaultKind, Settings
from aiodp.emulator._model.replies import Answer, Hang, Reset
from unit.emulator.lifecycle_objects import schedule, slots
from unit.emulator.service_kit import Kit, parse


def fail_next(kit):
    """Take the task that waits, which must be there, and report it as FAILED."""
    task_id = kit.poll()
    assert task_id is not None
    assert kit.call("SetTaskStatus", taskId=task_id, taskStatus="FAILED") == {}


@pytest.mark.parametrize("window", [120.0, 300.0])
def test_the_deadline_itself_is_too_late(window):
    """A report at the very end of the window or lease is refused, one just before it is not."""
    for early, error in [(0.001, None), (0.0, "TaskNotFoundException")]:
        kit = Kit()
        [task_id] = kit.service.assign()
        if window == 300.0:
            kit.call("ReportTaskProgress", taskId=task_id)
        kit.clock.move(window - early)
        assert kit.call("ReportTaskProgress", taskId=task_id).get("error") == error


def test_a_report_can_shorten_the_deadline():
    """A progress timeout shorter than the acknowledgement window holds from the first report."""
    kit = Kit()
    [task_id, _other] = kit.service.assign(2, report_progress_timeout="1 MINUTE")
    kit.call("ReportTaskProgress", taskId=task_id)
    assert kit.service.lease_deadline(task_id) == kit.clock() + 60
    kit.clock.move(60)
    assert kit.service.lease_deadline(task_id) is None


def test_a_throttled_call_costs_no_token():
    """Calls over the quota do not delay the next one that fits."""
    kit = Kit(quotas={"ListPipelines": (1.0, 1)})
    assert "error" not in kit.call("ListPipelines")
    for _ in range(50):
        assert kit.call("ListPipelines")["error"] == "ThrottlingException"
    kit.clock.move(1.0)
    assert "error" not in kit.call("ListPipelines")


def test_a_bucket_fills_at_its_rate():
    """However often one asks, the bucket gains its rate and no more."""
    kit = Kit(quotas={"ListPipelines": (1.0, 5)})
    for _ in range(40):
        kit.call("ListPipelines")
        kit.clock.move(0.25)
    assert kit.service.calls["ListPipelines", "ok"] == 5 + 9


def test_the_published_quotas_hold_by_default():
    """A burst of 100, then ten reports a second and two polls a second."""
    kit = Kit(quotas=Settings().quotas)
    [task_id] = kit.service.assign()
    for _ in range(150):
        kit.call("ReportTaskProgress", taskId=task_id)
        kit.poll()
    kit.clock.move(10.0)
    for _ in range(150):
        kit.call("ReportTaskProgress", taskId=task_id)
        kit.poll()
    calls = kit.service.calls
    assert calls["ReportTaskProgress", "ok"] == 200
    assert calls["PollForTask", "abandoned"] == 120
    assert calls["PollForTask", "ThrottlingException"] == 180


def test_reported_fields_add_up():
    """A key reported again replaces its values; the object's limits hold for all together."""
    kit = Kit()
    [task_id] = kit.service.assign()

    def report(*pairs):
        fields = [{"key": key, "stringValue": value} for key, value in pairs]
        return kit.call("ReportTaskProgress", taskId=task_id, fields=fields).get("error")

    assert report(("a", "1"), ("a", "2"), ("b", "x")) is None
    assert kit.service.task(task_id).fields == {"a": ["1", "2"], "b": "x"}
    assert report(("a", "3")) is None
    assert kit.service.task(task_id).fields == {"a": "3", "b": "x"}
    assert report(*((f"k{n}", "v") for n in range(49))) == "InvalidRequestException"
    assert report(*((f"k{n}", "v") for n in range(48))) is None


def test_a_new_attempt_starts_without_the_old_fields():
    """What was reported of a failed attempt stays with it."""
    kit = Kit(retry_delay=0.0)
    kit.pipeline()
    first = kit.poll()
    assert first is not None
    fields = [{"key": "a", "stringValue": "1"}]
    kit.call("ReportTaskProgress", taskId=first, fields=fields)
    kit.call("SetTaskStatus", taskId=first, taskStatus="FAILED", errorMessage="no")
    second = kit.poll()
    assert second is not None
    assert kit.service.task(second).fields == {}
    assert kit.service.task(first).fields == {"a": "1"}


@pytest.mark.parametrize(("written", "delay"), [("10 minutes", 600.0), ("1 minute", 120.0)])
def test_retry_delay_of_the_object(written, delay):
    """retryDelay of an object counts if it is longer than the service's least delay."""
    kit = Kit(retry_delay=120.0)
    kit.pipeline(retryDelay=written)
    fail_next(kit)
    kit.clock.move(delay - 1)
    assert kit.poll() is None
    kit.clock.move(1)
    assert kit.poll() is not None


def test_no_more_than_five_retries():
    """maximumRetries beyond the account's limit counts as that limit."""
    kit = Kit(retry_delay=0.0)
    kit.pipeline(maximumRetries="99")
    for _ in range(6):
        fail_next(kit)
    assert kit.poll() is None


def test_a_rerun_has_all_its_tries_again():
    """RERUN of an instance which failed for good starts its count of tries anew."""
    kit = Kit(retry_delay=0.0, max_retries=1)
    pipeline_id = kit.pipeline()
    for _ in range(2):
        fail_next(kit)
    assert kit.poll() is None
    [instance_id] = kit.call("QueryObjects", pipelineId=pipeline_id, sphere="INSTANCE")["ids"]
    kit.call("SetStatus", pipelineId=pipeline_id, objectIds=[instance_id], status="RERUN")
    for _ in range(2):
        fail_next(kit)
    assert kit.poll() is None


def test_a_rerun_replaces_a_retry_that_was_to_come():
    """An instance run again while a retry was due gets one attempt, not two."""
    kit = Kit(retry_delay=120.0)
    pipeline_id = kit.pipeline()
    fail_next(kit)
    [instance_id] = kit.call("QueryObjects", pipelineId=pipeline_id, sphere="INSTANCE")["ids"]
    for status in ("TRY_CANCEL", "RERUN"):
        kit.call("SetStatus", pipelineId=pipeline_id, objectIds=[instance_id], status=status)
    kit.clock.move(120)
    assert kit.poll() is not None
    assert kit.poll() is None


def test_run_once_runs_once():
    """A second activation of a run-once pipeline makes nothing new."""
    kit = Kit()
    once = schedule(startAt="FIRST_ACTIVATION_DATE_TIME", occurrences="1")
    pipeline_id = kit.put_pipeline("p", slots(once))
    for _ in range(2):
        kit.call("ActivatePipeline", pipelineId=pipeline_id)
    assert kit.poll() is not None
    assert kit.poll() is None


def test_helpers_stand_outside_the_limits():
    """Tasks made by `assign` use up neither the account's pipelines nor its quotas."""
    kit = Kit(quotas={"CreatePipeline": (1.0, 1)}, max_pipelines=1)
    assert len(kit.service.assign(150)) == 150
    assert "error" not in kit.call("CreatePipeline", name="p", uniqueId="p")


@pytest.mark.parametrize(
    ("kind", "reply"), [(FaultKind.HANG_AFTER, Hang), (FaultKind.RESET_AFTER, Reset)]
)
def test_a_lost_answer_still_counts(kind, reply):
    """The request was applied, the answer was not given, and the call is counted once."""
    kit = Kit()
    [task_id] = kit.service.assign()
    kit.service.faults.add(Fault(kind=kind))
    assert isinstance(kit.service.request("ReportTaskProgress", {"taskId": task_id}), reply)
    assert kit.service.task(task_id).reports == 1
    assert sum(kit.service.calls.values()) == 1


def test_a_fault_s_time_ends_before_its_end():
    """A fault changes calls from its start to just before its end."""
    kit = Kit()
    start = kit.clock() + 10
    kit.service.faults.add(Fault(kind=FaultKind.THROTTLE, start=start, duration=10.0))
    seen = {}
    for at in (9.5, 10.0, 19.5, 20.0):
        kit.clock.now = start - 10 + at
        seen[at] = "error" in kit.call("ListPipelines")
    assert seen == {9.5: False, 10.0: True, 19.5: True, 20.0: False}


def test_faults_are_used_up_in_their_order():
    """Counts are used up, `every` skips calls, clearing ends them all."""
    kit = Kit()
    kit.service.faults.add(Fault(kind=FaultKind.SERVER_ERROR, count=1))
    kit.service.faults.add(Fault(kind=FaultKind.THROTTLE, every=2))
    seen = [kit.call("ListPipelines").get("error") for _ in range(4)]
    assert seen == ["InternalServiceError", None, "ThrottlingException", None]
    kit.service.faults.clear()
    assert "error" not in kit.call("ListPipelines")


@pytest.mark.parametrize("wrong", [{"every": 0}, {"delay": -1.0}])
def test_an_impossible_fault_is_refused_where_it_is_made(wrong):
    """A fault which cannot be is refused where it is made."""
    with pytest.raises(ValueError, match="must"):
        Fault(kind=FaultKind.SLOW, **wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"acknowledge_timeout": 0.0},
        {"lease_timeout": -1.0},
        {"poll_hold": -1.0},
        {"max_retries": -1},
    ],
)
def test_impossible_settings_are_refused_by_name(wrong):
    """Settings which cannot be are refused where they are made, by name."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Settings(**wrong)


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("ReportTaskProgress", []),
        ("ReportTaskProgress", {}),
        ("ReportTaskProgress", {"taskId": ""}),
        ("ReportTaskProgress", {"taskId": 7}),
        ("ReportTaskProgress", {"taskId": "x", "fields": [{"stringValue": "v"}]}),
        ("ReportTaskProgress", {"taskId": "x", "fields": ["v"]}),
        ("PutPipelineDefinition", {"pipelineId": "x", "pipelineObjects": [{"id": "a"}]}),
        ("QueryObjects", {"pipelineId": "x", "sphere": "ATTEMPT", "query": []}),
        ("SetStatus", {"pipelineId": "x", "objectIds": [{}], "status": "PAUSE"}),
        ("CreatePipeline", {"name": "\ud800", "uniqueId": "u"}),
    ],
)
def test_malformed_requests_are_invalid_requests(operation, params):
    """What botocore would never send is an invalid request, not a failure of the service."""
    kit = Kit()
    reply = kit.service.request(operation, params)
    assert isinstance(reply, Answer)
    assert parse(reply)["error"] == "InvalidRequestException"
    assert kit.service.calls[operation, "InvalidRequestException"] == 1


def test_every_operation_is_served():
    """The service knows every operation of the API, and an empty request breaks none."""
    model = Session().get_service_model("datapipeline")
    unknown = {
        operation
        for operation in model.operation_names
        if Kit().call(operation).get("error") == "UnknownOperationException"
    }
    assert unknown == set()


def test_equal_seeds_give_equal_ids():
    """Two services with one seed give the same ids; another seed gives others."""
    one, same, other = (Kit(seed=seed).service.assign(2) for seed in (1, 1, 2))
    assert one == same
    assert not set(one) & set(other)
    assert all(200 < len(task_id) <= 2048 and task_id.endswith(":1") for task_id in one)


def test_the_audit_has_the_events_of_a_task_in_their_order():
    """Assignment, acknowledgement, progress and end are recorded in their order."""
    kit = Kit()
    [task_id] = kit.service.assign(hostname="here")
    for _ in range(2):
        kit.call("ReportTaskProgress", taskId=task_id)
    kit.service.cancel(task_id)
    kit.call("ReportTaskProgress", taskId=task_id)
    kit.call("SetTaskStatus", taskId=task_id, taskStatus="FINISHED")
    events = kit.service.audit.of(task_id)
    assert [event.kind for event in events] == [
        AuditKind.ASSIGNED,
        AuditKind.ACKNOWLEDGED,
        AuditKind.PROGRESS,
        AuditKind.CANCELED,
        AuditKind.CANCELED_TOLD,
        AuditKind.REFUSED,
    ]
    assert {event.hostname for event in events} == {"here"}


def test_two_owners_would_be_found():
    """The check for a single owner fails on a record in which there are two."""
    kit = Kit()
    kit.pipeline()
    kit.poll()
    kit.clock.move(120)
    kit.poll()
    audit = kit.service.audit
    audit.assert_single_owner()
    index = next(n for n, event in enumerate(audit) if event.kind is AuditKind.REASSIGNED)
    audit[index] = replace(audit[index], at=audit[index].at + 1)
    with pytest.raises(AssertionError, match="two owners"):
        audit.assert_single_owner()


@pytest.mark.parametrize(
    ("name", "value"),
    [("lease_timeout", math.nan), ("acknowledge_timeout", 0), ("max_pipelines", -1)],
)
def test_settings_which_cannot_be(name, value):
    """A number that no rule could follow is refused with its name."""
    with pytest.raises(ValueError, match=name):
        Settings(**{name: value})


def test_a_lease_is_a_period():
    """A task is not handed out under another lease than was asked for."""
    with pytest.raises(ValueError, match="15 minuets"):
        Kit().service.assign(report_progress_timeout="15 minuets")
