"""Pipelines made from definition files over HTTP, as tests in any language make their fixtures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from werkzeug.exceptions import BadRequest, NotFound

from aiodp.emulator._definition.files import load_values, put, read_definition
from aiodp.emulator._errors import ServiceError
from aiodp.emulator._server.admin.input import Member

if TYPE_CHECKING:
    from aiodp.emulator._definition.components import Definition
    from aiodp.emulator._model.records import Instance
    from aiodp.emulator._model.service import Service
    from aiodp.emulator._server.admin.input import Input


def make_pipeline(request: Input) -> dict[str, Any]:
    """Make a pipeline of a definition file: {definition, values, name, activate}; see its runs."""
    given = request.body(
        definition=Member(kind="object", required=True),
        values=Member(kind="object"),
        name=Member(kind="name"),
        activate=Member(kind="flag"),
    )
    try:
        definition = read_definition(json.dumps(given["definition"])).with_values(
            load_values(json.dumps({"values": given.get("values", {})}))
        )
        with request.service() as service:
            pipeline_id, warnings = _make(service, given.get("name", "fixture"), definition)
            if given.get("activate", True):
                service.perform("ActivatePipeline", pipelineId=pipeline_id)
            return _view(service, pipeline_id) | {"warnings": warnings}
    except ServiceError as error:
        raise BadRequest(f"{error.code}: {error.message}") from error
    except ValueError as error:
        raise BadRequest(str(error)) from error


def show_pipeline(request: Input) -> dict[str, Any]:
    """Return the state of the pipeline ?pipelineId=, and how each of its runs stands."""
    pipeline_id = request.query("pipelineId").get("pipelineId", "")
    if not pipeline_id:
        raise BadRequest("pipelineId is missing")
    with request.service().read() as service:
        service.advance()
        try:
            return _view(service, pipeline_id)
        except ServiceError as error:
            raise NotFound(error.message) from error


def rerun(request: Input) -> dict[str, Any]:
    """Run the instance {"pipelineId", "instanceId"} again, as SetStatus RERUN does."""
    text = Member(kind="text", required=True)
    given = request.body(pipelineId=text, instanceId=text)
    pipeline_id, instance_id = given["pipelineId"], given["instanceId"]
    with request.service() as service:
        try:
            pipeline = service.model.catalog.get(pipeline_id)
            service.perform(
                "SetStatus", pipelineId=pipeline_id, objectIds=[instance_id], status="RERUN"
            )
        except ServiceError as error:
            raise BadRequest(error.message) from error
        return _run(pipeline.instances[instance_id])


def _make(service: Service, name: str, definition: Definition) -> tuple[str, list[str]]:
    """Create a pipeline and put its definition; raises `ValueError` for one with errors."""
    created = service.perform("CreatePipeline", name=name, uniqueId=uuid4().hex)
    pipeline_id: str = created["pipelineId"]
    try:
        result = put(service.perform, pipeline_id, definition)
    except ServiceError:
        service.perform("DeletePipeline", pipelineId=pipeline_id)
        raise
    if result.errors:
        service.perform("DeletePipeline", pipelineId=pipeline_id)
        raise ValueError("; ".join(result.errors))
    return pipeline_id, list(result.warnings)


def _view(service: Service, pipeline_id: str) -> dict[str, Any]:
    pipeline = service.model.catalog.get(pipeline_id)
    runs = [_run(instance) for instance in pipeline.instances.values()]
    return {"pipelineId": pipeline.id, "state": pipeline.state, "runs": runs}


def _run(instance: Instance) -> dict[str, Any]:
    head = instance.head
    return {
        "instanceId": instance.id,
        "componentId": instance.component.id,
        "status": instance.status,
        "attempts": len(instance.attempts),
        "hostname": head.hostname if head else "",
    }
