"""Selectors of QueryObjects: what they may ask, and which objects they find."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from aiodp.emulator._calendar import parse_date
from aiodp.emulator._errors import invalid
from aiodp.emulator._model.listing.found_by import FOUND_BY, REFERENCES
from aiodp.emulator._model.views import component_fields

if TYPE_CHECKING:
    from aiodp.emulator._calendar import Calendar
    from aiodp.emulator._model.records import Pipeline

_MAX_SELECTORS: Final = 10
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIMES: Final = frozenset(
    {"@scheduledStartTime", "@scheduledEndTime", "@actualStartTime", "@actualEndTime"},
)
_EQUALS: Final = frozenset({"name", *FOUND_BY})
_FIELDS: Final = {
    "EQ": _EQUALS,
    "REF_EQ": _EQUALS,
    "GE": _TIMES,
    "LE": _TIMES,
    "BETWEEN": _TIMES,
}
_ORDERED: Final = frozenset({"GE", "LE", "BETWEEN"})


class Selectors:
    """What a query asks of each object; raises InvalidRequestException if it may not be asked."""

    def __init__(self, wire: list[dict[str, Any]], pipeline: Pipeline, calendar: Calendar) -> None:
        if len(wire) > _MAX_SELECTORS:
            raise invalid(f"A query has at most {_MAX_SELECTORS} selectors")
        for selector in wire:
            _check(selector)
        self._wire = wire
        self._pipeline = pipeline
        self._calendar = calendar

    def hold(self, object_id: str) -> bool:
        """Return whether each of them holds for an object of the pipeline, of any sphere."""
        return all(self._holds(selector, object_id) for selector in self._wire)

    def _holds(self, selector: dict[str, Any], object_id: str) -> bool:
        operator, key = selector["operator"], selector["fieldName"]
        if (key in REFERENCES) != (operator["type"] == "REF_EQ"):
            return False
        value = self._value(object_id, key)
        return value is not None and _matches(operator, value)

    def _value(self, object_id: str, key: str) -> str | None:
        component = self._pipeline.components.get(object_id)
        if key == "name":
            return object_id if component is None else component.name
        if component is not None:
            fields = component_fields(component, self._pipeline, self._calendar)
            return next((field.value for field in fields.get(key, ())), None)
        run = self._pipeline.instances.get(object_id) or self._pipeline.attempts[object_id]
        return FOUND_BY[key](run, self._calendar)


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
    else:
        operator["values"] = frozenset(values)  # however many, each object is looked up once


def _date(text: str) -> str:
    """Return a date as fields have it, without the Z which the AWS CLI and SDKs may add.

    The CLI's page of `list-runs` has dates without a time.
    """
    given = text.removesuffix("Z")
    date = f"{given}T00:00:00" if _DAY.fullmatch(given) else given
    try:
        parse_date(date)
    except ValueError as error:
        raise invalid(str(error)) from error
    return date


def _matches(operator: dict[str, Any], value: str) -> bool:
    kind, values = operator["type"], operator["values"]
    match kind:
        case "GE":
            return bool(value >= values[0])
        case "LE":
            return bool(value <= values[0])
        case "BETWEEN":
            return bool(values[0] <= value <= values[1])
    return value in values  # several values of EQ: any of them, as `list-runs` uses it
