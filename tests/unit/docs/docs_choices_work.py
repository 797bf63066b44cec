"""Proofs of choices about workers, retries and schedules."""

from __future__ import annotations

from typing import Any

from aiodp.emulator._model.replies import Answer
from unit.docs.docs_choices import INVALID, NOT_FOUND, error, kit, proves
from unit.emulator.lifecycle_kit import Lifecycle
from unit.emulator.lifecycle_objects import Ref, activity, at, daily, on_demand, schedule, stamp

# Workers


@proves("How long a lease lasts")
def _() -> None:
    one = kit()
    work = one.begin("A")
    one.move(299)
    assert one.report(work) == {"canceled": False}
    one.move(300)
    assert error(one.report(work)) == NOT_FOUND


@proves("What becomes of a task which nobody acknowledged")
def _() -> None:
    one = kit(daily(A=activity(), B=activity()))
    first = one.get()
    one.move(120)
    assert one.get().instance_id != first.instance_id
    again = one.get()
    assert (again.attempt_id == first.attempt_id) > (again.task_id == first.task_id)


@proves("When the work of a silent worker")
def _() -> None:
    one = kit()
    one.begin("A")
    one.move(300)
    assert one.get().attempt_id == at("A") + "_Attempt=2"
    assert one.fields(at("A"))["@triesLeft"] == "1"


@proves("What reports of a task get once its pipeline is deleted")
def _() -> None:
    one = kit()
    work = one.begin("A")
    one.call("DeletePipeline", pipelineId=one.pipeline_id)
    assert error(one.report(work)) == "PipelineDeletedException"


@proves("What SetTaskStatus of a canceled task gets")
def _() -> None:
    one = kit()
    work = one.begin("A")
    one.tell("TRY_CANCEL", "A")
    assert error(one.end(work)) == NOT_FOUND


@proves("What calls get after `attemptTimeout`")
def _() -> None:
    one = kit(daily(A=activity(attemptTimeout="1 minute")))
    work = one.begin("A")
    one.move(60)
    assert error(one.report(work)) == NOT_FOUND


@proves("How long a canceled task answers")
def _() -> None:
    one = kit()
    work = one.begin("A")
    one.tell("TRY_CANCEL", "A")
    for _ in range(3):
        one.move(299)
        assert one.report(work) == {"canceled": True}
    one.move(300)
    assert error(one.report(work)) == NOT_FOUND


@proves("Whether a status without a report")
def _() -> None:
    one = kit()
    assert one.end(one.get()) == {}
    assert one.status("A") == "FINISHED"


@proves("FALSE from an activity")
def _() -> None:
    one = kit(max_retries=0)
    one.end(one.begin("A"), "FALSE")
    assert one.status("A") == "FAILED"


@proves("How long errorStackTrace may be")
def _() -> None:
    one = kit()
    work = one.begin("A")
    assert error(one.end(work, "FAILED", errorStackTrace="x" * 1025)) == INVALID
    assert one.end(work, "FAILED", errorStackTrace="x" * 1024) == {}


@proves("An errorId that begins with")
def _() -> None:
    one = kit()
    assert error(one.end(one.begin("A"), "FAILED", errorId="Service_Gone")) == INVALID


@proves("Which fields a report may set")
def _() -> None:
    one = kit()
    work = one.begin("A")
    one.move(299)
    for key, size in (("@status", 1), ("big", 10_240)):
        field = {"key": key, "stringValue": "x" * size}
        other = {"key": "other", "stringValue": "x" * 10_240}
        answer = one.call("ReportTaskProgress", taskId=work.task_id, fields=[field, other])
        assert error(answer) == INVALID
    one.move(1)
    assert error(one.report(work)) == NOT_FOUND


@proves("The answer to a poll without work")
def _() -> None:
    reply = kit(poll_hold=0.0).service.request("PollForTask", {"workerGroup": "nobody's"})
    assert isinstance(reply, Answer)
    assert reply.body == b"{}"


