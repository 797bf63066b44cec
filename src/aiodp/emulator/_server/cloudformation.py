"""Stacks with `AWS::DataPipeline::Pipeline` in moto's CloudFormation, on pipelines of the model.

Moto's own class for such a resource has name and objects only. The properties, and which of them
make a new pipeline when they change, are those of the CloudFormation Template Reference.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, cast
from uuid import uuid4

from moto.core.exceptions import ServiceException
from moto.datapipeline import models
from moto.datapipeline.models import Pipeline

from aiodp.emulator._errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator

_ATTRIBUTE: Final = "PipelineId"
_GONE: Final = frozenset({"PipelineNotFoundException", "PipelineDeletedException"})
_DEFINITION: Final = ("PipelineObjects", "ParameterObjects", "ParameterValues")


class StackFailedError(ServiceException):
    """Why a stack fails, which moto answers to the call that made or changed it."""

    code = "ValidationError"  # moto warns of codes which CloudFormation's API does not have


@contextmanager
def _failing_stacks() -> Iterator[None]:
    """Turn a refusal of the service into the failure of a stack."""
    try:
        yield
    except ServiceError as error:
        raise StackFailedError(
            f"{error.message} (Service: DataPipeline; Error Code: {error.code})"
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineProperties:
    """What a template says of a pipeline, in the form of the API.

    `name` is `None` if CloudFormation is to choose it. A pipeline is activated by default.
    """

    name: str | None
    description: str | None
    tags: dict[str, str]
    definition: dict[str, Any]
    active: bool

    @classmethod
    def of(cls, resource: dict[str, Any]) -> Self:
        """Read a resource of a template; raises `ServiceError` for one of a wrong form."""
        given = resource.get("Properties", {})
        try:
            tags = {tag["key"]: tag["value"] for tag in as_wire(given.get("PipelineTags", []))}
        except (TypeError, KeyError):
            raise ServiceError(
                "ValidationError", "PipelineTags is a list of objects with Key and Value"
            ) from None
        return cls(
            name=as_wire(given.get("Name")),
            description=as_wire(given.get("Description")),
            tags=tags,
            definition=as_wire({key: given[key] for key in _DEFINITION if key in given}),
            active=_as_boolean(given.get("Activate", True)),
        )


class PipelineApi(Protocol):
    """The service of one account in one region, as a stack uses it."""

    def call(self, operation: str, **params: Any) -> dict[str, Any]:
        """Return the service's answer; raises `ServiceError` for a refusal."""

    def delete_pipeline(self, pipeline_id: str) -> None:
        """Delete a pipeline; raises `ServiceError` for a refusal."""


