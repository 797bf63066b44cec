"""What PutPipelineDefinition finds wrong with a definition."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from aiodp.emulator._components import Definition, parent_of
from aiodp.emulator._fields import beyond_limit, from_wire
from aiodp.emulator._period import parse_period, parse_schedule_period

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiodp.emulator._fields import Field, Fields

_PERIODS: Final = {
    "attemptTimeout": parse_period,
    "period": parse_schedule_period,
    "reportProgressTimeout": parse_period,
    "retryDelay": parse_period,
    "terminateAfter": parse_period,
}

Errors = list[dict[str, Any]]


def fatal_errors(objects: list[dict[str, Any]], max_objects: int) -> Errors:
    """Return the errors for which a definition is not even stored (PutPipelineDefinition)."""
    errors = [
        {"id": item["id"] or "(none)", "errors": texts}
        for item in objects
        if (texts := _empty(item))
    ]
    if len(objects) > max_objects:
        text = f"The pipeline has {len(objects)} objects, more than the {max_objects} allowed"
        errors.append({"id": objects[max_objects]["id"], "errors": [text]})
    return errors


def definition_errors(definition: Definition) -> Errors:
    """Return the errors of a definition which is stored, but cannot be activated."""
    counts = Counter(item["id"] for item in definition.objects)
    own = {item["id"]: from_wire(item.get("fields", [])) for item in definition.objects}
    errors: Errors = []
    for object_id, fields in own.items():
        texts = list(_texts(object_id, fields, own))
        if counts[object_id] > 1:
            texts.append(f"The id '{object_id}' is not unique")
        if texts:
            errors.append({"id": object_id, "errors": texts})
    return errors


def _empty(item: dict[str, Any]) -> list[str]:
    texts = [f"The {key} is missing" for key in ("id", "name") if not item.get(key)]
    empty = [
        field["key"]
        for field in item.get("fields", [])
        if not (field.get("stringValue") or field.get("refValue"))
    ]
    return texts + [f"Field '{key}' is empty" for key in empty]


def _texts(object_id: str, fields: Fields, own: dict[str, Fields]) -> Iterator[str]:
    for values in fields.values():
        for field in values:
            yield from _field_texts(field, own)
    if limit := beyond_limit(fields):
        yield limit
    if _inherits_from_itself(object_id, own):
        yield f"The parents of '{object_id}' form a circle"


def _field_texts(field: Field, own: dict[str, Fields]) -> Iterator[str]:
    if field.is_ref and field.value not in own:
        yield f"INVALID_FIELD_VALUE: '{field.key}' refers to '{field.value}', which does not exist."
    if field.key in _PERIODS and not field.is_ref and "#{" not in field.value:
        try:
            _PERIODS[field.key](field.value)
        except ValueError as error:
            yield f"INVALID_FIELD_VALUE: '{field.key}' value must be a period: {error}."


def _inherits_from_itself(object_id: str, own: dict[str, Fields]) -> bool:
    current: str | None = object_id
    seen: set[str] = set()
    while current is not None and current in own:
        if current in seen:
            return True
        seen.add(current)
        current = parent_of(current, own[current])
    return False
