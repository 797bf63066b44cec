"""Definitions of many kinds, small enough to be driven to their ends by chance."""

from __future__ import annotations

from typing import Final

from unit.emulator.lifecycle_objects import (
    Definition,
    Ref,
    activity,
    alarm,
    key_exists,
    node,
    on_demand,
    on_resource,
    resource,
    schedule,
    shell_precondition,
)

S: Final = Ref("S")
CASCADE: Final = {"failureAndRerunMode": "cascade"}
LATE: Final = {"lateAfterTimeout": "40 minutes", "onLateAction": Ref("Late")}


def _hourly(count: int = 3) -> dict[str, object]:
    return schedule("1 hour", startAt="FIRST_ACTIVATION_DATE_TIME", occurrences=str(count))


CHAIN: Final[Definition] = {
    "Default": CASCADE,
    "S": _hourly(),
    "A": activity(schedule=S, output=Ref("Data"), maxActiveInstances="1"),
    "Data": node(schedule=S),
    "B": activity(schedule=S, input=Ref("Data"), onFail=Ref("Bad"), onSuccess=Ref("Good")),
    "C": activity(schedule=S, dependsOn=Ref("B"), scheduleType="timeseries"),
    "Bad": alarm(),
    "Good": alarm(),
}
DIAMOND: Final = on_demand(
    Top=activity(maxActiveInstances="2"),
    Left=activity(dependsOn=Ref("Top"), maxActiveInstances="2"),
    Right=activity(dependsOn=Ref("Top"), maxActiveInstances="2"),
    End=activity(dependsOn=[Ref("Left"), Ref("Right")], maxActiveInstances="2"),
)
BOXED: Final[Definition] = {
    "Default": CASCADE,
    "S": _hourly(2),
    "Box": resource(schedule=S, terminateAfter="50 minutes", onFail=Ref("Bad")),
    "A": on_resource(schedule=S, attemptTimeout="4 minutes"),
    "B": on_resource(schedule=S, dependsOn=Ref("A"), precondition=Ref("Shell")),
    "Shell": shell_precondition(),
    "Bad": alarm(),
}
GUARDED: Final[Definition] = {
    "Default": CASCADE,
    "S": _hourly(2),
    "Data": node(schedule=S, precondition=[Ref("Key"), Ref("Shell")]),
    "A": activity(schedule=S, input=Ref("Data")),
    "B": activity(schedule=S, precondition=Ref("Key")),
    "Key": key_exists(preconditionTimeout="70 minutes"),
    "Shell": shell_precondition(preconditionTimeout="30 minutes"),
}
HURRIED: Final[Definition] = {
    "S": _hourly(2),
    "A": activity(schedule=S, **LATE, reportProgressTimeout="3 minutes"),
    "B": activity(schedule=S, dependsOn=Ref("A"), **LATE | {"onLateAction": Ref("Stop")}),
    "Late": alarm(),
    "Stop": {"type": "Terminate"},
}
OVERLAPPING: Final[Definition] = {
    "S": _hourly(1),
    "Quarters": schedule("15 minutes", startAt="FIRST_ACTIVATION_DATE_TIME", occurrences="4"),
    "Part": activity(schedule=Ref("Quarters")),
    "Whole": activity(schedule=S, dependsOn=Ref("Part")),
}
SHARED: Final[Definition] = {
    "Default": CASCADE,
    "S": _hourly(2),
    "Thirds": schedule("20 minutes", startAt="FIRST_ACTIVATION_DATE_TIME", occurrences="4"),
    "Common": activity(schedule=None, precondition=Ref("Shell"), maxActiveInstances="2"),
    "Data": node(schedule=None, precondition=Ref("Shell")),
    "A": activity(schedule=Ref("Thirds"), dependsOn=Ref("Common"), input=Ref("Data")),
    "B": activity(schedule=S, dependsOn=Ref("Common"), input=Ref("Data")),
    "Once": activity(schedule=None, dependsOn=Ref("Common")),
    "Shell": shell_precondition(preconditionTimeout="30 minutes"),
}
SHARED_BOX: Final[Definition] = {
    "S": _hourly(2),
    "Thirds": schedule("20 minutes", startAt="FIRST_ACTIVATION_DATE_TIME", occurrences="4"),
    "Box": resource(schedule=None, terminateAfter="50 minutes", actionOnTaskFailure="terminate"),
    "Common": on_resource(schedule=None),
    "A": on_resource(schedule=Ref("Thirds"), dependsOn=Ref("Common")),
    "B": on_resource(schedule=S, dependsOn=Ref("Common"), scheduleType="timeseries"),
}
HOURLY_BOX: Final[Definition] = {
    "Default": CASCADE,
    "S": _hourly(2),
    "Thirds": schedule("20 minutes", startAt="FIRST_ACTIVATION_DATE_TIME", occurrences="5"),
    "Box": resource(schedule=S, terminateAfter="50 minutes"),
    "A": on_resource(schedule=Ref("Thirds"), precondition=Ref("Shell")),
    "B": on_resource(schedule=Ref("Thirds"), dependsOn=Ref("A")),
    "Shell": shell_precondition(),
}
SLOW_BOX: Final[Definition] = {
    "S": _hourly(2),
    "Slow": resource(schedule=S, initTimeout="1 minute", onFail=Ref("Bad")),
    "Box": resource(schedule=S),
    "A": on_resource("Slow", schedule=S),
    "B": on_resource("Box", schedule=S),
    "Bad": alarm(),
}
BROKEN: Final[Definition] = {
    "A": activity(schedule=None, command="run #{noSuchField}"),
    "B": activity(schedule=None, dependsOn=Ref("A"), **CASCADE),
    "C": activity(schedule=None, command="run #{@scheduledStartTime}"),
}
PAST: Final[Definition] = {
    "S": schedule("1 hour", startDateTime="2025-12-31T22:00:00", endDateTime="2026-01-01T02:00:00"),
    "A": activity(schedule=S),
    "B": activity(schedule=S, dependsOn=Ref("A"), **CASCADE),
}

DEFINITIONS: Final[dict[str, Definition]] = {
    "chain": CHAIN,
    "diamond": DIAMOND,
    "boxed": BOXED,
    "guarded": GUARDED,
    "hurried": HURRIED,
    "overlapping": OVERLAPPING,
    "shared": SHARED,
    "shared box": SHARED_BOX,
    "hourly box": HOURLY_BOX,
    "slow box": SLOW_BOX,
    "broken": BROKEN,
    "past": PAST,
}
