"""What a test says of its work, and what the kit says back: goals, reasons, mistakes."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from aiobotocore.session import get_session

from aiodp.testing import MemoryKit, ServerKit, Settings, virtual_time

ACTIVITY = {"id": "Work", "type": "ShellCommandActivity", "command": "true"}
SCHEDULE = {
    "id": "Daily",
    "type": "Schedule",
    "period": "1 day",
    "startDateTime": "2026-01-01T00:00:00",
    "occurrences": "2",
}


@pytest.fixture
def kit() -> MemoryKit:
    return MemoryKit()


def on_demand(*objects: dict[str, Any]) -> dict[str, Any]:
    default = {"id": "Default", "scheduleType": "ondemand", "workerGroup": "workers"}
    return {"objects": [default, *objects]}


def scheduled(kind: str = "cron", **schedule: str) -> dict[str, Any]:
    default = {"id": "Default", "scheduleType": kind, "workerGroup": "workers"}
    daily = {"schedule": {"ref": "Daily"}}
    return {"objects": [default | daily, ACTIVITY, SCHEDULE | schedule]}


def said(kit: MemoryKit, work: Any) -> str:
    """Return what the kit says of work which is not finished."""
    with pytest.raises(AssertionError) as failed:
        kit.assert_finished(work)
    return str(failed.value)


# Which work


def test_work_is_any_mix_of_pipelines_and_tasks(kit):
    """Pipelines, their ids and task ids, of any number; each run is counted once."""
    first, second = kit.activity(), kit.activity()
    [task_id] = kit.assign()
    for work, count in (
        (first, 1),
        (first.id, 1),
        ([first, second], 2),
        ((first, second.id, task_id), 3),
        ({first, first}, 1),
        ([first, first.id], 1),
    ):
        assert len(kit.runs(work)) == count
    assert said(kit, [first, task_id]).count("WAITING_FOR_RUNNER") == 2


@virtual_time
async def test_several_pipelines_are_waited_for(kit):
    """They are finished when the last one is."""
    pipelines = [kit.activity(), kit.activity()]
    async with kit.attach(get_session()).create_client("datapipeline") as client:
        for n in (0, 1):
            statuses = [pipeline.runs[0].status for pipeline in pipelines]
            assert statuses.count("FINISHED") == n
            task = (await client.poll_for_task(workerGroup="workers"))["taskObject"]
            await client.set_task_status(taskId=task["taskId"], taskStatus="FINISHED")
        assert len(await kit.finished(pipelines)) == 2


@pytest.mark.parametrize("work", [None, 3, [None], ["df-1", 2]])
def test_what_is_no_work_is_named(kit, work):
    """A mistake in the test is told as one."""
    with pytest.raises(TypeError, match="work is a pipeline, a task id, or several of these, not"):
        kit.assert_finished(work)


def test_unknown_ids_and_no_work_are_named(kit):
    """What the service never gave is a mistake of the test, and so is nothing."""
    with pytest.raises(ValueError, match="'nope' is no task which was handed out, nor a pipeline"):
        kit.assert_finished([kit.activity(), "nope"])
    with pytest.raises(ValueError, match="no work is named"):
        kit.assert_finished([])


@pytest.mark.parametrize("deed", ["cancel", "give_away", "task"])
def test_a_task_is_named_by_its_id(kit, deed):
    """A pipeline in its place, and an id which nobody has, are told as mistakes."""
    pipeline = kit.activity()
    with pytest.raises(TypeError, match=r"held\(pipeline\)\.task_id, not by <LocalPipeline"):
        getattr(kit, deed)(pipeline)
    with pytest.raises(ValueError, match="'nope' is no task"):
        getattr(kit, deed)("nope")


def test_a_service_which_was_reset_is_named(kit):
    """A pipeline which the service does not know any more was not deleted by the test."""
    stranger = MemoryKit(Settings(seed=1)).activity()
    with pytest.raises(AssertionError, match=r"does not exist; the service was reset meanwhile"):
        kit.assert_finished(stranger)


# Why it has not finished


def test_what_waits_for_a_poll_names_its_worker_group(kit):
    """The usual mistake, another group's worker, is seen at once."""
    pipeline = kit.activity("reports")
    assert "WAITING_FOR_RUNNER, for a poll of 'reports' (1 attempt)" in said(kit, pipeline)
    assert pipeline.runs[0].waits_for == "for a poll of 'reports'"
    grouped = kit.pipeline({"objects": [ACTIVITY]})
    assert "WAITING_FOR_RUNNER, for a poll, but it has no workerGroup" in said(kit, grouped)


