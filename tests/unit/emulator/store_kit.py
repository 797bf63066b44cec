"""A kept service on which random things are done."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

from aiodp.emulator import Settings
from aiodp.emulator._clock import JumpingClock
from aiodp.emulator._model.outside import FakeOutside
from aiodp.emulator._model.replies import Answer, Pending
from aiodp.emulator._store import ServiceStore
from unit.emulator import lifecycle_objects as kit
from unit.emulator.lifecycle_objects import EPOCH, Ref, wire_objects
from unit.emulator.service_kit import Clock, parse

if TYPE_CHECKING:
    from aiodp.emulator._model.records import Pipeline
    from aiodp.emulator._model.service import Service
    from aiodp.emulator._store import Store

ACCOUNT, REGION = "123456789012", "us-east-1"
HOUR: Final = 3600.0
SETTINGS: Final = Settings(quotas=None, resource_worker_group="resources", max_backfill=None)
GROUPS: Final = ("workers", "resources", "others")
CASCADE: Final = {"Default": {"failureAndRerunMode": "cascade", "workerGroup": "workers"}}
DEFINITIONS: Final[tuple[kit.Definition, ...]] = (
    CASCADE
    | {"Hourly": kit.schedule("1 hour", occurrences="30")}
    | {
        "First": kit.activity(schedule=Ref("Hourly"), output=Ref("Data"), onFail=Ref("Alarm")),
        "Data": kit.node(schedule=Ref("Hourly")),
        "Second": kit.activity(schedule=Ref("Hourly"), input=Ref("Data"), maximumRetries="1"),
        "Alarm": kit.alarm(),
    },
    CASCADE
    | kit.daily(
        Box=kit.resource(terminateAfter="3 hours"),
        Late=kit.on_resource(lateAfterTimeout="30 minutes", onLateAction=Ref("Stop")),
        After=kit.activity(dependsOn=Ref("Late"), attemptTimeout="20 minutes"),
        Stop={"type": "Terminate"},
    ),
    kit.daily(
        Guarded=kit.activity(precondition=[Ref("There"), Ref("Asked")], onSuccess=Ref("Alarm")),
        There=kit.key_exists(preconditionTimeout="2 hours"),
        Asked=kit.shell_precondition(),
        Alarm=kit.alarm(),
    ),
    kit.on_demand(
        One=kit.activity(reportProgressTimeout="3 minutes"),
        Two=kit.activity(dependsOn=Ref("One"), command="#{format(@scheduledStartTime,'YYYY')}"),
    ),
    {
        "Hourly": kit.schedule("1 hour", occurrences="3"),
        "Often": kit.schedule("20 minutes", occurrences="9"),
        "Box": kit.resource(schedule=Ref("Hourly")),
        "Common": kit.activity(schedule=None, scheduleType="timeseries"),
        "Long": kit.activity(schedule=Ref("Hourly"), dependsOn=Ref("Common")),
        "Short": kit.on_resource(schedule=Ref("Often"), dependsOn=Ref("Common")),
    },
    {
        "Alone": kit.activity(schedule=None),
        "Other": kit.activity(schedule=None, workerGroup="others"),
    },
)


class Walk:
    """Does random things to a service which is kept in a store, all of it given by the seed."""

    def __init__(self, store: Store, seed: int) -> None:
        self.random = random.Random(seed)
        self.store = store
        self.clock = Clock()
        self.outside = FakeOutside()
        self.restart()

    def restart(self) -> None:
        """Begin, or go on with what is in the file."""
        self.keeping = ServiceStore(self.store, ACCOUNT, REGION)
        time = JumpingClock(self.clock)
        self.service = self.keeping.begin(time, 0.0, SETTINGS, self.outside)

    def step(self) -> str:
        """Do one thing, keep what it changed, and return its name."""
        name = self.random.choice(STEPS)
        getattr(self, name)()
        self.keeping.save()
        return name

    def restored(self) -> Service:
        """Return the service as it would go on after this process."""
        time = JumpingClock(self.clock)
        return ServiceStore(self.store, ACCOUNT, REGION).begin(time, 0.0, SETTINGS, FakeOutside())

    # What owners do

    def launch(self) -> None:
        name = f"p{self.random.randrange(10_000)}"
        tags = [{"key": "a", "value": name}]
        made = self.call("CreatePipeline", name=name, uniqueId=name, description="d", tags=tags)
        self.put(made.get("pipelineId"))
        self.call("ActivatePipeline", pipelineId=made.get("pipelineId"))

    def put(self, pipeline_id: str | None = None) -> None:
        pipeline_id = pipeline_id or self.pipeline_id()
        objects = wire_objects(self.random.choice(DEFINITIONS))
        self.call("PutPipelineDefinition", pipelineId=pipeline_id, pipelineObjects=objects)

    def activate(self) -> None:
        self.call("ActivatePipeline", pipelineId=self.pipeline_id())

    def activate_later(self) -> None:
        start = EPOCH.timestamp() + self.random.randrange(12) * HOUR
        self.call("ActivatePipeline", pipelineId=self.pipeline_id(), startTimestamp=start)

    def deactivate(self) -> None:
        cancel = self.random.random() < 0.5
        self.call("DeactivatePipeline", pipelineId=self.pipeline_id(), cancelActive=cancel)

    def delete(self) -> None:
        self.call("DeletePipeline", pipelineId=self.pipeline_id())

    def tag(self) -> None:
        key = self.random.choice("abc")
        self.call("AddTags", pipelineId=self.pipeline_id(), tags=[{"key": key, "value": "v"}])
        self.call("RemoveTags", pipelineId=self.pipeline_id(), tagKeys=["b"])

    def tell_component(self) -> None:
        pipeline = self.pipeline()
        if pipeline is not None and pipeline.components:
            component_id = self.random.choice(list(pipeline.components))
            self.tell(pipeline, component_id, self.random.choice(["PAUSE", "RESUME"]))

    def tell_instance(self) -> None:
        pipeline = self.pipeline()
        if pipeline is not None and pipeline.instances:
            instance_id = self.random.choice(list(pipeline.instances))
            self.tell(
                pipeline, instance_id, self.random.choice(["TRY_CANCEL", "RERUN", "MARK_FINISHED"])
            )

    def tell(self, pipeline: Pipeline, object_id: str, status: str) -> None:
        self.call("SetStatus", pipelineId=pipeline.id, objectIds=[object_id], status=status)

    # What workers do

    def poll(self) -> None:
        params = {"workerGroup": self.random.choice(GROUPS), "hostname": "h\N{SNOWMAN}"}
        reply = self.service.request("PollForTask", params)
        if isinstance(reply, Pending):
            reply.abandon()
        elif isinstance(reply, Answer) and self.random.random() < 0.8:
            self.call("ReportTaskProgress", taskId=parse(reply)["taskObject"]["taskId"])

    def report(self) -> None:
        value = str(self.random.randrange(100))
        fields = [{"key": "percent", "stringValue": value}, {"key": "to", "refValue": "One"}]
        self.call("ReportTaskProgress", taskId=self.task_id(), fields=fields)

    def end(self) -> None:
        status = self.random.choice(["FINISHED", "FINISHED", "FAILED", "FALSE"])
        error = {"errorId": "E", "errorMessage": "why"} if status == "FAILED" else {}
        self.call("SetTaskStatus", taskId=self.task_id(), taskStatus=status, **error)

    def heartbeat(self) -> None:
        runner = self.random.choice("xyz")
        self.call("ReportTaskRunnerHeartbeat", taskrunnerId=runner, workerGroup="workers")

    def terminate(self) -> None:
        for runner in self.service.runners[:1]:
            self.service.terminate(runner.taskrunner_id)

    # What tests do

    def assign(self) -> None:
        self.service.assign(self.random.randrange(1, 4), report_progress_timeout="4 minutes")

    def give_away(self) -> None:
        held = [task for pipeline in self.pipelines() for task in pipeline.held]
        if held:
            self.service.give_away(self.random.choice(held))

    def upload(self) -> None:
        self.outside.objects ^= {"s3://bucket/ready"}

    # Time

    def wait(self) -> None:
        self.clock.move(self.random.choice([1.0, 30.0, 60.0, 130.0, HOUR]))
        self.service.advance()

    def wait_until_due(self) -> None:
        due = self.service.next_event()
        if due is not None:
            self.clock.move(max(0.0, due - self.service.now))
            self.service.advance()

    def jump(self) -> None:
        self.service.jump(self.random.choice([0.5, 121.0]))

    # Parts

    def call(self, operation: str, **params: Any) -> dict[str, Any]:
        reply = self.service.request(operation, params)
        assert isinstance(reply, Answer)
        return parse(reply)

    def pipelines(self) -> list[Pipeline]:
        return list(self.service.model.catalog.pipelines.values())

    def pipeline(self) -> Pipeline | None:
        newest = self.pipelines()[-4:]  # so that things add up
        return self.random.choice(newest) if newest else None

    def pipeline_id(self) -> str:
        pipeline = self.pipeline()
        return "df-UNKNOWN" if pipeline is None else pipeline.id

    def task_id(self) -> str:
        held = [task for pipeline in self.pipelines() for task in pipeline.held]
        known = held if self.random.random() < 0.8 else list(self.service.model.leases.tasks)
        return self.random.choice(known) if known else "unknown"


OFTEN: Final = ("poll", "poll", "report", "end", "end", "wait", "wait_until_due", "tell_instance")
STEPS: Final = OFTEN * 3 + (
    "launch",
    "launch",
    "put",
    "activate",
    "activate_later",
    "deactivate",
    "delete",
    "tag",
    "tell_component",
    "heartbeat",
    "terminate",
    "assign",
    "give_away",
    "upload",
    "jump",
)
