"""A hand-moved clock and short ways to call the service's model."""

from __future__ import annotations

import json
from typing import Any

from aiodp.emulator import Service, Settings
from aiodp.emulator._model.replies import Answer, Pending
from unit.emulator.lifecycle_objects import Definition, wire_objects


class Clock:
    """A clock which moves when it is told to."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += seconds


class Kit:
    """A service, its clock, and calls that return parsed answers."""

    def __init__(self, **settings: Any) -> None:
        self.clock = Clock()
        self.service = Service(self.clock, Settings(**({"quotas": None} | settings)))

    def call(self, operation: str, **params: Any) -> dict[str, Any]:
        """Return the answer's body, with its error's name as `error`."""
        reply = self.service.request(operation, params)
        assert isinstance(reply, Answer), reply
        return parse(reply)

    def poll(self, group: str = "workers") -> str | None:
        """Return the id of a task that waits, or `None`; no poll is left behind."""
        reply = self.service.request("PollForTask", {"workerGroup": group})
        if isinstance(reply, Pending):
            reply.abandon()
            return None
        assert isinstance(reply, Answer)
        task: dict[str, Any] | None = parse(reply).get("taskObject")
        return task["taskId"] if task else None

    def hold(self, group: str = "workers") -> Pending:
        """Return a poll for which no work is there."""
        reply = self.service.request("PollForTask", {"workerGroup": group})
        assert isinstance(reply, Pending)
        return reply

    def pipeline(self, name: str = "p", count: int = 1, **fields: str) -> str:
        """Make and activate an on-demand pipeline of activities; return its id."""
        activity = {
            "type": "ShellCommandActivity",
            "command": "true",
            "workerGroup": "workers",
            "scheduleType": "ondemand",
        } | fields
        pipeline_id = self.put_pipeline(name, {f"Work{n}": activity for n in range(count)})
        assert self.call("ActivatePipeline", pipelineId=pipeline_id) == {}
        return pipeline_id

    def put_pipeline(self, name: str, definition: Definition) -> str:
        """Make a pipeline with a definition, which must be good; return its id."""
        pipeline_id: str = self.call("CreatePipeline", name=name, uniqueId=name)["pipelineId"]
        objects = wire_objects(definition)
        put = self.call("PutPipelineDefinition", pipelineId=pipeline_id, pipelineObjects=objects)
        assert put["errored"] is False, put
        return pipeline_id


def parse(answer: Answer) -> dict[str, Any]:
    """Return the body of an answer, with an error's bare name as `error`."""
    body: dict[str, Any] = json.loads(answer.body or b"{}")
    if answer.status != 200:
        body["error"] = body["__type"].partition("#")[2]
    return body
