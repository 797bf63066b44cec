"""Reads definition files, and those of parameters and values, and finds what is wrong in them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar

from aiodp.cli._shared import read_text
from aiodp.cli._validate.remarks import Remark
from aiodp.emulator import Settings
from aiodp.emulator._definition.files import FileError, read_definition
from aiodp.emulator._definition.limits import check_size
from aiodp.emulator._definition.lines import Lines, Part
from aiodp.emulator._definition.validation import fatal_findings, findings
from aiodp.emulator._definition.validation.parts import Finding, Severity
from aiodp.emulator._errors import ServiceError
from aiodp.emulator._model.requests import read_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from aiodp.emulator._definition.components import Definition
    from aiodp.emulator._definition.files import Wire

T = TypeVar("T")

_SOUND: Final = {"id": "id", "name": "name"}
"""An item of a definition with nothing wrong in it."""


class ReadError(Exception):
    """A file cannot be read, or is no JSON of the form that it should have."""

    def __init__(self, remark: Remark) -> None:
        super().__init__(remark.text)
        self.remark = remark


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonFile(Generic[T]):
    """A file, what it says, and the lines on which it does."""

    path: Path
    content: T
    lines: Lines

    @classmethod
    def read(cls, path: Path, load: Callable[[str], T]) -> Self:
        """Read a file, whose text `load` takes. Raises `ReadError`."""
        try:
            text = read_text(path)
        except ValueError as error:
            raise ReadError(Remark(path=path, text=str(error))) from error
        try:
            return cls(path=path, content=load(text), lines=Lines(text))
        except ValueError as error:
            raise ReadError(_of_form(error, path, text)) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Checker:
    """Checks definition files, whose parameters and values may be in files of their own."""

    now: datetime
    parameters: JsonFile[Wire] | None = None
    values: JsonFile[Wire] | None = None

    def check(self, path: Path) -> list[Remark]:
        """Return what is wrong or odd in a definition file, by its lines."""
        try:
            file = JsonFile.read(path, read_definition)
        except ReadError as error:
            return [error.remark]
        definition = self._completed(file.content)
        try:
            found = _findings(definition, self.now)
        except ServiceError as error:
            return [Remark(path=path, text=error.message)]
        remarks = [self._placed(finding, file) for finding in found]
        return sorted(remarks, key=lambda remark: (str(remark.path), remark.line or 0))

    def _completed(self, definition: Definition) -> Definition:
        if self.parameters is not None:
            definition = replace(definition, parameter_objects=self.parameters.content)
        return definition if self.values is None else definition.with_values(self.values.content)

    def _placed(self, finding: Finding, definition: JsonFile[Definition]) -> Remark:
        path = definition.path
        line = definition.lines.of(finding.part, finding.id, finding.key)
        beside = {Part.PARAMETER: self.parameters, Part.VALUE: self.values}.get(finding.part)
        if beside and (found := beside.lines.of(finding.part, finding.id, finding.key)):
            path, line = beside.path, found
        return Remark(
            path=path,
            text=finding.text,
            severity=finding.severity,
            line=line,
            part=finding.part,
            id=finding.id,
            field=finding.key,
        )


def _findings(definition: Definition, now: datetime) -> list[Finding]:
    """Return what the service finds; raise `ServiceError` for a definition that is too large."""
    if fatal := fatal_findings(definition.objects, Settings().max_objects):
        return fatal
    check_size(definition)
    return [*_form_findings(definition), *findings(definition, now)]


def _form_findings(definition: Definition) -> Iterator[Finding]:
    """Yield what no call of the API can hold: a text that is too long, or no text of XML."""
    for part, member, fields, items in (
        (Part.OBJECT, "pipelineObjects", "fields", definition.objects),
        (Part.PARAMETER, "parameterObjects", "attributes", definition.parameter_objects),
        (Part.VALUE, "parameterValues", "", definition.parameter_values),
    ):
        for item in items:
            parts = [(None, item | {fields: []})]
            parts += [(field["key"], _SOUND | {fields: [field]}) for field in item.get(fields, ())]
            refusals = ((key, _refusal(member, one)) for key, one in parts)
            for key, text in refusals:
                if text is not None:
                    yield Finding(
                        id=item["id"], text=text, severity=Severity.ERROR, key=key, part=part
                    )


def _refusal(member: str, item: dict[str, Any]) -> str | None:
    """Return why the service does not read one item of a definition, or None."""
    request = {"pipelineId": "df", "pipelineObjects": [], member: [item]}
    try:
        read_request("ValidatePipelineDefinition", request)
    except ServiceError as error:
        return error.message
    return None


def _of_form(error: ValueError, path: Path, text: str) -> Remark:
    """Return what is wrong with the form of a file."""
    line = error.lineno if isinstance(error, json.JSONDecodeError) else None
    remark = Remark(path=path, text=str(error), line=line)
    place = error.place if isinstance(error, FileError) else None
    if place is None:
        return remark
    where = Lines(text).place(place)
    return replace(remark, line=where, part=place.part, id=place.id, field=place.key)
