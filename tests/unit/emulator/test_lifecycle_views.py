"""How instances, attempts and pipelines look in the answers of the service."""

from __future__ import annotations

import pytest

from unit.emulator.lifecycle_kit import INVALID, RETRY, flat
from unit.emulator.lifecycle_objects import (
    Ref,
    activity,
    at,
    daily,
    node,
    schedule,
    selector,
    stamp,
)

ATTEMPT = f"{at('A')}_Attempt=1"
INSTANCE_FIELDS = {
    "@componentParent",
    "parent",
    "type",
    "@sphere",
    "@status",
    "@version",
    "@pipelineId",
    "@scheduledStartTime",
    "@scheduledEndTime",
    "@actualStartTime",
}


def test_an_instance_says_what_it_is(kit):
    """Fields of an instance, as the service's own samples have them."""
    kit.launch(daily(A=activity()))
    fields = kit.fields(at("A"))
    assert set(fields) >= INSTANCE_FIELDS
    assert fields["@sphere"] == "INSTANCE"
    assert fields["@pipelineId"] == kit.pipeline_id
    assert kit.refs(at("A"), "@componentParent") == ["A"]
    assert kit.refs(at("A"), "parent") == ["A"]
    assert kit.refs(at("A"), "@headAttempt") == [ATTEMPT]


def test_an_instance_has_its_name_for_an_id(kit):
    """`id` and `name` of instances and attempts are equal in every sample."""
    kit.launch(daily(A=activity()))
    for object_id in (at("A"), ATTEMPT):
        [described] = kit.describe(object_id)["pipelineObjects"]
        assert described["id"] == described["name"] == object_id


def test_data_nodes_are_described_as_instances(kit):
    """A data node has slots and times, but no attempts."""
    kit.launch(daily(A=activity(input=Ref("Data")), Data=node()))
    fields = kit.fields(at("Data"))
    assert set(fields) >= INSTANCE_FIELDS
    assert "@headAttempt" not in fields
    assert fields["@actualEndTime"] == stamp()


def test_references_are_to_instances_of_the_same_slot(kit):
    """input, output and dependsOn of an instance refer to instances."""
    kit.launch(
        daily(
            A=activity(output=Ref("Data")),
            Data=node(),
            B=activity(input=Ref("Data"), dependsOn=Ref("A")),
        )
    )
    assert kit.refs(at("A"), "output") == [at("Data")]
    assert kit.refs(at("B"), "input") == [at("Data")]
    assert kit.refs(at("B"), "dependsOn") == [at("A")]
    assert kit.refs(at("B"), "schedule") == ["Daily"]


def test_a_task_brings_what_it_refers_to(kit):
    """PollForTask's objects hold the attempt, and the instances to which it refers."""
    kit.launch(daily(A=activity(output=Ref("Data")), Data=node()))
    work = kit.begin("A")
    assert set(work.objects) >= {ATTEMPT, at("Data")}
    fields = work.fields()
    assert fields["@sphere"] == "ATTEMPT"
    assert fields["@status"] == "WAITING_FOR_RUNNER"
    assert fields["@instanceParent"] == at("A")
    assert fields["@componentParent"] == "A"


def test_an_attempt_says_who_works_on_it(kit):
    """hostname and reportProgressTime are fields of the attempt."""
    kit.launch(daily(A=activity()))
    kit.begin("A")
    kit.move(30)
    kit.report(kit.hands[at("A")])
    fields = kit.fields(ATTEMPT)
    assert fields["hostname"] == "worker.example.com"
    assert fields["reportProgressTime"] == stamp(seconds=30)
    assert fields["@status"] == "RUNNING"


def test_reported_fields_land_on_the_attempt(kit):
    """Fields of ReportTaskProgress can be read."""
    kit.launch(daily(A=activity()))
    work = kit.begin("A")
    progress = [{"key": "percentComplete", "stringValue": "50"}]
    kit.call("ReportTaskProgress", taskId=work.task_id, fields=progress)
    assert kit.fields(ATTEMPT)["percentComplete"] == "50"


def test_an_ended_instance_has_its_end(kit):
    """`@actualEndTime` comes with a terminal status, and health with it."""
    kit.launch(daily(A=activity()))
    kit.begin("A")
    assert "@actualEndTime" not in kit.fields(at("A"))
    kit.move(minutes=9)
    kit.finish("A")
    fields = kit.fields(at("A"))
    assert fields["@actualEndTime"] == stamp(minutes=9)
    assert fields["@healthStatus"] == "HEALTHY"


