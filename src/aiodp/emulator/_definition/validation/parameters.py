"""Checks of a definition's parameters and of their values.

Source: the Developer Guide, dp-custom-templates.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aiodp.emulator._definition.expressions import names
from aiodp.emulator._definition.lines import Part
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

    def error(self, text: str, key: str | None = None) -> Finding:
        """Return an error, maybe of an attribute."""
        part, severity = Part.PARAMETER, Severity.ERROR
        return Finding(id=self.id, text=text, severity=severity, key=key, part=part)

    def warning(self, text: str) -> Finding:
        """Return a warning."""
        return Finding(id=self.id, text=text, severity=Severity.WARNING, part=Part.PARAMETER)


def parameter_findings(definition: Definition) -> Iterator[Finding]:
    """Check the parameters, and the values that they have."""
    parameters = _parameters(definition)
    counts = Counter(item["id"] for item in definition.parameter_objects)
    for number, parameter in enumerate(parameters.values(), start=1):
        yield from _parameter_findings(parameter)
        if counts[parameter.id] > 1:
            yield parameter.error("DUPLICATE_ID: the id of a parameter must be unique.", "id")
        if number == MAX_PARAMETERS + 1:
            yield parameter.error(
                f"LIMIT_EXCEEDED: a definition has {MAX_PARAMETERS} parameters at most."
            )
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


def _parameter_findings(parameter: _Parameter) -> Iterator[Finding]:
    if not _ID.fullmatch(parameter.id):
        yield parameter.error(
            "INVALID_PARAMETER: the id must begin with 'my', or '*my' to be encrypted.", "id"
        )
    if parameter.type is None:
        text = f"INVALID_PARAMETER: 'type' must be one of {listed(_TYPES.values())}."
        yield parameter.error(text, "type")
    for key in _FLAGS:
        if {value.lower() for value in parameter.attributes.get(key, ())} - {"true", "false"}:
            yield parameter.error(f"INVALID_PARAMETER: '{key}' must be true or false.", key)
    for default in parameter.attributes.get("default", []):
        if fault := parameter.misfit(default):
            yield parameter.error(f"INVALID_PARAMETER: 'default': {fault}.", "default")


def _value_findings(definition: Definition, parameters: dict[str, _Parameter]) -> Iterator[Finding]:
    size = 0
    for value in definition.parameter_values:
        size += len(value["id"].encode()) + len(value["stringValue"].encode())
        parameter = parameters.get(value["id"])
        if parameter is None:
            text = "It has a value, but is not declared as a parameter."
            yield _of_value(value["id"], text, Severity.WARNING)
        elif fault := parameter.misfit(value["stringValue"]):
            yield _of_value(parameter.id, f"INVALID_PARAMETER: {fault}.", Severity.ERROR)
    if size > MAX_VALUES_BYTES:
        text = f"LIMIT_EXCEEDED: the values of parameters exceed {MAX_VALUES_BYTES} bytes."
        yield _of_value(definition.parameter_values[0]["id"], text, Severity.ERROR)


def _use_findings(definition: Definition, parameters: dict[str, _Parameter]) -> Iterator[Finding]:
    for parameter_id in missing_values(definition):
        text = "It needs a value when the pipeline is activated."
        yield parameters[parameter_id].warning(text)
    used = _used_names(definition)
    for parameter in parameters.values():
        if parameter.id not in used:
            yield parameter.warning("No object uses this parameter.")


def _used_names(definition: Definition) -> set[str]:
    fields = (field for item in definition.objects for field in item.get("fields", []))
    texts = (field.get("stringValue") or "" for field in fields)
    return {name for text in texts if is_open(text) for name in names(text)}


def _of_value(parameter_id: str, text: str, severity: Severity) -> Finding:
    return Finding(id=parameter_id, text=text, severity=severity, part=Part.VALUE)
