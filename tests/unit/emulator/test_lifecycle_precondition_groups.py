"""Whose worker group the tasks of a runner's precondition are in (dp-concepts-preconditions)."""

from __future__ import annotations

import pytest

from unit.emulator.lifecycle_objects import (
    Ref,
    activity,
    at,
    daily,
    hourly,
    node,
    on_resource,
    resource,
    shell_precondition,
    stamp,
)


def test_an_inherited_group_of_a_precondition_is_not_its_own(kit):
    """What the object Default says loses against the activity which reads the data."""
    kit.launch(
        daily(
            Default={"workerGroup": "default"},
            Data=node(precondition=Ref("Pre")),
            A=activity(input=Ref("Data"), workerGroup="readers", precondition=Ref("Pre")),
            Pre=shell_precondition(),
        )
    )
    assert kit.take("default") is None
    assert kit.take_all("readers") == [at("Pre"), f"{at('Pre')}_2"]


def test_a_precondition_of_what_is_written_goes_to_the_writers_group(kit):
    """Without a reader the activity with the data as output uses it."""
    kit.launch(
        daily(
            Data=node(precondition=Ref("Pre")),
            A=activity(output=Ref("Data"), workerGroup="writers"),
            Pre=shell_precondition(),
        )
    )
    assert kit.take_all("writers") == [at("A"), at("Pre")]


def test_a_precondition_of_data_which_nobody_uses_has_its_own_group(kit):
    """There is no activity then whose group it could have."""
    kit.launch(
        daily(
            Data=node(precondition=Ref("Pre")),
            A=activity(dependsOn=Ref("Data")),
            Pre=shell_precondition(workerGroup="checkers"),
        )
    )
    assert kit.take_all("checkers") == [at("Pre")]


@pytest.mark.parametrize("first", ["Hourly", "Daily"])
@pytest.mark.parametrize("start", [{}, {"hours": 6}])
def test_the_activity_may_be_on_another_schedule(kit, first, start):
    """Its group is known before there is an instance of it, whichever is made first."""
    definition = daily(
        Hourly=hourly(startDateTime=stamp(**start)),
        Data=node(precondition=Ref("Pre")),
        A=activity(schedule=Ref("Hourly"), input=Ref("Data"), workerGroup="readers"),
        Pre=shell_precondition(),
    )
    kit.launch({first: definition[first]} | definition)
    assert kit.take_all("readers") == [at("Pre")]


@pytest.mark.settings(resource_worker_group=None)
@pytest.mark.parametrize("schedule", ["Hourly", "Daily"])
def test_it_runs_on_the_resource_of_an_activity_on_another_schedule(kit, schedule):
    """The resource is that of the first run of the activity which needs the data."""
    kit.launch(
        daily(
            Hourly=hourly(startDateTime=stamp(hours=6)),
            Box=resource(schedule=Ref(schedule)),
            Data=node(precondition=Ref("Pre")),
            A=on_resource(schedule=Ref("Hourly"), input=Ref("Data")),
            Pre=shell_precondition(),
        )
    )
    hours = {"Hourly": 6, "Daily": 0}[schedule]
    kit.move(hours=hours, seconds=60)
    group = f"resource:{kit.pipeline_id}_{at('Box', hours=hours)}"
    kit.finish("Pre", group=group)
    assert kit.status("Data") == "FINISHED"


@pytest.mark.settings(resource_worker_group="box")
def test_it_runs_on_the_last_resource_where_the_activity_has_no_more_slots(kit):
    """Data of later slots, which no run of the activity needs, is checked all the same."""
    kit.launch(
        daily(
            Hourly=hourly(occurrences="2"),
            Once=hourly(occurrences="1"),
            Box=resource(schedule=None),
            Data=node(schedule=Ref("Hourly"), precondition=Ref("Pre")),
            A=on_resource(schedule=Ref("Once"), input=Ref("Data")),
            Pre=shell_precondition(),
        )
    )
    kit.move(60)
    kit.finish("Pre", "A", group="box")
    kit.move(hours=1)
    kit.finish(at("Pre", hours=1), group="box")
    kit.move(30)
    assert kit.state() == "FINISHED"


def test_a_group_may_be_an_expression_of_an_activity_on_another_schedule(kit):
    """It is evaluated for the activity, not for the precondition."""
    kit.launch(
        daily(
            Hourly=hourly(startDateTime=stamp(hours=6)),
            Data=node(precondition=Ref("Pre")),
            A=activity(
                schedule=Ref("Hourly"), input=Ref("Data"), workerGroup="#{myGroup}", myGroup="mine"
            ),
            Pre=shell_precondition(myGroup="other"),
        )
    )
    assert kit.take_all("mine") == [at("Pre")]


def test_a_pause_of_an_activity_on_another_schedule_holds_its_preconditions_back(kit):
    """They are the activity's tasks as much as its own are."""
    kit.prepare(
        daily(
            Hourly=hourly(startDateTime=stamp(hours=6)),
            Data=node(precondition=Ref("Pre")),
            A=activity(schedule=Ref("Hourly"), input=Ref("Data")),
            Pre=shell_precondition(),
        )
    )
    kit.pause("A")
    kit.activate()
    assert kit.take() is None
    kit.resume("A")
    assert kit.take_all() == [at("Pre")]
