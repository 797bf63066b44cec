"""Stacks with AWS::DataPipeline::Pipeline, made by boto3 in moto's CloudFormation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.datapipeline.models import Pipeline

from aiodp.emulator import Fault, FaultKind, ManualClock, Settings, install

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiodp.emulator._server.locked import LockedService

REGION: Final = "us-east-1"
WORK: Final = {
    "type": "ShellCommandActivity",
    "command": "#{myCommand}",
    "workerGroup": "workers",
    "scheduleType": "ondemand",
}
PARAMETERS: Final = {
    "ParameterObjects": [
        {"Id": "myCommand", "Attributes": [{"Key": "type", "StringValue": "String"}]}
    ],
    "ParameterValues": [{"Id": "myCommand", "StringValue": "echo hi"}],
}
OUTPUTS: Final = {
    "ByRef": {"Value": {"Ref": "Pipe"}},
    "ByAttribute": {"Value": {"Fn::GetAtt": ["Pipe", "PipelineId"]}},
}


@pytest.fixture
def service() -> Iterator[LockedService]:
    """The local service in moto, in this process."""
    with mock_aws(), install(ManualClock(), Settings(poll_hold=0)) as emulation:
        yield emulation.service(DEFAULT_ACCOUNT_ID, REGION)


@pytest.fixture
def stacks(service) -> Iterator[Any]:  # must be there first
    made = boto3.client("cloudformation", region_name=REGION)
    yield made
    made.close()


@pytest.fixture
def pipelines(service) -> Iterator[Any]:  # must be there first
    made = boto3.client("datapipeline", region_name=REGION)
    yield made
    made.close()


def an_object(object_id: str, fields: dict[str, Any]) -> dict[str, Any]:
    listed = [{"Key": key, "StringValue": value} for key, value in fields.items()]
    return {"Id": object_id, "Name": object_id, "Fields": listed}


def template(outputs: dict[str, Any] | None = None, **properties: Any) -> str:
    """A template of one pipeline; what is given comes in place of a sound one's properties."""
    sound = PARAMETERS | {"Name": "pipe", "PipelineObjects": [an_object("Work", WORK)]}
    resource = {"Type": "AWS::DataPipeline::Pipeline", "Properties": sound | properties}
    return json.dumps({"Resources": {"Pipe": resource}, "Outputs": outputs or {}})


def create(stacks: Any, body: str, name: str = "stack") -> str:
    """Make a stack; return its pipeline's id."""
    stacks.create_stack(StackName=name, TemplateBody=body)
    return physical_id(stacks, name)


def update(stacks: Any, body: str) -> str:
    stacks.update_stack(StackName="stack", TemplateBody=body)
    return physical_id(stacks)


def physical_id(stacks: Any, name: str = "stack") -> str:
    [resource] = stacks.describe_stack_resources(StackName=name)["StackResources"]
    found: str = resource["PhysicalResourceId"]
    return found


def described(pipelines: Any, pipeline_id: str) -> dict[str, Any]:
    [found] = pipelines.describe_pipelines(pipelineIds=[pipeline_id])["pipelineDescriptionList"]
    return found  # type: ignore[no-any-return]


def state(pipelines: Any, pipeline_id: str) -> str:
    fields = described(pipelines, pipeline_id)["fields"]
    [found] = [field["stringValue"] for field in fields if field["key"] == "@pipelineState"]
    return str(found)


def ids(pipelines: Any) -> list[str]:
    return [one["id"] for one in pipelines.list_pipelines()["pipelineIdList"]]


def command_of_next_task(pipelines: Any) -> str | None:
    task = pipelines.poll_for_task(workerGroup="workers").get("taskObject")
    if task is None:
        return None
    fields = task["objects"][task["attemptId"]]["fields"]
    return str(next(field["stringValue"] for field in fields if field["key"] == "command"))


@pytest.mark.slow
def test_a_stack_runs_its_pipeline_over_http(server, connect):
    """A stack's pipeline has its parameters, runs by default, and goes with the stack."""
    stacks, pipelines = connect(server, "cloudformation"), connect(server)
    pipeline_id = create(stacks, template())
    assert ids(pipelines) == [pipeline_id]
    assert command_of_next_task(pipelines) == "echo hi"
    stacks.delete_stack(StackName="stack")
    assert ids(pipelines) == []


def test_all_of_a_definition_arrives(stacks, pipelines):
    """Objects, parameter objects and parameter values are what GetPipelineDefinition returns."""
    found = pipelines.get_pipeline_definition(pipelineId=create(stacks, template()))
    assert [one["id"] for one in found["pipelineObjects"]] == ["Work"]
    assert found["parameterObjects"] == [
        {"id": "myCommand", "attributes": [{"key": "type", "stringValue": "String"}]}
    ]
    assert found["parameterValues"] == [{"id": "myCommand", "stringValue": "echo hi"}]