@virtual_time
async def test_a_task_which_is_not_acknowledged_and_a_retry_are_named(kit):
    """From the poll to the next try, the line says whose turn it is."""
    pipeline = kit.activity()
    async with kit.attach(get_session()).create_client("datapipeline") as client:
        task = (await client.poll_for_task(workerGroup="workers"))["taskObject"]
        assert "WAITING_FOR_RUNNER, for its worker to report" in said(kit, pipeline)
        await client.report_task_progress(taskId=task["taskId"])
        assert ": RUNNING (1 attempt" in said(kit, pipeline)
        await client.set_task_status(taskId=task["taskId"], taskStatus="FAILED")
    assert "WAITING_FOR_RUNNER, next try at 2026-01-01T00:02:00" in said(kit, pipeline)


def test_dependencies_and_checks_are_named(kit):
    """A run says on which others it waits, and when the service looks again."""
    needy = ACTIVITY | {"precondition": {"ref": "Input"}, "dependsOn": {"ref": "First"}}
    pipeline = kit.pipeline(
        on_demand(
            needy,
            ACTIVITY | {"id": "First"},
            {"id": "Input", "type": "S3KeyExists", "s3Key": "s3://inputs/key"},
        )
    )
    text = said(kit, pipeline)
    assert "@Work_2026-01-01T00:00:00: WAITING_ON_DEPENDENCIES, on First, Input (0" in text
    assert "@Input_2026-01-01T00:00:00: RUNNING, next check at 2026-01-01T00:02:00" in text


def test_resources_are_named(kit):
    """An activity says what it runs on as long as that is not there; that says who wants it."""
    box = {"id": "Box", "type": "Ec2Resource"}
    boxed = ACTIVITY | {"runsOn": {"ref": "Box"}}
    pipeline = kit.pipeline(on_demand(boxed, box))
    assert "WAITING_FOR_RUNNER, for Box, which is CREATING" in said(kit, pipeline)
    later = boxed | {"dependsOn": {"ref": "First"}}
    pipeline = kit.pipeline(on_demand(later, box, ACTIVITY | {"id": "First"}))
    text = said(kit, pipeline)
    assert "@Box_2026-01-01T00:00:00: WAITING_ON_DEPENDENCIES, for what runs on it" in text


def test_a_resource_which_is_still_to_be_made_is_named(kit):
    """With a schedule of its own that begins later, there is no instance of it yet."""
    later = SCHEDULE | {"id": "Later", "startDateTime": "2026-01-01T12:00:00"}
    box = {"id": "Box", "type": "Ec2Resource", "schedule": {"ref": "Later"}}
    definition = scheduled()
    definition["objects"][1] = ACTIVITY | {"runsOn": {"ref": "Box"}}
    pipeline = kit.pipeline({"objects": [*definition["objects"], box, later]})
    text = said(kit, pipeline)
    assert "for @Box_2026-01-01T12:00:00, which is still to be made" in text


def test_a_pipeline_which_stands_is_named(kit):
    """Nobody can poll for what is deactivated, or paused."""
    pipeline = kit.activity()
    with kit._model() as service:
        service.request(
            "SetStatus",
            {"pipelineId": pipeline.id, "objectIds": ["Activity"], "status": "PAUSE"},
        )
    assert "WAITING_FOR_RUNNER, while Activity is PAUSED" in said(kit, pipeline)
    pipeline.deactivate(cancel_active=False)
    text = said(kit, pipeline)
    assert "WAITING_FOR_RUNNER, while the pipeline is INACTIVE" in text
    assert re.search(r"\n  the pipeline test-\d+ is INACTIVE$", text)