@pytest.mark.settings(max_retries=0)
@pytest.mark.parametrize("status", ["FAILED", "CANCELED"])
def test_what_went_wrong_is_no_health(kit, status):
    """`@healthStatus` is ERROR after FAILED and CANCELED (dp-interpret-health-status)."""
    kit.launch(daily(A=activity()))
    if status == "FAILED":
        kit.fail("A")
    else:
        kit.tell("TRY_CANCEL", "A")
    assert kit.fields(at("A"))["@healthStatus"] == "ERROR"


def test_what_was_canceled_says_why(kit):
    """`cancellationReason` is a field of a CANCELED instance, and goes with a rerun."""
    kit.launch(daily(A=activity()))
    kit.tell("TRY_CANCEL", "A")
    assert kit.fields(at("A"))["cancellationReason"]
    kit.tell("RERUN", "A")
    assert "cancellationReason" not in kit.fields(at("A"))


def test_what_is_under_way_has_no_health_yet(kit):
    """Health comes with the first end."""
    kit.launch(daily(A=activity()))
    kit.begin("A")
    assert "@healthStatus" not in kit.fields(at("A"))


def test_a_query_by_status_finds_instances_with_it(kit):
    """EQ on `@status` finds what has one of the statuses."""
    kit.launch(daily(A=activity(), B=activity(dependsOn=Ref("A")), C=activity()))
    kit.finish("C")
    waiting = selector("@status", "EQ", "WAITING_ON_DEPENDENCIES", "FINISHED")
    assert sorted(kit.query("INSTANCE", waiting)) == [at("B"), at("C")]


def test_a_query_by_time_compares_slots(kit):
    """GE, LE and BETWEEN compare slots; selectors are all to hold."""
    kit.launch({"S": schedule("1 hour"), "A": activity(schedule=Ref("S"))})
    kit.move(hours=3)
    late = selector("@scheduledStartTime", "GE", stamp(hours=2))
    early = selector("@scheduledStartTime", "LE", stamp(hours=2))
    middle = selector("@scheduledStartTime", "BETWEEN", stamp(hours=1), stamp(hours=2))
    assert kit.query("INSTANCE", late, early) == [at("A", hours=2)]
    assert sorted(kit.query("INSTANCE", middle)) == [at("A", hours=1), at("A", hours=2)]


def test_a_query_by_reference_finds_what_refers_to_it(kit):
    """REF_EQ finds the instances of a component and the attempts of an instance."""
    kit.launch(daily(A=activity(), B=activity()))
    assert kit.query("INSTANCE", selector("@componentParent", "REF_EQ", "A")) == [at("A")]
    assert kit.query("ATTEMPT", selector("@instanceParent", "REF_EQ", at("A"))) == [ATTEMPT]


def test_runs_are_found_by_their_actual_start(kit):
    """What `list-runs` asks for: instances that came to be within some days."""
    kit.launch({"S": schedule("1 hour"), "A": activity(schedule=Ref("S"))})
    kit.move(hours=2)
    recent = selector("@actualStartTime", "BETWEEN", stamp(hours=1), stamp(hours=9))
    assert sorted(kit.query("INSTANCE", recent)) == [at("A", hours=1), at("A", hours=2)]


def test_dates_without_a_time_are_their_midnight(kit):
    """As in the AWS CLI's own example, `list-runs --start-interval "2013-09-02","2013-09-11"`."""
    kit.launch({"S": schedule("12 hours"), "A": activity(schedule=Ref("S"))})
    kit.move(hours=48)
    first, second, third = (stamp(hours=hours)[:10] for hours in (0, 24, 48))
    slots = {
        ("GE", second): [24, 36, 48],
        ("LE", second): [0, 12, 24],
        ("BETWEEN", first, second): [0, 12, 24],
        ("BETWEEN", second, f"{third}Z"): [24, 36, 48],
    }
    for (operator, *values), hours in slots.items():
        found = kit.query("INSTANCE", selector("@scheduledStartTime", operator, *values))
        assert sorted(found) == sorted(at("A", hours=hour) for hour in hours)


def test_many_instances_are_found_page_by_page(kit):
    """QueryObjects pages by 100; together the pages have each id once."""
    kit.launch({"S": schedule("15 minutes"), "A": activity(schedule=Ref("S"), maximumRetries="0")})
    kit.move(hours=60)
    found = kit.query("INSTANCE")
    assert len(found) == len(set(found)) == 241


def test_components_show_the_definition(kit):
    """Components have their fields with what they inherit, a status and a version."""
    kit.launch(daily(Default={"myNote": "all"}, A=activity()))
    fields = kit.fields("A")
    assert fields["@sphere"] == "COMPONENT"
    assert fields["@status"] == "SCHEDULED"
    assert fields["myNote"] == "all"
    assert sorted(kit.query("COMPONENT")) == ["A", "Daily", "Default"]


