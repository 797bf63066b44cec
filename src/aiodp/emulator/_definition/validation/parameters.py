"""Checks of a definition's parameters and of their values.

Source: the Developer Guide, dp-custom-templates.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aiodp.emulator._definition.expressions import names
from aiodp.emulator._definition.validation.parts import Finding, Severity, is_open, listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiodp.emulator._definition.components import Definition

MAX_PARAMETERS: Final = 50
MAX_VALUES_BYTES: Final = 15 * 1024
_ID: Final = re.compile(r"\*?my\w+")
_NUMBERS: Final = {
    "Integer": re.compile(r"[+-]?\d+", re.ASCII),
    "Double": re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII),
}
_TYPES: Final = {name.lower(): name for name in ("AWS::S3::ObjectKey", "String", *_NUMBERS)}
"""By their names without case: the guide has capitals, many published definitions have none."""
_FLAGS: Final = ("isArray", "optional")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parameter:
    """A parameter object: its attributes by key, each with a list of values."""

    id: str
    attributes: dict[str, list[str]]

    @property
    def type(self) -> str | None:
        """Its type as the guide writes it; `None` if it is none of the guide's."""
        return _TYPES.get(self.attributes.get("type", ["String"])[0].lower())

    @property
    def required(self) -> bool:
        optional = self.attributes.get("optional", ["false"])[0].lower() == "true"
        return not optional and "default" not in self.attributes

    def misfit(self, value: str) -> str | None:
        """Return why a value is not for this parameter, if it is not."""
        pattern = _NUMBERS.get(self.type or "")
        if pattern is not None and not pattern.fullmatch(value):
            return f"a value is not of type {self.type}"
        allowed = self.attributes.get("allowedValues")
        if allowed and value not in allowed:
            return f"a value is none of {listed(allowed)}"
        return None


def parameter_findings(definition: Definition) -> Iterator[Finding]:
    """Check the parameters, and the values that they have."""
    parameters = _parameters(definition)
    counts = Counter(item["id"] for item in definition.parameter_objects)
    for number, parameter in enumerate(parameters.values(), start=1):
        texts = list(_parameter_errors(parameter))
        if counts[parameter.id] > 1:
            texts.append("DUPLICATE_ID: the id of a parameter must be unique.")
        if number == MAX_PARAMETERS + 1:
            texts.append(f"LIMIT_EXCEEDED: a definition has {MAX_PARAMETERS} parameters at most.")
        yield from (_error(parameter.id, text) for text in texts)
    yield from _value_findings(definition, parameters)
    yield from _use_findings(definition, parameters)


def missing_values(definition: Definition) -> list[str]:
    """Return the ids of the parameters which need a value and have none."""
    given = {value["id"] for value in definition.parameter_values}
    parameters = _parameters(definition).values()
    required = [parameter.id for parameter in parameters if parameter.required]
    return [parameter_id for parameter_id in required if parameter_id not in given]


def _parameters(definition: Definition) -> dict[str, _Parameter]:
    return {
        item["id"]: _Parameter(id=item["id"], attributes=_attributes(item))
        for item in definition.parameter_objects
    }


def _attributes(item: dict[str, Any]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for attribute in item.get("attributes", []):
        grouped.setdefault(attribute["key"], []).append(attribute["stringValue"])
    return grouped


def _parameter_errors(parameter: _Parameter) -> Iterator[str]:
    if not _ID.fullmatch(parameter.id):
        yield "INVALID_PARAMETER: the id must begin with 'my', or '*my' to be encrypted."
    if parameter.type is None:
        yield f"INVALID_PARAMETER: 'type' must be one of {listed(_TYPES.values())}."
    for key in _FLAGS:
        if {value.lower() for value in parameter.attributes.get(key, ())} - {"true", "false"}:
            yield f"INVALID_PARAMETER: '{key}' must be true or false."
    for default in parameter.attributes.get("default", []):
        if fault := parameter.misfit(default):
            yield f"INVALID_PARAMETER: 'default': {fault}."


def _value_findings(definition: Definition, parameters: dict[str, _Parameter]) -> Iterator[Finding]:
    size = 0
    for value in definition.parameter_values:
        size += len(value["id"].encode()) + len(value["stringValue"].encode())
        parameter = parameters.get(value["id"])
        if parameter is None:
            yield _warning(value["id"], "It has a value, but is not declared as a parameter.")
        elif fault := parameter.misfit(value["stringValue"]):
            yield _error(parameter.id, f"INVALID_PARAMETER: {fault}.")
    if size > MAX_VALUES_BYTES:
        text = f"LIMIT_EXCEEDED: the values of parameters exceed {MAX_VALUES_BYTES} bytes."
        yield _error(definition.parameter_values[0]["id"], text)


def _use_findings(definition: Definition, parameters: dict[str, _Parameter]) -> Iterator[Finding]:
    for parameter_id in missing_values(definition):
        yield _warning(parameter_id, "It needs a value when the pipeline is activated.")
    used = _used_names(definition)
    for parameter_id in parameters:
        if parameter_id not in used:
            yield _warning(parameter_id, "No object uses this parameter.")


def _used_names(definition: Definition) -> set[str]:
    fields = (field for item in definition.objects for field in item.get("fields", []))
    texts = (field.get("stringValue") or "" for field in fields)
    return {name for text in texts if is_open(text) for name in names(text)}


def _error(parameter_id: str, text: str) -> Finding:
    return Finding(id=parameter_id, text=text, severity=Severity.ERROR)


def _warning(parameter_id: str, text: str) -> Finding:
    return Finding(id=parameter_id, text=text, severity=Severity.WARNING)