class EmulatedPipeline(Pipeline):
    """A pipeline as moto's CloudFormation has it; everything else about it is in the model."""

    def __init__(self, api: PipelineApi, pipeline_id: str, name: str, unique_id: str) -> None:
        super().__init__(name, unique_id)
        self.pipeline_id = pipeline_id
        self._api = api
        self._properties: PipelineProperties | None = None

    def activate(self) -> None:
        """Activate it in the model."""
        self._call("ActivatePipeline")

    @_failing_stacks()
    def delete(self, account_id: str, region_name: str) -> None:  # noqa: ARG002 - moto's signature
        """Delete it with its stack; it is no failure if somebody else has deleted it already.

        Raises `StackFailedError`.
        """
        try:
            self._api.delete_pipeline(self.pipeline_id)
        except ServiceError as error:
            if error.code not in _GONE:
                raise

    def get_cfn_attribute(self, attribute_name: str) -> str:
        """Return what `Fn::GetAtt` gives; raises moto's error if it is no attribute."""
        if self.has_cfn_attr(attribute_name):
            return self.pipeline_id
        # Slow to import; CloudFormation, which alone calls this, has imported it by then.
        from moto.cloudformation.exceptions import (  # noqa: PLC0415
            UnformattedGetAttTemplateException,
        )

        raise UnformattedGetAttTemplateException

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        """Return whether the resource has this attribute."""
        return attr == _ATTRIBUTE

    @classmethod
    @_failing_stacks()
    def create_from_cloudformation_json(
        cls,
        resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
        **_: Any,
    ) -> EmulatedPipeline:
        """Create a pipeline as the template says; a refused one is deleted again.

        Raises `StackFailedError`.
        """
        wanted = PipelineProperties.of(cloudformation_json)
        backend = cast("Any", models.datapipeline_backends)[account_id][region_name]
        pipeline: EmulatedPipeline = backend.create_pipeline(
            wanted.name or resource_name,
            f"cf-{uuid4()}",  # two stacks may each have a pipeline of one name
            description=wanted.description,
            tags=_as_tags(wanted.tags),
        )
        try:
            pipeline.begin(wanted)
        except ServiceError:
            pipeline.delete(account_id, region_name)
            raise
        return pipeline

    @classmethod
    @_failing_stacks()
    def update_from_cloudformation_json(
        cls,
        original_resource: Any,
        new_resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
    ) -> EmulatedPipeline:
        """Change the pipeline, or make another if its name or description changed.

        Raises `StackFailedError`, and leaves the pipeline as it was.
        """
        wanted = PipelineProperties.of(cloudformation_json)
        known = isinstance(original_resource, EmulatedPipeline)
        if known and original_resource.can_become(wanted):
            original_resource.change(wanted)
            return cast("EmulatedPipeline", original_resource)
        made = EmulatedPipeline.create_from_cloudformation_json(
            new_resource_name, cloudformation_json, account_id, region_name
        )
        if known:
            original_resource.delete(account_id, region_name)
        return made

    def begin(self, wanted: PipelineProperties) -> None:
        """Define and activate a pipeline which is new."""
        self._define(wanted)
        if wanted.active:
            self.activate()
        self._properties = wanted

    def can_become(self, wanted: PipelineProperties) -> bool:
        """Return whether this needs no new pipeline."""
        known = self._properties
        return known is not None and (
            (known.name, known.description) == (wanted.name, wanted.description)
        )

    def change(self, wanted: PipelineProperties) -> None:
        """Change the pipeline from what the template said before to what it says now."""
        before = cast("PipelineProperties", self._properties)
        redefined = wanted.definition != before.definition
        try:
            if redefined:
                self._define(wanted)
            if wanted.active and (redefined or not before.active):
                self.activate()
            self._retag(before.tags, wanted.tags)
        except ServiceError:
            with suppress(ServiceError):  # the first refusal is the one to report
                self._define(before)
            raise
        if before.active and not wanted.active:
            self._deactivate()
        self._properties = wanted

    def _define(self, wanted: PipelineProperties) -> None:
        if not wanted.definition:
            return
        answer = self._call("PutPipelineDefinition", **wanted.definition)
        if answer["errored"]:
            raise ServiceError("InvalidRequestException", _errors_of(answer))

    def _deactivate(self) -> None:
        described = self._api.call("DescribePipelines", pipelineIds=[self.pipeline_id])
        [pipeline] = described["pipelineDescriptionList"]
        if {"key": "@pipelineState", "stringValue": "SCHEDULED"} in pipeline["fields"]:
            self._call("DeactivatePipeline")

    def _retag(self, before: dict[str, str], wanted: dict[str, str]) -> None:
        if dropped := sorted(before.keys() - wanted.keys()):
            self._call("RemoveTags", tagKeys=dropped)
        if wanted and wanted != before:
            self._call("AddTags", tags=_as_tags(wanted))

    def _call(self, operation: str, **params: Any) -> dict[str, Any]:
        return self._api.call(operation, pipelineId=self.pipeline_id, **params)


_REDIRECTED: Final = (
    "create_from_cloudformation_json",
    "update_from_cloudformation_json",
    "has_cfn_attr",
)
_MOTOS_OWN: Final = {name: vars(Pipeline)[name] for name in _REDIRECTED if name in vars(Pipeline)}


def redirect_stacks(*, on: bool) -> None:
    """Have moto's stacks make pipelines of the model, or moto's own again.

    Moto looks up the class of each type of resource once, so methods of that class are replaced.
    """
    for name in _REDIRECTED:
        if on:
            setattr(Pipeline, name, vars(EmulatedPipeline)[name])
        elif name in _MOTOS_OWN:
            setattr(Pipeline, name, _MOTOS_OWN[name])
        elif name in vars(Pipeline):
            delattr(Pipeline, name)


def as_wire(value: Any) -> Any:
    """Return what a template says in the API's form: lower first letters, and each value a text.

    CloudFormation writes booleans, numbers and dates as the template has them.
    """
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: as_wire(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_wire(item) for item in value if item is not None]  # None is AWS::NoValue
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, date):
        return value.isoformat()
    return value if value is None else str(value)


def _as_boolean(value: Any) -> bool:
    text = as_wire(value)
    if text in ("true", "false"):
        return bool(text == "true")
    raise ServiceError("ValidationError", f"Activate is true or false, not {text}")


def _as_tags(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _errors_of(answer: dict[str, Any]) -> str:
    """Return the message of CloudFormation for a definition with errors."""
    errors = ", ".join(
        f"{{ObjectId = '{item['id']}', errors = [{', '.join(item['errors'])}]}}"
        for item in answer["validationErrors"]
    )
    return f"Pipeline Definition failed to validate because of following Errors: [{errors}]"
