"""Definitions which are put, validated, and kept or not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodp.emulator._model.records import Status
from unit.emulator.service_kit import Kit

PUT, VALIDATE = "PutPipelineDefinition", "ValidatePipelineDefinition"


def text(key: str, value: str) -> dict[str, str]:
    return {"key": key, "stringValue": value}


def thing(object_id: str, *fields: dict[str, str]) -> dict[str, Any]:
    return {"id": object_id, "name": object_id, "fields": list(fields)}


def work(**fields: str) -> dict[str, Any]:
    usual = {
        "type": "ShellCommandActivity",
        "command": "true",
        "workerGroup": "workers",
        "scheduleType": "ondemand",
    }
    return thing("Work", *(text(key, value) for key, value in (usual | fields).items()))


def create(kit: Kit) -> str:
    made = kit.call("CreatePipeline", name="p", uniqueId="p")
    pipeline_id: str = made["pipelineId"]
    return pipeline_id


def test_validating_answers_what_putting_does_and_stores_nothing():
    """ValidatePipelineDefinition finds what Put does; the pipeline stays as it is."""
    kit = Kit()
    pipeline_id = create(kit)
    params = {"pipelineId": pipeline_id, "pipelineObjects": [work(attemptTimeout="soon")]}
    validated = kit.call(VALIDATE, **params)
    assert kit.call("GetPipelineDefinition", pipelineId=pipeline_id)["pipelineObjects"] == []
    assert validated == kit.call(PUT, **params)
    assert [item["id"] for item in validated["validationErrors"]] == ["Work"]
    assert [item["id"] for item in validated["validationWarnings"]] == ["Work"]
    assert validated["errored"] is True


@pytest.mark.parametrize("operation", [PUT, VALIDATE])
def test_a_backfill_is_told_by_the_service_s_clock(operation):
    """Cascade together with a start in the past has a warning (`validation/backfill.py`)."""
    kit = Kit()
    past = thing(
        "S",
        text("type", "Schedule"),
        text("period", "1 hour"),
        text("startDateTime", "1999-01-01T00:00:00"),
    )
    cascading = work(failureAndRerunMode="cascade", scheduleType="cron")
    cascading["fields"].append({"key": "schedule", "refValue": "S"})
    answer = kit.call(operation, pipelineId=create(kit), pipelineObjects=[past, cascading])
    told = {item["id"]: item["warnings"] for item in answer["validationWarnings"]}
    assert any("create a backfill" in warning for warning in told["Work"])


def test_what_has_errors_is_stored_and_not_activated():
    """Errors keep a definition from being activated, not from being kept."""
    kit = Kit()
    pipeline_id = create(kit)
    objects = [work(attemptTimeout="soon")]
    assert kit.call(PUT, pipelineId=pipeline_id, pipelineObjects=objects)["errored"] is True
    stored = kit.call("GetPipelineDefinition", pipelineId=pipeline_id)
    assert stored["pipelineObjects"] == objects
    answer = kit.call("ActivatePipeline", pipelineId=pipeline_id)
    assert answer["error"] == "InvalidRequestException"


@pytest.mark.parametrize(
    ("objects", "named"),
    [
        ([thing("A", text("workerGroup", ""))], "A: INVALID_FIELD_VALUE: 'workerGroup' is empty."),
        ([thing("A", {"key": "k"})], "A: INVALID_FIELD_VALUE: 'k' is empty."),
        ([thing("A") | {"name": ""}], "A: MISSING_FIELD: 'name' is missing."),
        ([thing("") | {"name": "A"}], "(none): MISSING_FIELD: 'id' is missing."),
        ([thing(f"A{n}") for n in range(101)], "LIMIT_EXCEEDED: The pipeline has 101 objects"),
    ],
)
def test_fatal_errors_keep_a_definition_from_being_stored(objects, named):
    """An empty field, a missing name or too many objects: Put refuses, Validate tells why."""
    kit = Kit()
    pipeline_id = create(kit)
    params = {"pipelineId": pipeline_id, "pipelineObjects": objects}
    refusal = kit.call(PUT, **params)
    assert refusal["error"] == "InvalidRequestException"
    assert refusal["message"].startswith("Pipeline definition has errors: Could not save the")
    assert named in refusal["message"]
    assert kit.call("GetPipelineDefinition", pipelineId=pipeline_id)["pipelineObjects"] == []
    validated = kit.call(VALIDATE, **params)
    assert validated["errored"] is True
    (error,) = validated["validationErrors"]
    assert named in f"{error['id']}: {error['errors'][0]}"


def test_how_many_objects_is_a_setting():
    """A limit which AWS raises on request is raised by a setting."""
    kit = Kit(max_objects=1)
    params = {"pipelineId": create(kit), "pipelineObjects": [work(), thing("Other")]}
    assert kit.call(VALIDATE, **params)["errored"] is True


def test_an_activated_pipeline_tells_which_edits_it_takes():
    """After the activation a forbidden change is an error; the definition is kept nevertheless."""
    kit = Kit()
    pipeline_id = create(kit)
    kit.call(PUT, pipelineId=pipeline_id, pipelineObjects=[work(), thing("Other")])
    assert kit.call("ActivatePipeline", pipelineId=pipeline_id) == {}
    answer = kit.call(PUT, pipelineId=pipeline_id, pipelineObjects=[work()])
    assert answer["validationErrors"] == [
        {"id": "Other", "errors": ["INVALID_EDIT: an object cannot be removed."]}
    ]
    stored = kit.call("GetPipelineDefinition", pipelineId=pipeline_id)
    assert stored["pipelineObjects"] == [work()]


def test_a_finished_pipeline_takes_a_later_end_alone():
    """Put is refused on a FINISHED pipeline, unless only the end of a Schedule moves."""
    kit = Kit()
    pipeline_id = create(kit)
    once = thing(
        "Once",
        text("type", "Schedule"),
        text("period", "1 day"),
        text("startAt", "FIRST_ACTIVATION_DATE_TIME"),
    )
    scheduled = work(scheduleType="cron")
    scheduled["fields"].append({"key": "schedule", "refValue": "Once"})

    def put(*objects: dict[str, Any]) -> Any:
        return kit.call(PUT, pipelineId=pipeline_id, pipelineObjects=list(objects)).get("error")

    first = once | {"fields": [*once["fields"], text("occurrences", "1")]}
    assert put(first, scheduled) is None
    assert kit.call("ActivatePipeline", pipelineId=pipeline_id) == {}
    kit.service.model.catalog.get(pipeline_id).state = Status.FINISHED
    assert put(first, scheduled, thing("Other")) == "InvalidRequestException"
    assert put(once | {"fields": [*once["fields"], text("occurrences", "2")]}, scheduled) is None


WORDS = st.sampled_from(
    [
        "type",
        "parent",
        "schedule",
        "input",
        "dependsOn",
        "period",
        "startDateTime",
        "scheduleType",
        "maximumRetries",
        "command",
        "Schedule",
        "ShellCommandActivity",
        "S3DataNode",
        "Default",
        "A",
        "B",
        "1 hour",
        "ondemand",
        "2026-01-01T00:00:00",
        "#{",
        "#{myA}",
        "#{'",
        "",
    ]
)
FIELDS = st.fixed_dictionaries(
    {"key": WORDS}, optional={"stringValue": WORDS | st.text(max_size=5), "refValue": WORDS}
)
OBJECTS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from(["Default", "A", "B", "C", ""]),
            "name": WORDS,
            "fields": st.lists(FIELDS, max_size=6),
        }
    ),
    max_size=5,
)
VALUES = st.lists(st.fixed_dictionaries({"id": WORDS, "stringValue": WORDS}), max_size=2)
PARAMETERS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from(["myA", "*myB", "x"]),
            "attributes": st.lists(
                st.fixed_dictionaries(
                    {
                        "key": st.sampled_from(["type", "default", "optional", "allowedValues"]),
                        "stringValue": WORDS | st.sampled_from(["Integer", "Double", "true"]),
                    }
                ),
                max_size=3,
            ),
        }
    ),
    max_size=3,
)


@given(OBJECTS, PARAMETERS, VALUES)
def test_garbage_is_answered(objects, parameters, values):
    """Whatever a definition holds, each operation answers it or refuses it in the API's form."""
    kit = Kit()
    params = {
        "pipelineId": create(kit),
        "pipelineObjects": objects,
        "parameterObjects": parameters,
        "parameterValues": values,
    }
    validated, put = kit.call(VALIDATE, **params), kit.call(PUT, **params)
    assert put.get("error", "InvalidRequestException") == "InvalidRequestException"
    if "error" not in put:
        assert validated == put
        assert put["errored"] == bool(put["validationErrors"])
