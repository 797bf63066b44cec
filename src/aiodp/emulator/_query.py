"""QueryObjects and DescribeObjects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aiodp.emulator._catalog import marker_offset
from aiodp.emulator._replies import invalid
from aiodp.emulator._views import describe, fields_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiodp.emulator._calendar import Calendar
    from aiodp.emulator._catalog import Catalog
    from aiodp.emulator._fields import Field, Fields
    from aiodp.emulator._records import Pipeline
    from aiodp.emulator._settings import Settings

_PAGE: Final = 100
_MAX_SELECTORS: Final = 10
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


class Finder:
    """Finds and describes the objects of a pipeline."""

    def __init__(self, settings: Settings, calendar: Calendar, catalog: Catalog) -> None:
        self._settings = settings
        self._calendar = calendar
        self._catalog = catalog

    def describe(self, params: dict[str, Any], _now: float) -> dict[str, Any]:
        """DescribeObjects; parameters are filled in whether asked for or not."""
        pipeline = self._catalog.get(params["pipelineId"])
        ids = params["objectIds"]
        if len(ids) > self._settings.max_described:
            raise invalid(f"At most {self._settings.max_described} objects can be described")
        try:
            objects = [describe(one, pipeline, self._calendar) for one in ids]
        except KeyError as error:
            raise invalid(f"Object {error.args[0]} does not exist") from error
        return {"pipelineObjects": objects, "hasMoreResults": False}

    def query(self, params: dict[str, Any], _now: float) -> dict[str, Any]:
        """QueryObjects: the objects of a sphere for which each selector holds, a page at a time."""
        pipeline = self._catalog.get(params["pipelineId"])
        selectors = params.get("query", {}).get("selectors", [])
        if len(selectors) > _MAX_SELECTORS:
            raise invalid(f"A query has at most {_MAX_SELECTORS} selectors")
        for selector in selectors:
            _check(selector)
        ids = [
            one
            for one in _sphere(pipeline, params["sphere"])
            if self._fits(one, pipeline, selectors)
        ]
        start = marker_offset(params.get("marker"))
        end = start + max(1, min(int(params.get("limit", _PAGE)), _PAGE))
        answer: dict[str, Any] = {"ids": ids[start:end], "hasMoreResults": end < len(ids)}
        return answer | ({"marker": str(end)} if end < len(ids) else {})

    def _fits(self, object_id: str, pipeline: Pipeline, selectors: list[dict[str, Any]]) -> bool:
        if not selectors:
            return True
        fields = fields_of(object_id, pipeline, self._calendar)
        name = (
            pipeline.components[object_id].name if object_id in pipeline.components else object_id
        )
        return all(_holds(selector, fields, name) for selector in selectors)


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
    if not values or (kind == "BETWEEN" and len(values) != 2):  # noqa: PLR2004  # its two ends
        raise invalid(f"Operator {kind} has the wrong number of values")


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
