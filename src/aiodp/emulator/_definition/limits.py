"""The check of a whole definition against the limits of `size.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiodp.emulator._definition.expressions import count_words
from aiodp.emulator._definition.expressions.cost import Costs, TooCostlyError
from aiodp.emulator._definition.size import (
    MAX_PARAMETER_VALUES,
    MAX_STEPS,
    MAX_WORDS,
    too_large,
)
from aiodp.emulator._errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiodp.emulator._definition.components import Definition
    from aiodp.emulator._definition.fields import Fields


def check_size(definition: Definition) -> None:
    """Raise InvalidRequestException, which names the limit, for a definition that is too large."""
    refusal = definition.once("refusal", lambda: _refusal(definition))
    if refusal is not None:
        raise refusal


def _refusal(definition: Definition) -> ServiceError | None:
    try:
        _check(definition)
    except ServiceError as error:
        return error
    return None


def _check(definition: Definition) -> None:
    attributes = sum(len(item.get("attributes", ())) for item in definition.parameter_objects)
    if attributes + len(definition.parameter_values) > MAX_PARAMETER_VALUES:
        raise too_large(f"{MAX_PARAMETER_VALUES} values and attributes of parameters")
    texts = {
        field.get("stringValue") or "" for item in definition.objects for field in item["fields"]
    }
    if count_words(texts) > MAX_WORDS:
        raise too_large(f"{MAX_WORDS} names, values and signs in expressions")
    definition.check_size()
    fields = {key: component.fields for key, component in definition.components().items()}
    try:
        total = _steps(fields, Costs(fields, definition.parameters(), MAX_STEPS))
    except TooCostlyError:
        total = MAX_STEPS + 1
    if total > MAX_STEPS:
        raise too_large(f"expressions of {MAX_STEPS} steps in each run of all its objects")


def _steps(objects: Mapping[str, Fields], costs: Costs) -> int:
    """Return the steps of a run: an object is evaluated once for each that refers to it, too."""
    steps = {key: costs.of(key) for key in objects}
    referred = (
        {field.value for values in fields.values() for field in values if field.is_ref}
        for fields in objects.values()
    )
    return sum(steps.values()) + sum(steps.get(key, 0) for keys in referred for key in keys)