@pytest.mark.slow
def test_name_description_and_tags_arrive(stacks, pipelines):
    """Name, Description and PipelineTags are what DescribePipelines returns."""
    tags = [{"Key": "team", "Value": "data"}]
    body = template(Name="nightly", Description="of the night", PipelineTags=tags)
    found = described(pipelines, create(stacks, body))
    assert (found["name"], found["description"]) == ("nightly", "of the night")
    assert found["tags"] == [{"key": "team", "value": "data"}]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "SCHEDULED"),
        ({"Activate": True}, "SCHEDULED"),
        ({"Activate": "true"}, "SCHEDULED"),
        ({"Activate": False}, "PENDING"),
        ({"Activate": "false"}, "PENDING"),
    ],
)
def test_a_pipeline_is_activated_unless_the_template_says_no(stacks, pipelines, given, expected):
    """Activate is true by default, and false as a text is false."""
    assert state(pipelines, create(stacks, template(**given))) == expected


@pytest.mark.slow
def test_scalars_of_a_template_become_texts(stacks, pipelines):
    """Numbers, booleans and dates are written as in the template, and AWS::NoValue is nothing."""
    body = """
    Resources:
      Pipe:
        Type: AWS::DataPipeline::Pipeline
        Properties:
          Name: 7
          Activate: false
          PipelineObjects:
            - !Ref AWS::NoValue
            - Id: Daily
              Name: Daily
              Fields:
                - {Key: startDateTime, StringValue: 2026-01-02T03:04:05}
                - {Key: occurrences, StringValue: 3}
                - {Key: myFlag, StringValue: true}
                - {Key: type, StringValue: Schedule}
                - {Key: period, StringValue: 1 day}
    """
    pipeline_id = create(stacks, body)
    assert described(pipelines, pipeline_id)["name"] == "7"
    [found] = pipelines.get_pipeline_definition(pipelineId=pipeline_id)["pipelineObjects"]
    values = {field["key"]: field["stringValue"] for field in found["fields"]}
    assert values["startDateTime"] == "2026-01-02T03:04:05"
    assert (values["occurrences"], values["myFlag"]) == ("3", "true")


def test_ref_and_getatt_give_the_id(stacks):
    """Ref and the attribute PipelineId are the pipeline's id."""
    pipeline_id = create(stacks, template(OUTPUTS))
    [stack] = stacks.describe_stacks(StackName="stack")["Stacks"]
    found = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    assert found == {"ByRef": pipeline_id, "ByAttribute": pipeline_id}


@pytest.mark.slow
def test_another_attribute_is_refused(stacks):
    """Fn::GetAtt of what the resource does not have fails the stack, in outputs and elsewhere."""
    arn = {"Fn::GetAtt": ["Pipe", "Arn"]}
    with pytest.raises(ClientError, match="Pipeline does not support attribute type Arn"):
        create(stacks, template({"Out": {"Value": arn}}))
    body = json.loads(template())
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": arn}}
    body["Resources"]["Topic"] = topic
    with pytest.raises(ClientError, match="Pipe does not support attribute type Arn"):
        create(stacks, json.dumps(body), "other")


@pytest.mark.slow
def test_stacks_may_name_their_pipelines_alike(stacks, pipelines):
    """Two stacks with a pipeline of one name have two pipelines, also without a name."""
    made = [create(stacks, template(), name) for name in ("one", "two")]
    assert len(set(made)) == 2
    assert sorted(ids(pipelines)) == sorted(made)


@pytest.mark.slow
def test_a_pipeline_which_was_deleted_by_hand_does_not_hold_its_stack(stacks, pipelines):
    """DeleteStack succeeds though somebody has deleted the pipeline before."""
    pipelines.delete_pipeline(pipelineId=create(stacks, template()))
    stacks.delete_stack(StackName="stack")
    assert stacks.describe_stacks()["Stacks"] == []


