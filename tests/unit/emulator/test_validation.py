"""What keeps a definition from being activated, each shown by the least definition that has it."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import pytest

from aiodp.emulator import load_definition
from aiodp.emulator._definition.components import Definition
from aiodp.emulator._definition.object_types import TYPES
from unit.emulator.validation_kit import activity, definition, errors, machine, node, ref, schedule

SAMPLES = files("aiodp.cli").joinpath("samples")
STAGING = """
{"objects": [
  {"id": "Default", "failureAndRerunMode": "CASCADE", "role": "r", "resourceRole": "r",
   "pipelineLogUri": "#{myS3LogsPath}", "scheduleType": "cron", "schedule": {"ref": "Once"}},
  {"id": "Once", "type": "Schedule", "occurrences": "1", "period": "1 Day",
   "startAt": "FIRST_ACTIVATION_DATE_TIME"},
  {"id": "Machine", "type": "Ec2Resource", "terminateAfter": "1 Hour"},
  {"id": "Staging", "type": "S3DataNode", "directoryPath": "#{myS3StagingPath}"},
  {"id": "Shell", "type": "ShellCommandActivity", "stage": "true", "input": {"ref": "Staging"},
   "runsOn": {"ref": "Machine"}, "scriptArgument": ["hello world"],
   "command": "bash -x ${INPUT1_STAGING_DIR}/bashscript.sh $1"}],
 "parameters": [
  {"id": "myS3LogsPath", "type": "AWS::S3::ObjectKey", "description": "S3 path for logs."},
  {"id": "myS3StagingPath", "type": "AWS::S3::ObjectKey", "description": "S3 path."}]}
"""
PUBLISHED = """
{"objects": [
  {"id": "Default", "workerGroup": "workerGroup"},
  {"id": "Schedule", "type": "Schedule", "startDateTime": "2012-12-12T00:00:00",
   "period": "1 hour", "endDateTime": "2012-12-21T18:00:00"},
  {"id": "SayHello", "type": "ShellCommandActivity", "command": "echo hello",
   "parent": {"ref": "Default"}, "schedule": {"ref": "Schedule"}}]}
"""
ON_DEMAND = """
{"objects": [
  {"id": "Default", "scheduleType": "ondemand", "schedule": {"ref": "DefaultSchedule"},
   "workerGroup": "w"},
  {"id": "DefaultSchedule", "type": "Schedule", "period": "ONDEMAND_PERIOD",
   "startAt": "ONDEMAND_ACTIVATION_TIME"},
  {"id": "Work", "type": "ShellCommandActivity", "command": "true"}]}
"""
HELLO = SAMPLES.joinpath("helloworld.json").read_text()


@pytest.mark.parametrize("text", [HELLO, STAGING, PUBLISHED, ON_DEMAND])
def test_what_aws_publishes_has_no_error(text):
    """Definitions of AWS's samples, of its API reference and of its guide are all well."""
    objects, parameters, values = load_definition(text)
    made = Definition(objects=objects, parameter_objects=parameters, parameter_values=values)
    assert errors(made) == {}


def test_the_whole_of_a_published_answer():
    """The example of ValidatePipelineDefinition is answered word by word."""
    made = definition(schedule(startDateTime="bad-time"), activity())
    text = "INVALID_FIELD_VALUE: 'startDateTime' value must be a literal datetime value."
    assert errors(made) == {"Hourly": [text]}


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("attemptTimeout", "soon", "a period"),
        ("lateAfterTimeout", "0 hours", "a period"),
        ("reportProgressTimeout", "5", "a period"),
        ("reportProgressTimeout", "-5", "a period"),
        ("reportProgressTimeout", "10", "a period"),
        ("retryDelay", "1.5 hours", "a period"),
        ("maximumRetries", "-1", "an integer from 0"),
        ("maximumRetries", "\u00b2", "an integer from 0"),
        ("maximumRetries", "9" * 5000, "an integer from 0"),
        ("maximumRetries", "many", "an integer from 0"),
        ("maxActiveInstances", "0", "an integer from 1"),
        ("scheduleType", "sometimes", "one of cron, ondemand, timeseries"),
        ("failureAndRerunMode", "always", "one of cascade, none"),
    ],
)
def test_values_of_an_activity(key, value, wanted):
    """A period, a number or an enumeration which is none is an error of the object that has it."""
    found = errors(definition(schedule(), activity(**{key: value})))
    assert list(found) == ["Work"]
    assert found["Work"][0].startswith(f"INVALID_FIELD_VALUE: '{key}' value must be {wanted}")
    assert len(found["Work"]) == 1