def test_an_instance_tells_of_its_newest_attempt(kit):
    """Its error, its host and its last report are fields of the instance too."""
    kit.launch(daily(A=activity()))
    error = {"errorId": "Disk", "errorMessage": "full", "errorStackTrace": "at line 1"}
    kit.begin("A")
    kit.move(30)
    kit.report(kit.hands[at("A")])
    told = {"hostname": "worker.example.com", "reportProgressTime": stamp(seconds=30)}
    assert kit.fields(at("A")).items() >= told.items()
    assert not error.keys() & kit.fields(at("A")).keys()
    kit.fail("A", **error)
    assert kit.fields(at("A")).items() >= (error | told).items()
    kit.move(RETRY)  # the next attempt, of which nothing is known yet
    assert not (error | told).keys() & kit.fields(at("A")).keys()


@pytest.mark.parametrize(
    ("name", "parent"),
    [("A", ["Base"]), ("Base", ["Default"]), ("Default", []), ("B", ["Default"])],
)
def test_a_component_has_a_parent(kit, name, parent):
    """It is the one which the definition names, or else Default, which itself has none."""
    base = {"myNote": "x"}
    kit.launch(
        daily(Default={"myOwn": "y"}, Base=base, A=activity(parent=Ref("Base")), B=activity())
    )
    assert kit.refs(name, "parent") == parent
    for parent_id in parent:
        assert name in kit.query("COMPONENT", selector("parent", "REF_EQ", parent_id))
        answer = kit.call(
            "EvaluateExpression",
            pipelineId=kit.pipeline_id,
            objectId=name,
            expression="#{parent.@id}",
        )
        assert answer == {"evaluatedExpression": parent_id}


def test_without_a_default_a_component_has_no_parent(kit):
    """There is nothing to inherit from."""
    kit.launch(daily(A=activity()))
    assert kit.refs("A", "parent") == []


def test_runtime_fields_of_a_definition_are_not_the_service_s(kit):
    """They stay in the definition, and are fields neither of components nor of instances."""
    written = {"@status": "RUNNING", "@scheduledStartTime": stamp(days=9), "@myNote": "x"}
    kit.launch(daily(Default={"@myOther": "y"}, A=activity(**written)))
    assert kit.fields("A")["@status"] == "SCHEDULED"
    assert kit.fields(at("A"))["@scheduledStartTime"] == stamp()
    for name in ("A", at("A"), ATTEMPT):
        assert not {"@myNote", "@myOther"} & kit.fields(name).keys()
    assert kit.query("COMPONENT", selector("@status", "EQ", "RUNNING")) == []
    assert kit.query("COMPONENT", selector("@scheduledStartTime", "GE", stamp())) == []
    stored = kit.call("GetPipelineDefinition", pipelineId=kit.pipeline_id)["pipelineObjects"]
    assert flat(next(item for item in stored if item["id"] == "A")).items() >= written.items()


def test_dates_of_queries_may_end_with_a_z(kit):
    """The AWS CLI writes dates so; fields have none."""
    kit.launch({"S": schedule("1 hour"), "A": activity(schedule=Ref("S"))})
    kit.move(hours=2)
    key, one = "@scheduledStartTime", stamp(hours=1)
    assert kit.query("INSTANCE", selector(key, "LE", f"{one}Z")) == [at("A"), at("A", hours=1)]
    assert kit.query("INSTANCE", selector(key, "GE", f"{one}Z")) == [
        at("A", hours=1),
        at("A", hours=2),
    ]
    assert kit.query("INSTANCE", selector(key, "BETWEEN", f"{one}Z", f"{one}Z")) == [
        at("A", hours=1)
    ]


@pytest.mark.parametrize(
    "text", ["yesterday", "2026-01", "2026-02-30", "2026-02-30T00:00:00", "", f"{stamp()}ZZ"]
)
@pytest.mark.parametrize("operator", ["GE", "LE", "BETWEEN"])
def test_queries_by_what_is_no_date(kit, operator, text):
    """A text cannot be before or after a date, so it is refused."""
    kit.launch(daily(A=activity()))
    values = [stamp(), text] if operator == "BETWEEN" else [text]
    answer = kit.call(
        "QueryObjects",
        pipelineId=kit.pipeline_id,
        sphere="INSTANCE",
        query={"selectors": [selector("@scheduledStartTime", operator, *values)]},
    )
    assert answer["error"] == INVALID
