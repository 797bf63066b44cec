"""Inheritance, parameters and periods, and what becomes of them when a pipeline runs."""

from __future__ import annotations

from importlib.resources import files

import pytest

from aiodp._core.period import parse_period
from aiodp.emulator import load_definition
from aiodp.emulator._definition.components import Definition
from unit.emulator.service_kit import Kit


def test_the_published_sample_runs():
    """AWS's own HelloWorld definition makes one task, for the machine's worker group."""
    text = files("aiodp.cli").joinpath("samples/helloworld.json").read_text()
    objects, parameters, values = load_definition(text)
    kit = Kit(resource_worker_group="machines")
    pipeline_id = kit.call("CreatePipeline", name="hello", uniqueId="hello")["pipelineId"]
    put = kit.call(
        "PutPipelineDefinition",
        pipelineId=pipeline_id,
        pipelineObjects=objects,
        parameterObjects=parameters,
        parameterValues=values,
    )
    assert put["errored"] is False
    kit.call(
        "ActivatePipeline",
        pipelineId=pipeline_id,
        parameterValues=[{"id": "myS3LogsPath", "stringValue": "s3://logs"}],
    )
    assert kit.poll("machines") is None
    kit.clock.move(kit.service.settings.resource_startup)
    task_id = kit.poll("machines")
    assert task_id is not None
    assert kit.poll("machines") is None
    attempt_id = kit.service.task(task_id).attempt_id
    described = kit.call("DescribeObjects", pipelineId=pipeline_id, objectIds=[attempt_id])
    fields = {
        field["key"]: field.get("stringValue")
        for field in described["pipelineObjects"][0]["fields"]
    }
    assert fields["command"] == "echo 'Hello World!'"
    assert fields["pipelineLogUri"] == "s3://logs/HelloWorld"


def component(objects, object_id, parameters=(), values=()):
    definition = Definition(
        objects=[{"name": item["id"], **item} for item in objects],
        parameter_objects=list(parameters),
        parameter_values=list(values),
    )
    return definition.components()[object_id]


def text(key, value):
    return {"key": key, "stringValue": value}


def test_the_nearest_field_wins():
    """Fields come from the object, its parent, that one's parent and no further, nearest first."""
    objects = [
        {"id": "Default", "fields": [text("a", "default"), text("d", "default")]},
        {"id": "Base", "fields": [text("a", "base"), text("b", "base"), text("c", "base")]},
        {"id": "Mid", "fields": [{"key": "parent", "refValue": "Base"}, text("b", "mid")]},
        {"id": "Leaf", "fields": [{"key": "parent", "refValue": "Mid"}, text("c", "leaf")]},
    ]
    leaf = component(objects, "Leaf")
    assert [leaf.text(key) for key in "abcd"] == ["base", "mid", "leaf", "default"]
    assert "parent" not in leaf.fields


def test_parameters_fill_text():
    """A given value wins over the default, a list makes several fields, the rest stays as it is."""
    parameters = [
        {"id": "myA", "attributes": [text("default", "a"), text("type", "String")]},
        {"id": "myB", "attributes": [text("default", "b")]},
    ]
    values = [
        {"id": "myB", "stringValue": "B"},
        {"id": "myList", "stringValue": "1"},
        {"id": "myList", "stringValue": "2"},
    ]
    fields = [
        text("mixed", "#{myA}-#{ myB }-#{myNone}-#{@id}"),
        text("list", "#{myList}"),
        {"key": "ref", "refValue": "#{myA}"},
    ]
    made = component([{"id": "X", "fields": fields}], "X", parameters, values)
    assert made.text("mixed") == "a-B-#{myNone}-#{@id}"
    assert [field.value for field in made.fields["list"]] == ["1", "2"]
    assert made.ref("ref") == "#{myA}"


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("10 minutes", 600), ("1 Hour", 3600), ("1 Days", 86400), ("2 WEEKS", 1209600)],
)
def test_periods_are_read_in_any_case_singular_or_plural(written, seconds):
    """Periods are read in any case, singular or plural."""
    assert parse_period(written) == seconds


@pytest.mark.parametrize(
    "written", ["", "10", "0 minutes", "minutes", "1.5 hours", "-1 day", "1 s"]
)
def test_what_is_no_period(written):
    """Anything else is refused."""
    with pytest.raises(ValueError, match="no period"):
        parse_period(written)


def put(kit, *fields):
    """Put a definition of one activity with these fields; return its pipeline and its errors."""
    pipeline_id = kit.call("CreatePipeline", name="p", uniqueId="p")["pipelineId"]
    usual = {"type": "ShellCommandActivity", "command": "true", "workerGroup": "workers"}
    common = [text(key, value) for key, value in usual.items()]
    objects = [{"id": "Work", "name": "Work", "fields": [*common, *fields]}]
    answer = kit.call("PutPipelineDefinition", pipelineId=pipeline_id, pipelineObjects=objects)
    return pipeline_id, [error for item in answer["validationErrors"] for error in item["errors"]]


@pytest.mark.parametrize(
    ("written", "retries"),
    [("0", 0), ("3", 3), ("99", 5)],
)
def test_at_most_five_retries_are_made(written, retries):
    """As many retries are made as are asked for, but five at most."""
    kit = Kit(max_retries=2, retry_delay=0)
    pipeline_id, errors = put(kit, text("maximumRetries", written))
    assert not errors
    assert kit.call("ActivatePipeline", pipelineId=pipeline_id) == {}
    given = 0
    while (task_id := kit.poll()) is not None:
        given += 1
        kit.call("SetTaskStatus", taskId=task_id, taskStatus="FAILED")
    assert given == retries + 1