@pytest.mark.parametrize(
    ("fields", "fragment"),
    [
        ({"period": None}, "MISSING_FIELD: 'period' is missing"),
        ({"period": "14 minutes"}, "not between 15 minutes and 3 years"),
        ({"period": "4 years"}, "not between 15 minutes and 3 years"),
        ({"period": "1097 days"}, "not between 15 minutes and 3 years"),
        ({"period": "hourly"}, "'period' value must be a period"),
        ({"startDateTime": None}, "one of 'startAt', 'startDateTime' is needed"),
        ({"startAt": "FIRST_ACTIVATION_DATE_TIME"}, "'startAt', 'startDateTime' exclude"),
        ({"startDateTime": None, "startAt": "now"}, "'startAt' value must be one of"),
        ({"startDateTime": "2026-01-01T00:00:00Z"}, "literal datetime"),
        ({"startDateTime": "2026-01-01T00:00:00+01:00"}, "literal datetime"),
        ({"startDateTime": "2026-02-30T00:00:00"}, "literal datetime"),
        ({"startDateTime": "2026-01-01"}, "literal datetime"),
        ({"startDateTime": "makeDate(2011,5,24)"}, "literal datetime"),
        ({"endDateTime": "2026-01-01T24:00:00"}, "literal datetime"),
        ({"endDateTime": "2026-01-01T00:00:00"}, "'endDateTime' must be after"),
        ({"endDateTime": "2027-01-01T00:00:00", "occurrences": "3"}, "exclude each other"),
        ({"occurrences": "0"}, "'occurrences' value must be an integer from 1"),
        ({"occurrences": "twice"}, "'occurrences' value must be an integer from 1"),
        ({"schedule": ref("Hourly")}, "it is its own schedule"),
    ],
)
def test_a_schedule_with_a_wrong_period_start_or_end_is_an_error(fields, fragment):
    """A Schedule has a period from 15 minutes to 3 years, one start, one end at most, and dates."""
    found = errors(definition(schedule(**fields)))
    assert list(found) == ["Hourly"]
    assert len(found["Hourly"]) == 1
    assert fragment in found["Hourly"][0]


def test_ids_are_unique():
    """An id which is there twice is an error, told once."""
    found = errors(definition(node(), node()))
    assert found == {"Data": ["DUPLICATE_ID: The id 'Data' is not unique."]}


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("NoSuchActivity", ""),
        ("shellcommandactivity", " Did you mean 'ShellCommandActivity'?"),
        ("ShellComandActivity", " Did you mean 'ShellCommandActivity'?"),
        ("S3Datanode", " Did you mean 'S3DataNode'?"),
        ("#{myType}", ""),
    ],
)
def test_types_are_the_guide_s(name, hint):
    """A type which the guide has not is an error, with one like it; types are not evaluated."""
    found = errors(definition({"id": "A", "type": name}, values={"myType": "Terminate"}))
    assert found == {"A": [f"INVALID_FIELD_VALUE: there is no 'type' '{name}'.{hint}"]}


@pytest.mark.parametrize(
    ("changed", "fragment"),
    [
        ({"command": None}, "MISSING_FIELD: one of 'command', 'scriptUri' is needed"),
        ({"scriptUri": "s3://b/s.sh"}, "'command', 'scriptUri' exclude each other"),
        ({"onLateAction": ref("Stop")}, "'onLateAction' needs 'lateAfterTimeout'"),
    ],
)
def test_a_shell_activity_needs_a_command_or_a_script(changed, fragment):
    """An activity of a shell has a command or a scriptUri."""
    stop = {"id": "Stop", "type": "Terminate"}
    found = errors(definition(schedule(), stop, activity(**changed)))
    assert list(found) == ["Work"]
    assert len(found["Work"]) == 1
    assert fragment in found["Work"][0]


@pytest.mark.parametrize("fields", [{}, {"command": "true", "scriptUri": "s3://b/k"}])
def test_a_shell_precondition_needs_either_a_command_or_a_script(fields):
    """ShellCommandPrecondition has exactly one of command and scriptUri."""
    ready = {"id": "Ready", "type": "ShellCommandPrecondition"}
    assert len(errors(definition(ready | fields))["Ready"]) == 1


@pytest.mark.parametrize("name", sorted(TYPES))
def test_each_missing_required_field_is_an_error(name):
    """Each documented type has an error for each field it needs, and none with them all."""
    known = TYPES[name]
    bare = errors(definition({"id": "X", "type": name})).get("X", [])
    wanted = [f"MISSING_FIELD: '{key}' is missing." for key in sorted(known.required)]
    assert bare[: len(wanted)] == wanted
    assert len(bare) == len(wanted) + bool(known.one_of)
    given = dict.fromkeys([*known.required, *sorted(known.one_of)[-1:]], "#{myValue}")
    filled = {"id": "X", "type": name} | given
    if "database" in filled:
        filled["database"] = ref("Db")
    db = {
        "id": "Db",
        "type": "RedshiftDatabase",
        "username": "u",
        "*password": "p",
        "clusterId": "c",
    }
    assert errors(definition(filled, db)) == {}


