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
    service = kit()
    work = service.begin("A")
    service.move(299)
    assert service.report(work) == {"canceled": False}
    service.move(300)
    assert error(service.report(work)) == NOT_FOUND


@proves("What becomes of a task which nobody acknowledged")
def _() -> None:
    service = kit(daily(A=activity(), B=activity()))
    first = service.get()
    service.move(120)
    assert service.get().instance_id != first.instance_id
    again = service.get()
    assert (again.attempt_id == first.attempt_id) > (again.task_id == first.task_id)


@proves("When the work of a silent worker")
def _() -> None:
    service = kit()
    service.begin("A")
    service.move(300)
    assert service.get().attempt_id == at("A") + "_Attempt=2"
    assert service.fields(at("A"))["@triesLeft"] == "1"


@proves("What reports of a task get once its pipeline is deleted")
def _() -> None:
    service = kit()
    work = service.begin("A")
    service.call("DeletePipeline", pipelineId=service.pipeline_id)
    assert error(service.report(work)) == "PipelineDeletedException"


@proves("What SetTaskStatus of a canceled task gets")
def _() -> None:
    service = kit()
    work = service.begin("A")
    service.tell("TRY_CANCEL", "A")
    assert error(service.end(work)) == NOT_FOUND


@proves("What calls get after `attemptTimeout`")
def _() -> None:
    service = kit(daily(A=activity(attemptTimeout="1 minute")))
    work = service.begin("A")
    service.move(60)
    assert error(service.report(work)) == NOT_FOUND


@proves("How long a canceled task answers")
def _() -> None:
    service = kit()
    work = service.begin("A")
    service.tell("TRY_CANCEL", "A")
    for _ in range(3):
        service.move(299)
        assert service.report(work) == {"canceled": True}
    service.move(300)
    assert error(service.report(work)) == NOT_FOUND


@proves("Whether a status without a report")
def _() -> None:
    service = kit()
    assert service.end(service.get()) == {}
    assert service.status("A") == "FINISHED"


@proves("FALSE from an activity")
def _() -> None:
    service = kit(max_retries=0)
    service.end(service.begin("A"), "FALSE")
    assert service.status("A") == "FAILED"


@proves("How long errorStackTrace may be")
def _() -> None:
    service = kit()
    work = service.begin("A")
    assert error(service.end(work, "FAILED", errorStackTrace="x" * 1025)) == INVALID
    assert service.end(work, "FAILED", errorStackTrace="x" * 1024) == {}


@proves("An errorId that begins with")
def _() -> None:
    service = kit()
    assert error(service.end(service.begin("A"), "FAILED", errorId="Service_Gone")) == INVALID


@proves("Which fields a report may set")
def _() -> None:
    service = kit()
    work = service.begin("A")
    service.move(299)
    for key, size in (("@status", 1), ("big", 10_240)):
        field = {"key": key, "stringValue": "x" * size}
        other = {"key": "other", "stringValue": "x" * 10_240}
        answer = service.call("ReportTaskProgress", taskId=work.task_id, fields=[field, other])
        assert error(answer) == INVALID
    service.move(1)
    assert error(service.report(work)) == NOT_FOUND


@proves("The answer to a poll without work")
def _() -> None:
    reply = kit(poll_hold=0.0).service.request("PollForTask", {"workerGroup": "nobody's"})
    assert isinstance(reply, Answer)
    assert reply.body == b"{}"


@proves("Several polls of one worker group")
def _() -> None:
    service = kit(daily(B=activity(dependsOn=Ref("A")), A=activity(), C=activity()))
    service.take_all()
    polls = [service.hold("workers") for _ in range(2)]
    service.move(120)
    assert all(poll.resume() for poll in polls)


# Retries and schedules


@proves("`maximumRetries` where")
def _() -> None:
    service = kit()
    for _ in range(3):
        assert service.status("A") == "WAITING_FOR_RUNNER"
        service.fail("A")
        service.move(120)
    assert service.status("A") == "FAILED"