LATE: Final = [
    an_object(
        "Daily", {"type": "Schedule", "period": "1 day", "startDateTime": "2025-01-01T00:00:00"}
    ),
    {
        **an_object("Work", WORK | {"scheduleType": "cron"}),
        "Fields": [
            {"Key": "type", "StringValue": "ShellCommandActivity"},
            {"Key": "command", "StringValue": "true"},
            {"Key": "workerGroup", "StringValue": "workers"},
            {"Key": "schedule", "RefValue": "Daily"},
        ],
    },
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"PipelineObjects": [an_object("Work", WORK | {"attemptTimeout": "soon"})]},
            r"^.*following Errors: \[\{ObjectId = 'Work', errors = \[.*attemptTimeout.*\]\}\]",
        ),
        ({"PipelineObjects": [{"Id": "Work", "Fields": []}]}, "InvalidRequestException"),
        ({"PipelineObjects": LATE}, "Error Code: InvalidRequestException"),
        ({"Activate": "perhaps"}, "Activate is true or false, not perhaps"),
        ({"PipelineTags": [{"Key": "team"}]}, "PipelineTags"),
        ({"PipelineTags": "team"}, "PipelineTags"),
    ],
    ids=["errors", "no name", "too late to activate", "no boolean", "half a tag", "no tags"],
)
def test_what_the_service_refuses_fails_the_stack(stacks, pipelines, given, message):
    """CreateStack fails with what the service says, and no pipeline is left."""
    with pytest.raises(ClientError, match=message) as failed:
        stacks.create_stack(StackName="stack", TemplateBody=template(**given))
    assert failed.value.response["Error"]["Code"] == "ValidationError"
    assert ids(pipelines) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", [FaultKind.THROTTLE, FaultKind.RESET, FaultKind.GARBAGE])
def test_a_fault_fails_the_stack(service, stacks, kind):
    """A call of CloudFormation which the service lets down is the stack's failure as well."""
    service.faults.add(Fault(kind=kind, actions=frozenset({"PutPipelineDefinition"})))
    with pytest.raises(ClientError, match="Service: DataPipeline"):
        stacks.create_stack(StackName="stack", TemplateBody=template())


@pytest.mark.slow
def test_an_update_changes_the_pipeline_in_place(stacks, pipelines):
    """Other values are put and activated in the same pipeline."""
    pipeline_id = create(stacks, template())
    assert command_of_next_task(pipelines) == "echo hi"
    values = [{"Id": "myCommand", "StringValue": "echo ho"}]
    pipelines.deactivate_pipeline(pipelineId=pipeline_id)  # which frees the place of its one run
    assert update(stacks, template(ParameterValues=values)) == pipeline_id
    assert state(pipelines, pipeline_id) == "SCHEDULED"
    assert command_of_next_task(pipelines) == "echo ho"


@pytest.mark.slow
def test_other_tags_make_no_run(stacks, pipelines):
    """An update of the tags replaces them, and activates nothing anew."""
    old = [{"Key": "team", "Value": "data"}, {"Key": "cost", "Value": "1"}]
    new = [{"Key": "team", "Value": "dogs"}, {"Key": "env", "Value": "test"}]
    pipeline_id = create(stacks, template(PipelineTags=old))
    task_id = pipelines.poll_for_task(workerGroup="workers")["taskObject"]["taskId"]
    pipelines.set_task_status(taskId=task_id, taskStatus="FINISHED")
    assert update(stacks, template(PipelineTags=new)) == pipeline_id
    tags = described(pipelines, pipeline_id)["tags"]
    assert {tag["key"]: tag["value"] for tag in tags} == {"team": "dogs", "env": "test"}
    assert command_of_next_task(pipelines) is None


@pytest.mark.slow
def test_tags_of_a_finished_pipeline_can_change(stacks, pipelines):
    """A definition which did not change is not put again: its version stays."""
    once = {key: value for key, value in WORK.items() if key != "scheduleType"}
    given: dict[str, Any] = {"PipelineObjects": [an_object("Work", once)]}
    pipeline_id = create(stacks, template(**given))
    task_id = pipelines.poll_for_task(workerGroup="workers")["taskObject"]["taskId"]
    pipelines.set_task_status(taskId=task_id, taskStatus="FINISHED")
    assert state(pipelines, pipeline_id) == "FINISHED"
    before = described(pipelines, pipeline_id)
    update(stacks, template(**given, PipelineTags=[{"Key": "team", "Value": "data"}]))
    after = described(pipelines, pipeline_id)
    assert after["tags"] == [{"key": "team", "value": "data"}]
    assert after["fields"] == before["fields"]


@pytest.mark.slow
def test_a_pipeline_activated_by_hand_goes_on(stacks, pipelines):
    """Only a change of Activate stops a pipeline, not that it was false before."""
    pipeline_id = create(stacks, template(Activate=False))
    pipelines.activate_pipeline(pipelineId=pipeline_id)
    tags = [{"Key": "team", "Value": "data"}]
    update(stacks, template(Activate=False, PipelineTags=tags))
    assert state(pipelines, pipeline_id) == "SCHEDULED"