def test_required_fields_may_be_inherited():
    """Parents and Default may give what an object's type needs."""
    base = {"id": "Base", "type": "ShellCommandActivity", "parent": ref("Default")}
    default = {"id": "Default", "command": "true", "schedule": ref("Hourly")}
    leaf = {"id": "Leaf", "parent": ref("Base")}
    assert errors(definition(default, base, leaf, schedule())) == {}


@pytest.mark.parametrize("key", ["runsOn", "workerGroup"])
def test_a_resource_runs_on_nothing(key):
    """A resource has neither runsOn nor workerGroup, though it may inherit them."""
    value: Any = ref("Machine") if key == "runsOn" else "workers"
    assert len(errors(definition(machine(**{key: value})))["Machine"]) == 1
    assert errors(definition({"id": "Default", key: value}, machine())) == {}


def test_on_demand_has_no_schedule():
    """An object on demand which has a Schedule as well is an error."""
    made = definition(schedule(), activity(scheduleType="OnDemand"))
    assert errors(made) == {
        "Work": ["INVALID_FIELD_VALUE: 'schedule' is not for what runs on demand."]
    }


def test_on_demand_is_for_all():
    """Another scheduleType beside ondemand is an error of the object that has it."""
    default = {"id": "Default", "scheduleType": "ondemand"}
    other = activity(scheduleType="cron")
    assert list(errors(definition(schedule(), default, other))) == ["Work"]


@pytest.mark.parametrize(
    "text", ["#{", "#{1 +}", "#{nothing(1)}", "#{format(@scheduledStartTime)}", "a #{b} #{'c}"]
)
def test_broken_expressions_are_errors(text):
    """Broken syntax, an unknown function and a wrong number of arguments are errors."""
    found = errors(definition(schedule(), activity(command=text)))
    assert list(found) == ["Work"]
    assert found["Work"][0].startswith("INVALID_EXPRESSION: 'command': ")


def test_what_an_expression_will_be_is_not_known():
    """Values which hold an expression are not checked, save for its syntax."""
    made = definition(
        schedule(period="#{myPeriod}", startDateTime="#{makeDate(2011,5,24)}"),
        activity(maximumRetries="#{myField}", attemptTimeout="#{'1'} hour", scheduleType="#{myA}"),
    )
    assert errors(made) == {}


def test_what_a_parameter_gives_is_checked():
    """A parameter's value counts as if it stood there."""
    made = definition(
        schedule(period="#{myPeriod}"),
        parameters=[{"id": "myPeriod"}],
        values={"myPeriod": "1 minute"},
    )
    assert "not between 15 minutes and 3 years" in errors(made)["Hourly"][0]


@pytest.mark.parametrize(
    ("fields", "limit"),
    [
        ({f"my_{n}": "x" for n in range(51)}, "50 fields"),
        ({"my" + "\u00e9" * 128: "x"}, "256 bytes"),
        ({"my_text": "\u00e9" * 5121}, "10240 bytes"),
        ({"my_a": "x" * 8000, "my_b": "x" * 7353}, "15360 bytes"),
    ],
)
def test_limits_of_an_object(fields, limit):
    """An object beyond a limit, which counts bytes, has an error."""
    found = errors(definition({"id": "Base"} | fields))
    assert list(found) == ["Base"]
    assert limit in found["Base"][0]


def test_an_object_at_its_limits():
    """Fifty fields, or 15,360 bytes with the names of the fields, are well."""
    fields = {f"my_{n}": "x" for n in range(50)}
    text = {"my_a": "x" * 8000, "my_b": "x" * 7352}
    assert errors(definition({"id": "A"} | fields, {"id": "B"} | text)) == {}


def test_the_length_of_an_id():
    """An id has 256 bytes at most."""
    assert errors(definition(node("x" * 256))) == {}
    assert "256 bytes" in errors(definition(node("x" * 257)))["x" * 257][0]


def test_no_message_is_too_long():
    """However long a value is, its error keeps within what the API lets a message have."""
    found = errors(definition(schedule(), activity(attemptTimeout="x" * 10_200)))
    assert len(found["Work"][0]) == 10_000


@pytest.mark.parametrize("period", ["15 minutes", "1096 days", "3 years", "36 months"])
def test_the_longest_and_the_shortest_schedule(period):
    """Three years have 1,096 days if one of them is a leap year."""
    assert errors(definition(schedule(period=period))) == {}


def test_default_may_be_of_type_default():
    """The object Default may say what it is, as the service's own exports do."""
    default = {"id": "Default", "type": "Default", "workerGroup": "w"}
    made = definition(default, schedule(), activity(parent=ref("Default"), workerGroup=None))
    assert errors(made) == {}