# Schedules


def test_the_next_slot_is_named(kit):
    """A pipeline with slots to come is not finished, and its failed test says when they come."""
    pipeline = kit.pipeline(scheduled())
    assert "is SCHEDULED; its next slot comes at 2026-01-02T00:00:00" in said(kit, pipeline)
    late = kit.pipeline(scheduled(startDateTime="2027-01-01T00:00:00"))
    text = said(kit, late)
    assert "is SCHEDULED; its next slot comes at 2027-01-01T00:00:00" in text
    assert "activated" not in text
    at_its_end = kit.pipeline(scheduled("timeseries"))
    assert "WAITING_ON_DEPENDENCIES, until 2026-01-02T00:00:00" in said(kit, at_its_end)


def test_only_what_was_not_activated_is_asked_about(kit):
    """The question is for a pipeline which is PENDING."""
    assert said(kit, kit.pipeline(scheduled(), activate=False)).endswith(
        "nothing of it has run; was the pipeline activated?"
    )


@pytest.mark.parametrize(
    "start",
    [
        "2026-01-02T00:00:00",
        datetime(2026, 1, 2),  # noqa: DTZ001 - without a zone it is in UTC
        datetime(2026, 1, 2, tzinfo=UTC),
    ],
)
def test_a_schedule_long_past_is_activated_from_a_start(kit, start):
    """What lies before the start is skipped; without one, the service refuses it."""
    pipeline = kit.pipeline(
        scheduled(startDateTime="2025-12-30T00:00:00", occurrences="5"), activate=False
    )
    with pytest.raises(
        ValueError, match=r"ActivatePipeline: InvalidRequestException: .*2025-12-30"
    ):
        pipeline.activate()
    pipeline.activate(start=start)
    assert [run.status for run in pipeline.runs] == ["SKIPPED"] * 3


def test_a_start_is_a_date(kit):
    """A text which is none is a mistake of the test."""
    pipeline = kit.pipeline(scheduled(), activate=False)
    with pytest.raises(ValueError, match="'tomorrow' is no date"):
        pipeline.activate(start="tomorrow")


# Mistakes


@virtual_time
async def test_a_condition_is_a_plain_function(kit):
    """A coroutine is always true, so it is refused; and it is closed, lest it warn."""

    async def never() -> bool:
        return False

    with pytest.raises(TypeError, match=r"a condition is a plain function, but .*never"):
        await kit.until(never)


def test_settings_are_settings():
    """A mapping in their place is told at once, by both kits."""
    for kind in (MemoryKit, ServerKit):
        with pytest.raises(TypeError, match=r"settings are aiodp\.testing\.Settings\(\.\.\.\)"):
            kind({"max_retries": 1})  # type: ignore[arg-type]


@virtual_time
async def test_a_timeout_is_written_as_it_was_given(kit):
    """A third of a second is not zero seconds."""
    with pytest.raises(AssertionError, match=r"not true by 0\.3 s"):
        await kit.until(lambda: False, timeout=0.3)


def test_broken_json_is_told_with_its_place(kit, tmp_path):
    """Line and column are named, and of a file its name."""
    with pytest.raises(ValueError, match=r"the definition is no JSON: .*line 1 column 2"):
        kit.pipeline("{broken")
    file = tmp_path / "report.json"
    file.write_text("[1")
    with pytest.raises(ValueError, match=r"report\.json: the definition is no JSON: .*line 1"):
        kit.pipeline(file)
    file.write_text(json.dumps({"objects": [{}]}))
    with pytest.raises(ValueError, match=r'report\.json: each object .* needs one "id"'):
        kit.pipeline(file)


def test_warnings_about_a_definition_are_kept(kit):
    """They stop nothing, and can be looked at."""
    pipeline = kit.pipeline({"objects": [ACTIVITY]})
    assert any(text.startswith("Work: 'runsOn' and 'workerGroup'") for text in pipeline.warnings)
