"""Pipelines and their definitions: what an account has, before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aiodp.emulator._components import Definition
from aiodp.emulator._fields import to_wire
from aiodp.emulator._records import Pipeline, Status
from aiodp.emulator._replies import ServiceError, invalid
from aiodp.emulator._validation import definition_errors, fatal_errors
from aiodp.emulator._views import pipeline_fields

if TYPE_CHECKING:
    from aiodp.emulator._calendar import Calendar
    from aiodp.emulator._ids import Ids
    from aiodp.emulator._settings import Settings

ACCOUNT: Final = "123456789012"
_PAGE: Final = 50


class Catalog:
    """The pipelines of one account in one region."""

    def __init__(self, settings: Settings, ids: Ids, calendar: Calendar) -> None:
        self._settings = settings
        self._ids = ids
        self._calendar = calendar
        self._pipelines: dict[str, Pipeline] = {}
        self._by_key: dict[tuple[str, str], Pipeline] = {}
        self._counted = 0

    def get(self, pipeline_id: str) -> Pipeline:
        """Return a pipeline; raise the service's error if it is unknown or deleted."""
        pipeline = self._pipelines.get(pipeline_id)
        if pipeline is None:
            message = f"Pipeline with id: {pipeline_id} does not exist"
            raise ServiceError("PipelineNotFoundException", message)
        if pipeline.deleted:
            message = f"Pipeline with id: {pipeline_id} has been deleted"
            raise ServiceError("PipelineDeletedException", message)
        return pipeline

    def add(self, name: str, unique_id: str, now: float, *, helper: bool = False) -> Pipeline:
        """Make a pipeline; one of a helper stands outside the account's limit."""
        if not helper and self._counted >= self._settings.max_pipelines:
            raise invalid(f"The account has {self._counted} pipelines, as many as it may have")
        pipeline = Pipeline(self._ids.pipeline(), name, unique_id, now)
        pipeline.helper = helper
        self._pipelines[pipeline.id] = pipeline
        self._counted += not helper
        return pipeline

    def remove(self, pipeline: Pipeline) -> None:
        """Mark a pipeline as deleted, which frees its name and its place under the limit."""
        pipeline.deleted = True
        self._counted -= not pipeline.helper
        self._by_key.pop((pipeline.name, pipeline.unique_id), None)

    def create(self, params: dict[str, Any], now: float) -> dict[str, Any]:
        """CreatePipeline: the same name and uniqueId give the same pipeline."""
        key = (params["name"], params["uniqueId"])
        pipeline = self._by_key.get(key)
        if pipeline is None:
            pipeline = self._by_key[key] = self.add(*key, now)
            pipeline.description = params.get("description")
            pipeline.tags = params.get("tags", [])
        return {"pipelineId": pipeline.id}

    def put(self, params: dict[str, Any], _now: float) -> dict[str, Any]:
        """PutPipelineDefinition."""
        pipeline = self.get(params["pipelineId"])
        if pipeline.state is Status.FINISHED:
            raise invalid("The definition of a FINISHED pipeline cannot be changed")
        objects = params["pipelineObjects"]
        definition = Definition(
            objects=objects,
            parameter_objects=params.get("parameterObjects", []),
            parameter_values=params.get("parameterValues", []),
        )
        errors = fatal_errors(objects, self._settings.max_objects)
        if not errors:
            errors = definition_errors(definition)
            store(pipeline, definition)
        return {"errored": bool(errors), "validationErrors": errors, "validationWarnings": []}

    def definition(self, params: dict[str, Any], _now: float) -> dict[str, Any]:
        """GetPipelineDefinition."""
        pipeline = self.get(params["pipelineId"])
        version = params.get("version", "latest")
        if version not in ("latest", "active"):
            raise invalid(f"version must be latest or active, not {version}")
        definition = pipeline.active if version == "active" else pipeline.latest
        if definition is None:
            return {"pipelineObjects": [], "parameterObjects": [], "parameterValues": []}
        return {
            "pipelineObjects": definition.objects,
            "parameterObjects": definition.parameter_objects,
            "parameterValues": definition.parameter_values,
        }

    def describe(self, params: dict[str, Any], _now: float) -> dict[str, Any]:
        """DescribePipelines."""
        ids = params["pipelineIds"]
        if len(ids) > self._settings.max_described:
            raise invalid(f"At most {self._settings.max_described} pipelines can be described")
        return {
            "pipelineDescriptionList": [self._description(self.get(one)) for one in ids],
        }

    def list(self, params: dict[str, Any], _now: float) -> dict[str, Any]:
        """ListPipelines, a page at a time."""
        found = [one for one in self._pipelines.values() if not one.deleted]
        start = marker_offset(params.get("marker"))
        page, more = found[start : start + _PAGE], len(found) > start + _PAGE
        answer: dict[str, Any] = {
            "pipelineIdList": [{"id": one.id, "name": one.name} for one in page],
            "hasMoreResults": more,
        }
        return answer | ({"marker": str(start + _PAGE)} if more else {})

    def _description(self, pipeline: Pipeline) -> dict[str, Any]:
        described: dict[str, Any] = {
            "pipelineId": pipeline.id,
            "name": pipeline.name,
            "fields": to_wire(pipeline_fields(pipeline, self._calendar, ACCOUNT)),
            "tags": pipeline.tags,
        }
        if pipeline.description is not None:
            described["description"] = pipeline.description
        return described


def store(pipeline: Pipeline, definition: Definition) -> None:
    """Make this the latest definition; what runs goes on with the active one."""
    pipeline.latest = definition
    pipeline.version += 1
    if pipeline.active is None:
        pipeline.components = definition.components()


def marker_offset(marker: str | None) -> int:
    """Return where the page after this marker starts."""
    if not marker:
        return 0
    if not marker.isdecimal():
        raise invalid("The marker is not one that the service gave")
    return int(marker)
