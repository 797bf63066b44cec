"""What the page shows of one attempt and of one pipeline."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from aiodp.emulator._errors import ServiceError
from aiodp.emulator._server.details import MAX_EVENTS, attempt_details, pipeline_details
from aiodp.emulator._server.selection import Selection
from unit.emulator.service_kit import Kit

if TYPE_CHECKING:
    from aiodp.emulator import Service


def attempt(kit: Kit, pipeline_id: str, number: int = 1) -> dict[str, Any]:
    """The attempt of the pipeline's only instance, as it arrives at the page."""
    [instance_id] = kit.call("QueryObjects", pipelineId=pipeline_id, sphere="INSTANCE")["ids"]
    attempt_id = f"{instance_id}_Attempt={number}"
    found = attempt_details(kit.service, kit.service.advance(), pipeline_id, attempt_id)
    details: dict[str, Any] = json.loads(json.dumps(found))
    return details


def pipeline(service: Service, pipeline_id: str, **selected: Any) -> dict[str, Any]:
    found = pipeline_details(service, service.advance(), pipeline_id, Selection(**selected))
    details: dict[str, Any] = json.loads(json.dumps(found))
    return details


def test_an_attempt_has_everybody_who_held_it():
    """One line for each owner, the newest first: from when to when, and how often it reported."""
    kit = Kit()
    pipeline_id = kit.pipeline()
    for host in ("gone", "here"):
        polled = kit.call("PollForTask", workerGroup="workers", hostname=host)
        kit.clock.move(200 if host == "gone" else 100)
    kit.call("ReportTaskProgress", taskId=polled["taskObject"]["taskId"])
    kit.call("ReportTaskProgress", taskId=polled["taskObject"]["taskId"])
    details = attempt(kit, pipeline_id)
    here, gone = details["owners"]["rows"]
    assert (gone["hostname"], gone["start"], gone["end"]) == ("gone", 1000.0, 1120.0)
    assert (gone["reports"], gone["reported"]) == (0, None)
    assert (here["hostname"], here["start"], here["end"]) == ("here", 1200.0, None)
    assert (here["reports"], here["reported"]) == (2, 1300.0)
    assert [event["kind"] for event in details["events"]["rows"]] == [
        "progress",
        "acknowledged",
        "assigned",
        "offered",
        "reassigned",
        "assigned",
        "offered",
    ]
    assert details["attempt"]["held"]["task"] == here["task"]
    assert details["now"] == 1300.0


def test_an_attempt_has_its_fields_and_its_error_in_full():
    """What was reported and why it failed are not cut at what a list shows."""
    kit = Kit()
    pipeline_id = kit.pipeline(maximumRetries="1")
    task_id = kit.poll()
    fields = [{"key": f"key{n}", "stringValue": "x" * 900} for n in range(10)]
    kit.call("ReportTaskProgress", taskId=task_id, fields=fields)
    trace = "line\n" * 100
    kit.call(
        "SetTaskStatus",
        taskId=task_id,
        taskStatus="FAILED",
        errorMessage="disk full",
        errorStackTrace=trace,
    )
    details = attempt(kit, pipeline_id)
    assert details["fields"]["key9"] == "x" * 900
    assert details["fields"]["command"] == "true"
    assert details["attempt"]["status"] == "FAILED"
    assert details["attempt"]["error"] == {"errorMessage": "disk full", "errorStackTrace": trace}
    assert (details["attempt"]["held"], details["attempt"]["over"]) == (None, False)
    assert len(details["attempt"]["attempts"]) == 1


def test_a_long_history_is_shown_in_part():
    """Of thousands of reports the latest are there, and how many there were."""
    kit = Kit()
    pipeline_id = kit.pipeline()
    task_id = kit.poll()
    for _ in range(MAX_EVENTS + 50):
        kit.clock.move(1)
        kit.call("ReportTaskProgress", taskId=task_id)
    details = attempt(kit, pipeline_id)
    assert details["events"]["total"] == MAX_EVENTS + 52
    assert len(details["events"]["rows"]) == MAX_EVENTS
    assert details["events"]["rows"][0]["at"] == kit.clock.now
    assert details["owners"]["rows"][0]["reports"] == MAX_EVENTS + 50


def test_what_is_not_there_is_refused():
    """Neither a pipeline nor an attempt is made up."""
    kit = Kit()
    pipeline_id = kit.pipeline()
    with pytest.raises(KeyError):
        attempt(kit, pipeline_id, number=2)
    kit.call("DeletePipeline", pipelineId=pipeline_id)
    with pytest.raises(ServiceError):
        pipeline(kit.service, pipeline_id)


def test_a_pipeline_has_its_instances_newest_first():
    """Those which are selected, with the attempts of each; they are cut and counted."""
    kit = Kit()
    pipeline_id = kit.pipeline(count=3)
    kit.call("SetTaskStatus", taskId=kit.poll(), taskStatus="FINISHED")
    kit.call("ActivatePipeline", pipelineId=pipeline_id)
    details = pipeline(kit.service, pipeline_id, limit=2)
    assert details["pipeline"]["counts"] == {
        "WAITING_FOR_RUNNER": 3,
        "FINISHED": 1,
        "CANCELED": 2,
    }
    assert (len(details["runs"]["rows"]), details["runs"]["total"]) == (2, 6)
    assert details["runs"]["rows"][0]["instance"].startswith("@Work2_")
    [done] = pipeline(kit.service, pipeline_id, status="FINISHED")["runs"]["rows"]
    assert (done["over"], done["attempts"]) == (True, [f"{done['instance']}_Attempt=1"])
    assert pipeline(kit.service, pipeline_id, text="work1")["runs"]["total"] == 2
    assert pipeline(kit.service, pipeline_id, worker_group="x")["runs"]["total"] == 0