@proves("`retryDelay` where")
def _() -> None:
    service = kit()
    service.fail("A")
    service.move(119)
    assert service.take() is None
    service.move(1)
    service.get()


@proves("`lateAfterTimeout`")
def _() -> None:
    late = activity(lateAfterTimeout="1 hour", onLateAction=Ref("Late"))
    service = kit(daily(A=late, Late={"type": "Terminate"}), lease_timeout=86_400.0)
    service.begin("A")
    service.move(hours=1)
    assert service.fired() == [("Late", at("A"))]


@proves("`scheduleType` where")
def _() -> None:
    kit().get()


@proves("Neither `schedule` nor on demand")
def _() -> None:
    service = kit({"A": activity(schedule=None)})
    service.finish("A")
    assert service.activate() == {}
    assert len(service.runs()) == 1


@proves("Activating an on-demand pipeline")
def _() -> None:
    service = kit(on_demand(A=activity(maxActiveInstances=2)))
    statuses = []
    for _ in range(2):
        assert service.activate() == {}
        statuses.append(list(service.runs().values()))
    ready = "WAITING_FOR_RUNNER"
    assert statuses == [[ready] * 2, ["CANCELED", "CANCELED", ready]]


@proves("How many instances of a component run at once")
def _() -> None:
    for limit, active in ((None, 5), ("7", 5), ("3", 3)):
        fields = {"schedule": Ref("S"), "maxActiveInstances": limit}
        hours = schedule("1 hour", startDateTime="2025-12-31T12:00:00")
        service = kit({"S": hours, "A": activity(**fields)}, instance_interval=0.0)
        assert len(service.take_all()) == active


@proves("How fast the past is made up for")
def _() -> None:
    hours = schedule("1 hour", startDateTime="2025-12-31T21:00:00")
    service = kit({"S": hours, "A": activity(schedule=Ref("S"))})
    for count in (1, 2, 3):
        assert len(service.runs()) == count
        service.move(300)


@proves("How far past the first slot may be")
def _() -> None:
    service = Lifecycle()
    past = schedule("1 day", startDateTime="2025-12-30T23:59:59")
    service.prepare({"S": past, "A": activity(schedule=Ref("S"))})
    assert error(service.activate()) == INVALID
    assert service.activate(start=0) == {}


@proves("Slots skipped by startTimestamp")
def _() -> None:
    service = Lifecycle()
    service.prepare({"S": schedule("1 hour"), "A": activity(schedule=Ref("S"))})
    service.activate(start=3600 * 200)
    assert list(service.runs().values()) == ["SKIPPED"] * 100
    long, short = schedule("2 hours"), schedule("1 hour", startDateTime=stamp(hours=1))
    service.prepare(
        {"L": long, "A": activity(schedule=Ref("L"))}
        | {"S": short, "B": activity(schedule=Ref("S"), dependsOn=Ref("A"))}
    )
    service.activate(start=3600)
    service.move(hours=1)
    assert service.status("A") == "SKIPPED"
    assert service.get().instance_id == at("B", hours=1)


@proves("Activating while DEACTIVATING")
def _() -> None:
    service = kit()
    work = service.begin("A")
    service.deactivate(cancelActive=False)
    assert (service.state(), service.activate(), service.state()) == (
        "DEACTIVATING",
        {},
        "SCHEDULED",
    )
    assert service.end(work) == {}


@proves("What may change in a FINISHED pipeline")
def _() -> None:
    def ending(count: str, **fields: str) -> Any:
        return daily(A=activity(**fields)) | {"Daily": schedule(occurrences=count)}

    service = kit(ending("1"))
    service.finish("A")
    assert service.state() == "FINISHED"
    assert error(service.put(ending("2", command="false"))) == INVALID
    assert service.put(ending("2"))["errored"] is False
