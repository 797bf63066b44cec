"""Pipelines and their definitions: creating, changing, describing and listing them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from aiodp.emulator._definition.components import Definition
from aiodp.emulator._definition.fields import to_wire
from aiodp.emulator._definition.limits import check_size
from aiodp.emulator._definition.validation import fatal_errors, findings
from aiodp.emulator._definition.validation.edits import edit_findings, only_moves_end
from aiodp.emulator._definition.validation.parts import errors_of, warnings_of
from aiodp.emulator._errors import ServiceError, invalid
from aiodp.emulator._model.deleted import Deleted
from aiodp.emulator._model.records import Pipeline, Status
from aiodp.emulator._model.views import pipeline_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from aiodp.emulator._definition.validation.parts import Messages
    from aiodp.emulator._model.context import Context

ACCOUNT: Final = "123456789012"
_EXAMINED: Final = "examined"
"""A member of a request which was prepared: its definition."""
_PAGE_SIZE: Final = 50
_MAX_TAGS: Final = 10  # the model's tagList


class Catalog:
    """The pipelines of one account in one region."""

    def __init__(self, context: Context) -> None:
        self._settings = context.settings
        self._ids = context.ids
        self._calendar = context.calendar
        self._changes = context.changes
        self.pipelines: dict[str, Pipeline] = {}
        """All in the order in which they were made, the deleted ones too, but not the oldest."""
        self.deleted = Deleted(self._forget, self._drop)
        self.on_forgotten: Callable[[Pipeline], None] = lambda _: None
        """Called with a deleted pipeline of which its name alone is kept from now on."""
        self._by_key: dict[tuple[str, str], Pipeline] = {}
        self._counted = 0

    def get(self, pipeline_id: str) -> Pipeline:
        """Return a pipeline; raise the service's error if it is unknown or deleted."""
        pipeline = self.pipelines.get(pipeline_id)
        if pipeline is None:
            message = f"Pipeline with id: {pipeline_id} does not exist"
            raise ServiceError("PipelineNotFoundException", message)
        if pipeline.deleted:
            message = f"Pipeline with id: {pipeline_id} has been deleted"
            raise ServiceError("PipelineDeletedException", message)
        return pipeline

    def add(self, name: str, unique_id: str, now: float, *, helper: bool = False) -> Pipeline:
        """Make a pipeline; those of `Service.assign`, the helpers, do not count for the limit."""
        if not helper and self._counted >= self._settings.max_pipelines:
            raise invalid(f"The account has {self._counted} pipelines, as many as it may have")
        pipeline = Pipeline(self._ids.pipeline(), name, unique_id, now, self._changes)
        pipeline.helper = helper
        self.pipelines[pipeline.id] = pipeline
        self._counted += not helper
        return pipeline

    def restore(self, pipelines: Iterable[Pipeline]) -> None:
        """Take over all pipelines of a store, in the order in which they were made."""
        for pipeline in pipelines:
            self.pipelines[pipeline.id] = pipeline
            if not (pipeline.deleted or pipeline.helper):
                self._by_key[pipeline.name, pipeline.unique_id] = pipeline
                self._counted += 1

    def remove(self, pipeline: Pipeline) -> None:
        """Mark a pipeline as deleted, which frees its name and its place under the limit."""
        pipeline.deleted = True
        self._counted -= not pipeline.helper
        self._by_key.pop((pipeline.name, pipeline.unique_id), None)

    def _forget(self, pipeline: Pipeline) -> None:
        if self._changes is not None:
            self._changes.forget(pipeline, pipeline.id)
        name = Pipeline(
            pipeline.id, pipeline.name, pipeline.unique_id, pipeline.created_at, self._changes
        )
        name.deleted, name.helper = True, pipeline.helper
        self.pipelines[pipeline.id] = name
        self.on_forgotten(pipeline)

    def _drop(self, pipeline_id: str) -> None:
        name = self.pipelines.pop(pipeline_id)
        if self._changes is not None:
            self._changes.forget(name, pipeline_id, name=True)

    def create(self, params: dict[str, Any], now: float) -> dict[str, Any]:
        """CreatePipeline: the same name and uniqueId give the same pipeline."""
        key = (params["name"], params["uniqueId"])
        pipeline = self._by_key.get(key)
        if pipeline is None:
            tags = _tags(params.get("tags", []), unique=True)
            pipeline = self._by_key[key] = self.add(*key, now)
            pipeline.description = params.get("description")
            pipeline.tags = tags
        return {"pipelineId": pipeline.id}

    def put(self, params: dict[str, Any], now: float) -> dict[str, Any]:
        """PutPipelineDefinition, which stores a definition with errors unless they are fatal."""
        pipeline = self.get(params["pipelineId"])
        definition = _definition(params)
        if fatal := fatal_errors(definition.objects, self._settings.max_objects):
            raise _unsaved(fatal)
        check_size(definition)
        if pipeline.state is Status.FINISHED and not _may_replace(pipeline, definition):
            raise invalid("The definition of a FINISHED pipeline cannot be changed")
        answer = _validated(pipeline, definition, self._calendar.date(now))
        store(pipeline, definition)
        errors = [] if pipeline.active else answer["validationErrors"]
        pipeline.errors = {item["id"]: "; ".join(item["errors"]) for item in errors}
        return answer

    def examined(self, params: dict[str, Any]) -> dict[str, Any]:
        """Return a request with all found out about its definition that changes nothing.

        It is the definition of the request itself, or the pipeline's with values of the request.
        """
        if "pipelineObjects" in params:
            definition = _definition(params)
            if not fatal_errors(definition.objects, self._settings.max_objects):
                _examine(definition)
            return params | {_EXAMINED: definition}
        pipeline = self.pipelines.get(params["pipelineId"])
        if pipeline is not None and pipeline.latest is not None:
            _examine(pipeline.latest.with_values(params.get("parameterValues", [])))
        return params

    def validate(self, params: dict[str, Any], now: float) -> dict[str, Any]:
        """ValidatePipelineDefinition: what PutPipelineDefinition would find; nothing is stored."""
        pipeline = self.get(params["pipelineId"])
        definition = _definition(params)
        if fatal := fatal_errors(definition.objects, self._settings.max_objects):
            return {"errored": True, "validationErrors": fatal, "validationWarnings": []}
        check_size(definition)
        return _validated(pipeline, definition, self._calendar.date(now))

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
        if len(ids) > self._settings.max_described_pipelines:
            most = self._settings.max_described_pipelines
            raise invalid(f"At most {most} pipelines can be described, not {len(ids)}")
        return {
            "pipelineDescriptionList": [self._description(self.get(key)) for key in ids],
        }

    def list(self, params: dict[str, Any], _now: float) -> dict[str, Any]:
        """ListPipelines, a page at a time; the marker is the id of the last one of a page."""
        after = self._after(params.get("marker"))
        pipelines = [pipeline for pipeline in after if not pipeline.deleted]
        page, more = pipelines[:_PAGE_SIZE], len(pipelines) > _PAGE_SIZE
        answer: dict[str, Any] = {
            "pipelineIdList": [{"id": pipeline.id, "name": pipeline.name} for pipeline in page],
            "hasMoreResults": more,
        }
        return answer | ({"marker": page[-1].id} if more else {})

    def add_tags(self, params: dict[str, Any], _now: float) -> dict[str, Any]:
        """AddTags: a tag replaces the one with the same key."""
        pipeline = self.get(params["pipelineId"])
        pipeline.tags = _tags([*pipeline.tags, *_tags(params["tags"], unique=True)])
        return {}

    def remove_tags(self, params: dict[str, Any], _now: float) -> dict[str, Any]:
        """RemoveTags; keys which the pipeline does not have are ignored."""
        pipeline = self.get(params["pipelineId"])
        pipeline.tags = [tag for tag in pipeline.tags if tag["key"] not in params["tagKeys"]]
        return {}

    def _after(self, marker: str | None) -> tuple[Pipeline, ...]:
        known = tuple(self.pipelines.values())  # deleted ones too: they may have been a marker
        if not marker:
            return known
        if marker not in self.pipelines:
            raise invalid("The marker is not one that the service gave")
        return known[known.index(self.pipelines[marker]) + 1 :]

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


