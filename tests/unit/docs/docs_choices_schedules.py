"""Proofs of choices about schedules and resources."""

from __future__ import annotations

from unit.docs.docs_choices import kit, proves
from unit.emulator.lifecycle_objects import (
    Ref,
    activity,
    at,
    daily,
    on_resource,
    resource,
    schedule,
    stamp,
)

_SCHEDULES = {"Short": schedule("20 minutes"), "Long": schedule("1 hour")}


@proves("What serves two schedules whose slots begin together")
def _() -> None:
    service = kit(
        _SCHEDULES
        | {
            "C": activity(schedule=None),
            "A": activity(schedule=Ref("Long"), dependsOn=Ref("C")),
            "B": activity(schedule=Ref("Short"), dependsOn=Ref("C")),
        }
    )
    assert service.take_all() == [at("C")]
    assert service.fields(at("C"))["@scheduledEndTime"] == stamp(minutes=20)


@proves("Which resource with a schedule of its own serves an activity")
def _() -> None:
    late = {"Late": schedule("1 hour", startDateTime=stamp(minutes=30), occurrences="1")}
    service = kit(
        _SCHEDULES
        | late
        | {
            "Box": resource(schedule=Ref("Late")),
            "A": on_resource(schedule=Ref("Short")),
        }
    )
    service.move(minutes=120)
    instances = [at("A", minutes=n) for n in range(0, 121, 20)]
    assert {service.fields(key)["runsOn"] for key in instances} == {at("Box", minutes=30)}


@proves("What a resource that has failed does")
def _() -> None:
    service = kit(
        _SCHEDULES
        | {
            "Box": resource(schedule=Ref("Long"), terminateAfter="10 minutes"),
            "A": on_resource(schedule=Ref("Short")),
        }
    )
    service.move(minutes=20)
    assert service.statuses("Box", at("A", minutes=20)) == ["TIMEDOUT", "CANCELED"]


@proves("What `initTimeout` ends")
def _() -> None:
    slow = {"initTimeout": "1 minute", "retryDelay": "2 minutes", "maximumRetries": "1"}
    service = kit(daily(Box=resource(**slow), A=on_resource()), resource_startup=90.0)
    service.move(60)
    assert service.status("Box") == "WAITING_ON_DEPENDENCIES"
    service.move(120)
    assert service.status("Box") == "CREATING"
    service.move(60)
    assert service.statuses("Box", "A") == ["FAILED", "CANCELED"]
    never = {"initTimeout": "1 minute", "actionOnResourceFailure": "retrynone"}
    service = kit(daily(Box=resource(**never), A=on_resource()), resource_startup=90.0)
    service.move(60)
    assert service.status("Box") == "FAILED"


@proves("What `actionOnTaskFailure` `terminate` does")
def _() -> None:
    box = resource(actionOnTaskFailure="terminate")
    limits = {"maximumRetries": "0"}
    service = kit(
        daily(Box=box, A=on_resource(**limits), B=on_resource()), resource_worker_group="box"
    )
    service.move(60)
    service.fail("A", "box")
    assert service.statuses("A", "Box", "B") == ["FAILED", "CANCELED", "CANCELED"]
