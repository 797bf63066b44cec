"""A service with a pipeline told in a few words: definitions from dicts, time in steps.

The service's date is 2026-01-01T00:00:00 when the kit is made. Tests which do not speak of leases
get one of 90 days, so that a worker of theirs may be silent.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from aiodp.emulator import AuditKind, Service
from aiodp.emulator._model.outside import FakeOutside
from aiodp.emulator._model.replies import Answer, Pending
from unit.emulator.lifecycle_objects import EPOCH, Definition, at, wire_objects, wire_values
from unit.emulator.service_kit import Kit, parse

HOUR: Final = 3600.0
DAY: Final = 86400.0
RETRY: Final = 120.0
INVALID: Final = "InvalidRequestException"
NOT_FOUND: Final = "TaskNotFoundException"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A task as a worker gets it."""

    task_id: str
    attempt_id: str
    objects: dict[str, Any]

    @property
    def instance_id(self) -> str:
        """The instance of which it is a try."""
        return self.attempt_id.rpartition("_Attempt=")[0]

    def fields(self, object_id: str | None = None) -> dict[str, Any]:
        """Return the fields of the attempt, or of another object that came with it."""
        return flat(self.objects[object_id or self.attempt_id])


class Lifecycle(Kit):
    """One service, mostly with one pipeline. A bare component id is its instance at the epoch."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**({"lease_timeout": 90 * DAY} | settings))
        self.outside = FakeOutside()
        self.service = Service(self.clock, self.service.settings, outside=self.outside)
        self.pipeline_id = ""
        self.hands: dict[str, Work] = {}

    # What an owner does

    def launch(self, definition: Definition, **activation: Any) -> None:
        """Create, put and activate a pipeline, which must all succeed."""
        self.prepare(definition)
        assert self.activate(**activation) == {}

    def prepare(
        self,
        definition: Definition,
        *,
        parameters: dict[str, str] | None = None,
        values: dict[str, str] | None = None,
    ) -> None:
        """Create a pipeline and put a definition, which must be good."""
        created = self.call("CreatePipeline", name="p", uniqueId=f"u{len(self.service.calls)}")
        self.pipeline_id = created["pipelineId"]
        answer = self.put(definition, parameters=parameters, values=values)
        assert answer["errored"] is False, answer

    def put(
        self,
        definition: Definition,
        *,
        parameters: dict[str, str] | None = None,
        values: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """Put a definition; `parameters` has the types of parameters by id."""
        return self.call(
            "PutPipelineDefinition",
            pipelineId=self.pipeline_id,
            pipelineObjects=wire_objects(definition),
            parameterObjects=[
                {"id": parameter_id, "attributes": [{"key": "type", "stringValue": kind}]}
                for parameter_id, kind in (parameters or {}).items()
            ],
            parameterValues=wire_values(values),
        )

    def activate(self, *, values: dict[str, str] | None = None, **params: Any) -> dict[str, Any]:
        """Activate the pipeline; `start` is seconds after the epoch, for startTimestamp."""
        if values is not None:
            params["parameterValues"] = wire_values(values)
        if "start" in params:
            params["startTimestamp"] = EPOCH.timestamp() + params.pop("start")
        return self.call("ActivatePipeline", pipelineId=self.pipeline_id, **params)

    def deactivate(self, **params: Any) -> dict[str, Any]:
        """Deactivate the pipeline."""
        return self.call("DeactivatePipeline", pipelineId=self.pipeline_id, **params)

    def tell(self, status: str, *names: str) -> dict[str, Any]:
        """Set the status of instances."""
        return self._set_status(status, [_instance(name) for name in names])

    def pause(self, *names: str) -> None:
        """Pause components."""
        assert self._set_status("PAUSE", list(names)) == {}

    def resume(self, *names: str) -> None:
        """Let components go on."""
        assert self._set_status("RESUME", list(names)) == {}

    # What workers do

    def take(self, group: str = "workers", hostname: str = "worker.example.com") -> Work | None:
        """Poll; return the task, which is not acknowledged yet."""
        params = {"workerGroup": group, "hostname": hostname}
        reply = self.service.request("PollForTask", params)
        if isinstance(reply, Pending):
            reply.abandon()
            return None
        assert isinstance(reply, Answer), reply
        task = parse(reply)["taskObject"]
        return Work(task_id=task["taskId"], attempt_id=task["attemptId"], objects=task["objects"])

    def get(self, group: str = "workers") -> Work:
        """Poll; return the task which must be there."""
        work = self.take(group)
        assert work is not None, f"nothing is offered to {group}"
        return work

    def take_all(self, group: str = "workers") -> list[str]:
        """Poll until nothing is there; return the ids of the instances, sorted."""
        taken = []
        while (work := self.take(group)) is not None:
            taken.append(work.instance_id)
        return sorted(taken)

    def begin(self, name: str, group: str = "workers") -> Work:
        """Take and acknowledge tasks until that of an instance is in hand."""
        instance_id = _instance(name)
        while instance_id not in self.hands:
            work = self.take(group)
            assert work is not None, f"no task of {instance_id} is offered to {group}"
            assert self.report(work) == {"canceled": False}
            self.hands[work.instance_id] = work
        return self.hands[instance_id]

    def report(self, work: Work) -> dict[str, Any]:
        """Report the progress of a task."""
        return self.call("ReportTaskProgress", taskId=work.task_id)

    def end(self, work: Work, status: str = "FINISHED", **outcome: str) -> dict[str, Any]:
        """Set the status of a task."""
        self.hands.pop(work.instance_id, None)
        return self.call("SetTaskStatus", taskId=work.task_id, taskStatus=status, **outcome)

    def finish(self, *names: str, group: str = "workers") -> None:
        """Do the work of instances, one after the other."""
        for name in names:
            assert self.end(self.begin(name, group)) == {}

    def fail(self, name: str, group: str = "workers", **outcome: str) -> None:
        """Try to do an instance's work, in vain."""
        assert self.end(self.begin(name, group), "FAILED", **outcome) == {}

    # Time

    def move(self, seconds: float = 0.0, **more: float) -> None:
        """Let time pass, halting at whatever happens by itself; `more` is of a timedelta."""
        goal = self.clock.now + seconds + timedelta(**more).total_seconds()
        while (due := self.service.next_event()) is not None and due <= goal:
            assert due > self.clock.now, "next_event() is in the past"
            self.clock.now = due
        self.clock.now = goal
        self.service.advance()

    # What can be seen

    def runs(self, component: str | None = None) -> dict[str, str]:
        """Return the statuses of the instances, of one component or of all."""
        ids = [
            instance_id
            for instance_id in self.query("INSTANCE")
            if component in (None, _component(instance_id))
        ]
        return {instance_id: self.fields(instance_id)["@status"] for instance_id in ids}

    def status(self, name: str) -> str:
        """Return the status of an instance."""
        status: str = self.fields(_instance(name))["@status"]
        return status

    def statuses(self, *names: str) -> list[str]:
        """Return the statuses of instances."""
        return [self.status(name) for name in names]

    def query(self, sphere: str, *selectors: dict[str, Any]) -> list[str]:
        """Return the ids of all objects of a sphere."""
        ids: list[str] = []
        marker: dict[str, Any] = {}
        while True:
            page = self.call(
                "QueryObjects",
                pipelineId=self.pipeline_id,
                sphere=sphere,
                query={"selectors": list(selectors)},
                **marker,
            )
            ids += page["ids"]
            if not page["hasMoreResults"]:
                return ids
            marker = {"marker": page["marker"]}

    def fields(self, object_id: str, *, evaluate: bool = False) -> dict[str, Any]:
        """Return an object's fields; a key which is there several times has a list."""
        return flat(self.describe(object_id, evaluate=evaluate)["pipelineObjects"][0])

    def describe(self, object_id: str, *, evaluate: bool = False) -> dict[str, Any]:
        """Return the answer of DescribeObjects."""
        return self.call(
            "DescribeObjects",
            pipelineId=self.pipeline_id,
            objectIds=[object_id],
            evaluateExpressions=evaluate,
        )

    def refs(self, object_id: str, key: str) -> list[str]:
        """Return the ids of the objects to which a field refers, sorted."""
        [described] = self.describe(object_id)["pipelineObjects"]
        return sorted(field["refValue"] for field in described["fields"] if field["key"] == key)

    def record(self) -> dict[str, Any]:
        """Return the fields of the pipeline itself."""
        described = self.call("DescribePipelines", pipelineIds=[self.pipeline_id])
        return flat(described["pipelineDescriptionList"][0])

    def state(self) -> str:
        """Return the state of the pipeline."""
        state: str = self.record()["@pipelineState"]
        return state

    def fired(self) -> list[tuple[str, str]]:
        """Return the actions which were taken, each with its instance."""
        return [
            (event.detail, event.instance_id)
            for event in self.service.audit
            if event.kind is AuditKind.ACTION
        ]

    def messages(self) -> list[str]:
        """Return the messages of the alarms which were sent."""
        return [published.message for published in self.outside.published]

    def _set_status(self, status: str, ids: list[str]) -> dict[str, Any]:
        return self.call("SetStatus", pipelineId=self.pipeline_id, objectIds=ids, status=status)


def flat(described: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an object by key; several of one key make a list."""
    grouped: dict[str, list[str]] = {}
    for field in described["fields"]:
        grouped.setdefault(field["key"], []).append(
            field.get("stringValue") or field.get("refValue", "")
        )
    return {key: values[0] if len(values) == 1 else values for key, values in grouped.items()}


def _instance(name: str) -> str:
    return name if name.startswith("@") else at(name)


def _component(instance_id: str) -> str:
    """Return the component of an instance, whose id may end with a number after the date."""
    return instance_id[1:].rpartition("_20")[0]