@proves("Several polls of one worker group")
def _() -> None:
    one = kit(daily(B=activity(dependsOn=Ref("A")), A=activity(), C=activity()))
    one.take_all()
    polls = [one.hold("workers") for _ in range(2)]
    one.move(120)
    assert all(poll.resume() for poll in polls)


# Retries and schedules


@proves("`maximumRetries` where")
def _() -> None:
    one = kit()
    for _ in range(3):
        assert one.status("A") == "WAITING_FOR_RUNNER"
        one.fail("A")
        one.move(120)
    assert one.status("A") == "FAILED"


@proves("`retryDelay` where")
def _() -> None:
    one = kit()
    one.fail("A")
    one.move(119)
    assert one.take() is None
    one.move(1)
    one.get()


@proves("`lateAfterTimeout`")
def _() -> None:
    late = activity(lateAfterTimeout="1 hour", onLateAction=Ref("Late"))
    one = kit(daily(A=late, Late={"type": "Terminate"}), lease_timeout=86_400.0)
    one.begin("A")
    one.move(hours=1)
    assert one.fired() == [("Late", at("A"))]


@proves("`scheduleType` where")
def _() -> None:
    kit().get()


@proves("Neither `schedule` nor on demand")
def _() -> None:
    one = kit({"A": activity(schedule=None)})
    one.finish("A")
    assert one.activate() == {}
    assert len(one.runs()) == 1


@proves("Activating an on-demand pipeline")
def _() -> None:
    one = kit(on_demand(A=activity()))
    assert one.activate() == {}
    assert len(one.runs()) == 1


@proves("How many instances of a component run at once")
def _() -> None:
    for limit, active in ((None, 5), ("7", 5), ("3", 3)):
        fields = {"schedule": Ref("S"), "maxActiveInstances": limit}
        hours = schedule("1 hour", startDateTime="2025-12-31T12:00:00")
        one = kit({"S": hours, "A": activity(**fields)}, instance_interval=0.0)
        assert len(one.take_all()) == active


@proves("How fast the past is made up for")
def _() -> None:
    hours = schedule("1 hour", startDateTime="2025-12-31T21:00:00")
    one = kit({"S": hours, "A": activity(schedule=Ref("S"))})
    for count in (1, 2, 3):
        assert len(one.runs()) == count
        one.move(300)


@proves("How far past the first slot may be")
def _() -> None:
    one = Lifecycle()
    past = schedule("1 day", startDateTime="2025-12-30T23:59:59")
    one.prepare({"S": past, "A": activity(schedule=Ref("S"))})
    assert error(one.activate()) == INVALID
    assert one.activate(start=0) == {}


@proves("Slots skipped by startTimestamp")
def _() -> None:
    one = Lifecycle()
    one.prepare({"S": schedule("1 hour"), "A": activity(schedule=Ref("S"))})
    one.activate(start=3600 * 200)
    assert list(one.runs().values()) == ["SKIPPED"] * 100
    long, short = schedule("2 hours"), schedule("1 hour", startDateTime=stamp(hours=1))
    one.prepare(
        {"L": long, "A": activity(schedule=Ref("L"))}
        | {"S": short, "B": activity(schedule=Ref("S"), dependsOn=Ref("A"))}
    )
    one.activate(start=3600)
    one.move(hours=1)
    assert one.status("A") == "SKIPPED"
    assert one.get().instance_id == at("B", hours=1)


@proves("Activating while DEACTIVATING")
def _() -> None:
    one = kit()
    work = one.begin("A")
    one.deactivate(cancelActive=False)
    assert (one.state(), one.activate(), one.state()) == ("DEACTIVATING", {}, "SCHEDULED")
    assert one.end(work) == {}


@proves("What may change in a FINISHED pipeline")
def _() -> None:
    def ending(count: str, **fields: str) -> Any:
        return daily(A=activity(**fields)) | {"Daily": schedule(occurrences=count)}

    one = kit(ending("1"))
    one.finish("A")
    assert one.state() == "FINISHED"
    assert error(one.put(ending("2", command="false"))) == INVALID
    assert one.put(ending("2"))["errored"] is False
