"""Definition files, inheritance, parameters and periods."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from aiodp.emulator import load_definition
from aiodp.emulator._components import Definition
from aiodp.emulator._period import parse_period
from unit.service_kit import Kit


def test_a_file_becomes_the_api_s_form():
    """Keys are sorted, references and lists translated, names default to ids."""
    text = json.dumps(
        {
            "objects": [
                {"id": "A", "b": ["x", {"ref": "B"}], "a": {"ref": "B"}, "c": 1, "d": True},
                {"id": "B", "name": "Bee"},
            ],
            "parameters": [{"id": "myP", "type": "String", "allowedValues": ["x", "y"]}],
            "values": {"myP": ["x", "y"]},
        }
    )
    objects, parameters, values = load_definition(text)
    assert objects == [
        {
            "id": "A",
            "name": "A",
            "fields": [
                {"key": "a", "refValue": "B"},
                {"key": "b", "stringValue": "x"},
                {"key": "b", "refValue": "B"},
                {"key": "c", "stringValue": "1"},
                {"key": "d", "stringValue": "true"},
            ],
        },
        {"id": "B", "name": "Bee", "fields": []},
    ]
    assert parameters == [
        {
            "id": "myP",
            "attributes": [
                {"key": "allowedValues", "stringValue": "x"},
                {"key": "allowedValues", "stringValue": "y"},
                {"key": "type", "stringValue": "String"},
            ],
        }
    ]
    assert values == [{"id": "myP", "stringValue": "x"}, {"id": "myP", "stringValue": "y"}]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"objects": 1}', '{"objects": [{"name": "x"}]}'])
def test_what_is_no_definition_is_refused(text):
    """Text which is no definition raises ValueError."""
    with pytest.raises(ValueError, match=r".+"):
        load_definition(text)


def test_the_published_sample_runs():
    """AWS's own HelloWorld definition makes one task for the resource's worker group."""
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
    task_id = kit.poll("machines")
    assert task_id is not None
    assert kit.poll("machines") is None
    attempt_id = kit.service.task(task_id).attempt_id
    described = kit.call("DescribeObjects", pipelineId=pipeline_id, objectIds=[attempt_id])
    fields = {
        one["key"]: one.get("stringValue") for one in described["pipelineObjects"][0]["fields"]
    }
    assert fields["command"] == "echo 'Hello World!'"
    assert fields["pipelineLogUri"] == "s3://logs/HelloWorld"


def component(objects, object_id, parameters=(), values=()):
    definition = Definition(
        objects=[{"name": one["id"], **one} for one in objects],
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


def test_a_circle_of_parents_is_an_error():
    """A definition whose objects inherit from each other is kept, but has errors."""
    kit = Kit()
    pipeline_id = kit.call("CreatePipeline", name="p", uniqueId="p")["pipelineId"]
    objects = [
        {"id": one, "name": one, "fields": [{"key": "parent", "refValue": other}]}
        for one, other in [("A", "B"), ("B", "A")]
    ]
    put = kit.call("PutPipelineDefinition", pipelineId=pipeline_id, pipelineObjects=objects)
    assert [one["id"] for one in put["validationErrors"]] == ["A", "B"]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("10 minutes", 600), ("1 Hour", 3600), ("1 Days", 86400), ("2 WEEKS", 1209600)],
)
def test_periods(written, seconds):
    """Periods are read in any case, singular or plural."""
    assert parse_period(written) == seconds


@pytest.mark.parametrize(
    "written", ["", "10", "0 minutes", "minutes", "1.5 hours", "-1 day", "1 s"]
)
def test_what_is_no_period(written):
    """Anything else is refused."""
    with pytest.raises(ValueError, match="no period"):
        parse_period(written)


def put(kit, *fields, object_type="ShellCommandActivity", parameters=()):
    """Put a definition of one object with these fields; return its pipeline and its errors."""
    pipeline_id = kit.call("CreatePipeline", name="p", uniqueId="p")["pipelineId"]
    common = [text("type", object_type), text("workerGroup", "workers")]
    objects = [{"id": "Work", "name": "Work", "fields": [*common, *fields]}]
    answer = kit.call(
        "PutPipelineDefinition",
        pipelineId=pipeline_id,
        pipelineObjects=objects,
        parameterValues=list(parameters),
    )
    return pipeline_id, [error for one in answer["validationErrors"] for error in one["errors"]]


@pytest.mark.parametrize(
    ("written", "retries"),
    [("0", 0), ("3", 3), ("99", 5), ("-1", 2), ("\u00b2", 2), ("9" * 5000, 2), ("many", 2)],
)
def test_odd_numbers_of_retries(written, retries):
    """At most five retries are made; what is no number counts as none given, and breaks nothing."""
    kit = Kit(max_retries=2, retry_delay=0)
    pipeline_id, errors = put(kit, text("maximumRetries", written))
    assert not errors
    assert kit.call("ActivatePipeline", pipelineId=pipeline_id) == {}
    given = 0
    while (task_id := kit.poll()) is not None:
        given += 1
        kit.call("SetTaskStatus", taskId=task_id, taskStatus="FAILED")
    assert given == retries + 1


@pytest.mark.parametrize(
    ("period", "good"),
    [
        ("14 minutes", False),
        ("15 minutes", True),
        ("3 years", True),
        ("37 months", False),
        ("999999999 years", False),
    ],
)
def test_the_bounds_of_a_schedule_s_period(period, good):
    """A schedule repeats every 15 minutes at most and every 3 years at least."""
    _, errors = put(Kit(), text("period", period), object_type="Schedule")
    assert (not errors) == good


def test_a_period_beyond_the_calendar_loses_no_task():
    """An impossible period which a parameter brings leaves a slot without a length."""
    kit = Kit()
    period = {"id": "myPeriod", "stringValue": "999999999 years"}
    pipeline_id, errors = put(
        kit,
        text("period", "#{myPeriod}"),
        {"key": "schedule", "refValue": "Work"},
        parameters=[period],
    )
    assert not errors
    kit.call("ActivatePipeline", pipelineId=pipeline_id)
    task_id = kit.poll()
    assert task_id is not None
    attempt_id = kit.service.task(task_id).attempt_id
    described = kit.call("DescribeObjects", pipelineId=pipeline_id, objectIds=[attempt_id])
    fields = {
        one["key"]: one.get("stringValue") for one in described["pipelineObjects"][0]["fields"]
    }
    assert fields["@scheduledEndTime"] == fields["@scheduledStartTime"]


@pytest.mark.parametrize(
    ("fields", "limit"),
    [
        ([text(f"my{n}", "x") for n in range(49)], "50 fields"),
        ([text("my" + "\u00e9" * 128, "x")], "256 bytes"),
        ([text("myText", "\u00e9" * 6000)], "10240 bytes"),
        ([text("myA", "x" * 8000), text("myB", "x" * 8000)], "15360 bytes"),
    ],
)
def test_the_limits_of_an_object(fields, limit):
    """A definition whose object is beyond a limit, which counts bytes, cannot be activated."""
    kit = Kit()
    pipeline_id, errors = put(kit, *fields)
    assert len(errors) == 1
    assert limit in errors[0]
    activation = kit.call("ActivatePipeline", pipelineId=pipeline_id)
    assert activation["error"] == "InvalidRequestException"