def _examine(definition: Definition) -> None:
    with suppress(ServiceError):  # which the call itself will raise
        check_size(definition)
        findings(definition)


def _definition(params: dict[str, Any]) -> Definition:
    known: Definition | None = params.get(_EXAMINED)
    return known or Definition(
        objects=params["pipelineObjects"],
        parameter_objects=params.get("parameterObjects", []),
        parameter_values=params.get("parameterValues", []),
    )


def _validated(pipeline: Pipeline, definition: Definition, now: datetime) -> dict[str, Any]:
    problems = findings(definition, now)
    if pipeline.active is not None:
        problems += edit_findings(pipeline.active, definition)
    errors = errors_of(problems)
    return {
        "errored": bool(errors),
        "validationErrors": errors,
        "validationWarnings": warnings_of(problems),
    }


def _unsaved(fatal: Messages) -> ServiceError:
    """Return the refusal in the service's words, which have Java addresses instead of errors."""
    texts = ", ".join(f"{item['id']}: {text}" for item in fatal for text in item["errors"])
    return invalid(
        "Pipeline definition has errors: Could not save the pipeline definition due to FATAL "
        f"errors: [{texts}] Please call Validate to validate your pipeline"
    )


def _may_replace(pipeline: Pipeline, definition: Definition) -> bool:
    kept = (pipeline.active, pipeline.latest)  # the active one has the values of its activation
    return any(earlier is not None and only_moves_end(earlier, definition) for earlier in kept)


def _tags(given: list[dict[str, str]], *, unique: bool = False) -> list[dict[str, str]]:
    """Return the tags by key, the last value of each; raise beyond the limit (the model's Tag)."""
    by_key = {tag["key"]: tag for tag in given}
    if unique and len(by_key) < len(given):
        raise invalid("The keys of tags must be unique")
    if len(by_key) > _MAX_TAGS:
        raise invalid(f"A pipeline has {_MAX_TAGS} tags at most")
    return list(by_key.values())
