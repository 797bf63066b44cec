"""QueryObjects, DescribeObjects, EvaluateExpression, and the objects of a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aiodp.emulator._definition.expressions import ExpressionError, Work, evaluate
from aiodp.emulator._definition.kinds import Kind, kind_of
from aiodp.emulator._definition.size import Size
from aiodp.emulator._errors import invalid
from aiodp.emulator._model.listing.pages import PAGE_SIZE, list_objects
from aiodp.emulator._model.listing.selectors import Selectors
from aiodp.emulator._model.scopes import ObjectScope
from aiodp.emulator._model.views import as_object, is_known

if TYPE_CHECKING:
    from aiodp.emulator._definition.fields import Fields
    from aiodp.emulator._model.catalog import Catalog
    from aiodp.emulator._model.context import Context
    from aiodp.emulator._model.records import Instance, Pipeline, Task

_MAX_DESCRIBED_VALUES: Final = 20_000
_MAX_DESCRIBED_BYTES: Final = 4 * 1024**2
_MAX_STRING_BYTES: Final = 20_971_520  # longString of the service's model


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
        work = Work() if params.get("evaluateExpressions") else None
        size = Size(_MAX_DESCRIBED_VALUES, _MAX_DESCRIBED_BYTES, of="answer")
        objects = [self._describe(object_id, pipeline, work, size) for object_id in ids]
        return {"pipelineObjects": objects, "hasMoreResults": False}

    def evaluate(self, params: dict[str, Any], _now: float) -> dict[str, Any]:
        """EvaluateExpression, in the context of an object of any sphere."""
        pipeline = self._catalog.get(params["pipelineId"])
        scope = self._scope(params["objectId"], pipeline)
        work = Work(size=_MAX_STRING_BYTES)
        try:
            values = evaluate(params["expression"], scope, work, max_bytes=_MAX_STRING_BYTES)
        except ExpressionError as error:
            raise invalid(str(error)) from error
        return {"evaluatedExpression": ",".join(values)}

    def task_object(self, task: Task) -> dict[str, Any]:
        """Return the taskObject of PollForTask: the attempt and the instances it refers to."""
        instance, attempt = task.attempt.instance, task.attempt
        pipeline = instance.pipeline
        objects: dict[str, Any] = {}
        pending = [attempt.id]
        work = Work()
        while pending:
            object_id = pending.pop()
            if object_id in objects:
                continue
            fields = self._evaluated_if_possible(object_id, pipeline, work)
            objects[object_id] = as_object(object_id, fields, pipeline)
            pending.extend(_referred(fields, instance))
        return {
            "taskId": task.id,
            "pipelineId": pipeline.id,
            "attemptId": attempt.id,
            "objects": objects,
        }

    def _describe(
        self, object_id: str, pipeline: Pipeline, work: Work | None, size: Size
    ) -> dict[str, Any]:
        """Return an object, evaluated if there is work for it."""
        scope = self._scope(object_id, pipeline)
        try:
            fields = scope.fields if work is None else scope.evaluated(work)
        except ExpressionError as error:
            raise invalid(f"Object {object_id} cannot be evaluated: {error}") from error
        for values in fields.values():
            size.add(len(values), sum(len(field.value) for field in values))
        return as_object(object_id, fields, pipeline)

    def _evaluated_if_possible(self, object_id: str, pipeline: Pipeline, work: Work) -> Fields:
        scope = self._scope(object_id, pipeline)
        try:
            return scope.evaluated(work)
        except ExpressionError:  # of an object which the attempt only refers to
            return scope.fields

    def _scope(self, object_id: str, pipeline: Pipeline) -> ObjectScope:
        if not is_known(object_id, pipeline):
            raise invalid(f"Object {object_id} does not exist")
        return ObjectScope(object_id, pipeline, self._calendar)

    def query(self, params: dict[str, Any], _now: float) -> dict[str, Any]:
        """QueryObjects: the objects of a sphere for which each selector holds, a page at a time."""
        pipeline = self._catalog.get(params["pipelineId"])
        wire = params.get("query", {}).get("selectors", [])
        return list_objects(
            pipeline,
            Selectors(wire, pipeline, self._calendar),
            sphere=params["sphere"],
            marker=params.get("marker"),
            limit=params.get("limit", PAGE_SIZE),
        )


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