@pytest.mark.slow
def test_activate_stops_and_starts(stacks, pipelines):
    """Activate, changed to false, stops an active pipeline; true starts it again."""
    pipeline_id = create(stacks, template())
    update(stacks, template(Activate=False))
    assert state(pipelines, pipeline_id) == "INACTIVE"
    update(stacks, template(Activate=True))
    assert state(pipelines, pipeline_id) == "SCHEDULED"
    pipelines.deactivate_pipeline(pipelineId=pipeline_id)
    update(stacks, template(Activate="false"))  # nothing is left to stop
    assert state(pipelines, pipeline_id) == "INACTIVE"


@pytest.mark.slow
@pytest.mark.parametrize("given", [{"Name": "other"}, {"Description": "other"}])
def test_another_name_or_description_is_another_pipeline(stacks, pipelines, given):
    """What a pipeline cannot change replaces it, and the old one is deleted."""
    old = create(stacks, template())
    new = update(stacks, template(**given))
    assert new != old
    assert ids(pipelines) == [new]


@pytest.mark.slow
def test_a_pipeline_without_a_name_keeps_the_one_it_got(stacks, pipelines):
    """CloudFormation makes a name for the pipeline once, not at each update."""
    nameless = json.loads(template(Activate=False))
    del nameless["Resources"]["Pipe"]["Properties"]["Name"]
    pipeline_id = create(stacks, json.dumps(nameless))
    name = described(pipelines, pipeline_id)["name"]
    assert name.startswith("stack-Pipe-")
    nameless["Resources"]["Pipe"]["Properties"]["Activate"] = True
    assert update(stacks, json.dumps(nameless)) == pipeline_id


@pytest.mark.slow
@pytest.mark.parametrize(
    "objects",
    [[an_object("Work", WORK | {"attemptTimeout": "soon"})], LATE],
    ids=["errors", "late"],
)
def test_an_update_which_fails_leaves_the_pipeline_as_it_was(stacks, pipelines, objects):
    """UpdateStack fails with what the service says, and the old definition is put back."""
    pipeline_id = create(stacks, template())
    before = pipelines.get_pipeline_definition(pipelineId=pipeline_id)
    with pytest.raises(ClientError, match="Error Code: InvalidRequestException"):
        update(stacks, template(PipelineObjects=objects))
    assert state(pipelines, pipeline_id) == "SCHEDULED"
    after = pipelines.get_pipeline_definition(pipelineId=pipeline_id)
    assert after["pipelineObjects"] == before["pipelineObjects"]
    assert update(stacks, template()) == pipeline_id  # and the stack can go on


@pytest.mark.slow
def test_a_replacement_which_fails_leaves_the_pipeline_as_it_was(stacks, pipelines):
    """While no new pipeline can be made, the old one stays."""
    pipeline_id = create(stacks, template())
    with pytest.raises(ClientError, match="InvalidRequestException"):
        update(stacks, template(Name="other", PipelineObjects=LATE))
    assert ids(pipelines) == [pipeline_id]


@pytest.mark.slow
def test_a_change_set_makes_a_pipeline(stacks, pipelines):
    """A stack which a change set creates has its pipeline, as a stack of CreateStack has."""
    given = {"StackName": "stack", "ChangeSetName": "first"}
    stacks.create_change_set(**given, ChangeSetType="CREATE", TemplateBody=template())
    stacks.execute_change_set(**given)
    assert ids(pipelines) == [physical_id(stacks)]
    assert command_of_next_task(pipelines) == "echo hi"


def test_without_install_moto_has_its_own_pipelines():
    """After `install` all of moto's class is as before, and stacks make pipelines of moto."""
    before = dict(vars(Pipeline))
    with install(ManualClock(), Settings()):
        with install(ManualClock(), Settings()):
            pass
        assert dict(vars(Pipeline)) != before
    assert dict(vars(Pipeline)) == before
    modules = {getattr(value, "__module__", None) for value in before.values()}
    assert not any("aiodp" in str(module) for module in modules)  # also of an earlier install
    with mock_aws():
        stacks = boto3.client("cloudformation", region_name=REGION)
        pipelines = boto3.client("datapipeline", region_name=REGION)
        pipeline_id = create(stacks, template(Activate=True))
        assert ids(pipelines) == [pipeline_id]
        with install(ManualClock(), Settings()):
            replaced = update(stacks, template(Activate=False))
            assert ids(pipelines) == [replaced]
        assert ids(pipelines) == [pipeline_id]
        pipelines.close()
        stacks.close()
