"""maxActiveInstances: how many slots of a component may be under way at once."""

from __future__ import annotations

import pytest

from unit.emulator.lifecycle_objects import Ref, activity, at, hourly, schedule, slots, stamp

WAITING, READY = "WAITING_ON_DEPENDENCIES", "WAITING_FOR_RUNNER"


def test_at_most_five_instances_of_a_component_are_active(kit):
    """maxActiveInstances, 5 by default: the others wait on, the oldest slot goes first."""
    kit.launch(slots(hourly()))
    kit.move(hours=6)
    first = [at("A", hours=n) for n in range(7)]
    assert kit.statuses(*first) == [READY] * 5 + [WAITING] * 2
    kit.finish(at("A", hours=3))
    assert kit.statuses(*first[5:]) == [READY, WAITING]


def test_the_object_says_how_many_of_it_are_active(kit):
    """maxActiveInstances of the object wins over the default, and running ones count."""
    kit.launch(slots(hourly(), maxActiveInstances="1"))
    kit.begin("A")
    kit.move(hours=2)
    assert kit.statuses(at("A", hours=1), at("A", hours=2)) == [WAITING, WAITING]
    kit.finish("A")
    assert kit.statuses(at("A", hours=1), at("A", hours=2)) == [READY, WAITING]


@pytest.mark.settings(max_active_instances=3)
@pytest.mark.parametrize(("given", "active"), [("2", 2), ("3", 3), ("4", 3), ("9", 3)])
def test_an_object_gets_no_more_than_the_account(kit, given, active):
    """maxActiveInstances beyond the account's limit is that limit; a lower one is kept."""
    kit.launch(slots(hourly(), maxActiveInstances=given))
    kit.move(hours=5)
    assert list(kit.runs().values()).count(READY) == active


@pytest.mark.settings(max_active_instances=1)
def test_what_waits_for_a_retry_is_active(kit):
    """An instance between two attempts is beyond WAITING_ON_DEPENDENCIES and not terminal."""
    kit.launch(slots(schedule("15 minutes"), retryDelay="1 hour"))
    kit.fail("A")
    kit.move(minutes=15)
    assert kit.status(at("A", minutes=15)) == WAITING


@pytest.mark.settings(max_active_instances=1, max_retries=0)
def test_a_failed_instance_makes_room(kit):
    """Every terminal status makes room for the next slot."""
    kit.launch(slots(hourly()))
    kit.move(hours=2)
    kit.fail("A")
    assert kit.status(at("A", hours=1)) == READY
    kit.tell("TRY_CANCEL", at("A", hours=1))
    assert kit.status(at("A", hours=2)) == READY


@pytest.mark.settings(max_active_instances=1)
def test_components_do_not_count_for_each_other(kit):
    """The limit is of each component by itself."""
    kit.launch(slots(hourly()) | {"B": activity(schedule=Ref("S"))})
    assert kit.statuses("A", "B") == [READY, READY]


@pytest.mark.settings(max_active_instances=1)
def test_a_rerun_is_not_held_back(kit):
    """Reruns do not count for maxActiveInstances (the Developer Guide, dp-limits)."""
    kit.launch(slots(hourly()))
    kit.finish("A")
    kit.move(hours=1)
    kit.begin(at("A", hours=1))
    assert kit.tell("RERUN", "A") == {}
    assert kit.take_all() == [at("A")]


@pytest.mark.settings(max_active_instances=1)
def test_a_rerun_does_not_count_as_active(kit):
    """Reruns do not count: while one runs the next slot goes as ever."""
    kit.launch(slots(hourly()))
    kit.finish("A")
    kit.tell("RERUN", "A")
    kit.begin("A")
    kit.move(hours=1)
    assert kit.status(at("A", hours=1)) == READY


@pytest.mark.settings(instance_interval=0.0)
def test_each_instance_keeps_to_the_limit_of_its_own_definition(kit):
    """One of an earlier definition waits for all others to end, and has its turn then."""

    def limited(most):
        return slots(hourly(startDateTime=stamp(hours=-2)), maxActiveInstances=most)

    kit.launch(limited(1))
    kit.put(limited(3))
    kit.activate()
    kit.finish(at("A", hours=-2))
    kit.move(hours=1)
    names = [at("A", hours=hour) for hour in (-1, 0, 1)]
    assert kit.statuses(*names) == [READY, WAITING, READY]
    kit.finish(names[2])
    assert kit.status(names[1]) == WAITING
    kit.finish(names[0])
    assert kit.status(names[1]) == READY
