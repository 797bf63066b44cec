"""QueryObjects, DescribeObjects, EvaluateExpression, and the objects of a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aiodp.emulator._calendar import parse_date
from aiodp.emulator._definition.expressions import ExpressionError, evaluate
from aiodp.emulator._definition.kinds import Kind, kind_of
from aiodp.emulator._errors import invalid
from aiodp.emulator._model.catalog import marker_offset
from aiodp.emulator._model.scopes import ObjectScope
from aiodp.emulator._model.views import as_object, fields_of, is_known, name_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiodp.emulator._definition.fields import Field, Fields
    from aiodp.emulator._model.catalog import Catalog
    from aiodp.emulator._model.context import Context
    from aiodp.emulator._model.records import Instance, Pipeline, Task

_PAGE_SIZE: Final = 100
_MAX_SELECTORS: Final = 10
_MAX_STRING_BYTES: Final = 20_971_520  # longString of the service's model
_TIMES: Final = frozenset(
    {"@scheduledStartTime", "@scheduledEndTime", "@actualStartTime", "@actualEndTime"},
)
_EQUALS: Final = _TIMES | {
    "name",
    "@sphere",
    "parent",
    "@componentParent",
    "@instanceParent",
    "@status",
}
_FIELDS: Final = {
    "EQ": _EQUALS,
    "REF_EQ": _EQUALS,
    "GE": _TIMES,
    "LE": _TIMES,
    "BETWEEN": _TIMES,
}


_ORDERED: Final = frozenset({"GE", "LE", "BETWEEN"})


class Queries:
    """Finds and describes the objects of a pipeline."""

    def __init__(self, context: Context, catalog: Catalog) -> None:
        self._settings = context.settings
        self._calendar = context.calendar
        self._catalog = catalog

    def describe(self, params: dict[str, Any], _now: float) -> dict[str, Any]:
        """DescribeObjects; parameters are always filled in."""
        pipeline = self._catalog.get(params["pipelineId"])
        ids = params["objectIds"]
        if len(ids) > self._settings.max_described_objects:
            most = self._settings.max_described_objects
            raise invalid(f"At most {most} objects can be described, not {len(ids)}")
        evaluate = params.get("evaluateExpressions", False)
        objects = [self._describe(object_id, pipeline, evaluate=evaluate) for object_id in ids]
        return {"pipelineObjects": objects, "hasMoreResults": False}

    def evaluate(self, params: dict[str, Any], _now: float) -> dict[str, Any]:
        """EvaluateExpression, in the context of an object of any sphere."""
        pipeline = self._catalog.get(params["pipelineId"])
        scope = self._scope(params["objectId"], pipeline)
        try:
            values = evaluate(params["expression"], scope, max_bytes=_MAX_STRING_BYTES)
        except ExpressionError as error:
            raise invalid(str(error)) from error
        return {"evaluatedExpression": ",".join(values)}

    def task_object(self, task: Task) -> dict[str, Any]:
        """Return the taskObject of PollForTask: the attempt and the instances it refers to."""
        instance, attempt = task.attempt.instance, task.attempt
        pipeline = instance.pipeline
        objects: dict[str, Any] = {}
        pending = [attempt.id]
        while pending:
            object_id = pending.pop()
            if object_id in objects:
                continue
            fields = self._evaluated_if_possible(object_id, pipeline)
            objects[object_id] = as_object(object_id, fields, pipeline)
            pending.extend(_referred(fields, instance))
        return {
            "taskId": task.id,
            "pipelineId": pipeline.id,
            "attemptId": attempt.id,
            "objects": objects,
        }

    def _describe(self, object_id: str, pipeline: Pipeline, *, evaluate: bool) -> dict[str, Any]:
        scope = self._scope(object_id, pipeline)
        try:
            fields = scope.evaluated() if evaluate else scope.fields
        except ExpressionError as error:
            raise invalid(f"Object {object_id} cannot be evaluated: {error}") from error
        return as_object(object_id, fields, pipeline)

    def _evaluated_if_possible(self, object_id: str, pipeline: Pipeline) -> Fields:
        scope = self._scope(object_id, pipeline)
        try:
            return scope.evaluated()
        except ExpressionError:  # of an object which the attempt only refers to
            return scope.fields

    def _scope(self, object_id: str, pipeline: Pipeline) -> ObjectScope:
        if not is_known(object_id, pipeline):
            raise invalid(f"Object {object_id} does not exist")
        return ObjectScope(object_id, pipeline, self._calendar)

    def query(self, params: dict[str, Any], _now: float) -> dict[str, Any]:
        """QueryObjects: the objects of a sphere for which each selector holds, a page at a time."""
        pipeline = self._catalog.get(params["pipelineId"])
        selectors = params.get("query", {}).get("selectors", [])
        if len(selectors) > _MAX_SELECTORS:
            raise invalid(f"A query has at most {_MAX_SELECTORS} selectors")
        for selector in selectors:
            _check(selector)
        ids = [
            object_id
            for object_id in _sphere(pipeline, params["sphere"])
            if self._fits(object_id, pipeline, selectors)
        ]
        start = marker_offset(params.get("marker"))
        limit = params.get("limit", _PAGE_SIZE)
        if limit < 1:
            raise invalid(f"limit must be 1 or more, not {limit}")
        end = start + min(limit, _PAGE_SIZE)
        answer: dict[str, Any] = {"ids": ids[start:end], "hasMoreResults": end < len(ids)}
        return answer | ({"marker": str(end)} if end < len(ids) else {})

    def _fits(self, object_id: str, pipeline: Pipeline, selectors: list[dict[str, Any]]) -> bool:
        if not selectors:
            return True
        fields = fields_of(object_id, pipeline, self._calendar)
        name = name_of(object_id, pipeline)
        return all(_holds(selector, fields, name) for selector in selectors)


def _referred(fields: Fields, instance: Instance) -> list[str]:
    """Return the instances, and the passive components, to which an object of a task refers."""
    own = (key for key in fields if not key.startswith("@") and key != "parent")
    flat = [field for key in own for field in fields[key]]
    return [field.value for field in flat if field.is_ref and _is_data(field.value, instance)]


def _is_data(object_id: str, instance: Instance) -> bool:
    if object_id in instance.pipeline.instances:
        return True
    component = instance.plan.components.get(object_id)
    return component is not None and kind_of(component.type) is Kind.PASSIVE


def _sphere(pipeline: Pipeline, sphere: str) -> Iterable[str]:
    match sphere.upper():
        case "COMPONENT":
            return pipeline.components
        case "INSTANCE":
            return pipeline.instances
        case "ATTEMPT":
            return pipeline.attempts
    raise invalid(f"sphere must be COMPONENT, INSTANCE or ATTEMPT, not {sphere}")


def _check(selector: dict[str, Any]) -> None:
    operator = selector.get("operator", {})
    kind, values = operator.get("type", ""), operator.get("values", [])
    if kind not in _FIELDS:
        raise invalid(f"Unknown operator {kind!r}")
    if selector.get("fieldName") not in _FIELDS[kind]:
        raise invalid(f"Operator {kind} does not act on field {selector.get('fieldName')!r}")
    if not values or (kind == "BETWEEN" and len(values) != 2):  # noqa: PLR2004 - its two ends
        raise invalid(f"Operator {kind} has the wrong number of values")
    if kind in _ORDERED:
        operator["values"] = [_date(value) for value in values]


def _date(text: str) -> str:
    """Return a date as fields have it, without the Z which the AWS CLI and SDKs may add."""
    try:
        parse_date(text.removesuffix("Z"))
    except ValueError as error:
        raise invalid(str(error)) from error
    return text.removesuffix("Z")


def _holds(selector: dict[str, Any], fields: Fields, name: str) -> bool:
    operator, key = selector["operator"], selector["fieldName"]
    if key == "name":
        return operator["type"] == "EQ" and name in operator["values"]
    return any(_matches(operator, field) for field in fields.get(key, ()))


def _matches(operator: dict[str, Any], field: Field) -> bool:
    kind, values = operator["type"], operator["values"]
    if field.is_ref != (kind == "REF_EQ"):
        return False
    match kind:
        case "GE":
            return bool(field.value >= values[0])
        case "LE":
            return bool(field.value <= values[0])
        case "BETWEEN":
            return bool(values[0] <= field.value <= values[1])
    return field.value in values  # several values of EQ: any of them, as `list-runs` uses it
