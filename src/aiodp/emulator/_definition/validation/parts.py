"""What the checks of a definition look at, and what they find."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum, auto
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from aiodp.emulator._definition.fields import from_wire
from aiodp.emulator._definition.lines import Part
from aiodp.emulator._definition.object_types import TYPES, BaseType, ObjectType, base_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from aiodp.emulator._definition.components import Component, Definition
    from aiodp.emulator._definition.fields import Field, Fields

Messages = list[dict[str, Any]]
"""Messages by the id of an object or parameter, as the API lists them."""

MAX_TEXT: Final = 10_000
"""Longest message of a validation (the API's validationMessage)."""
_MAX_HINTS: Final = 20
_SIMILAR: Final = 0.8  # from 0 to 1, as `difflib` measures it


class Severity(Enum):
    """Whether a pipeline can be activated in spite of it."""

    ERROR = auto()
    WARNING = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """An error or a warning about the object or parameter `id`, maybe about one of its fields."""

    id: str
    text: str
    severity: Severity
    key: str | None = None
    part: Part = Part.OBJECT


class Draft:
    """A definition under examination: its objects as written, and with all they inherit."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.own: Mapping[str, Fields] = {
            item["id"]: from_wire(item.get("fields", [])) for item in definition.objects
        }
        self.components: Mapping[str, Component] = definition.components()
        self._hints = 0

    @cached_property
    def subjects(self) -> list[Subject]:
        """The objects in their order; of those with the same id the last alone."""
        return [Subject(draft=self, id=object_id) for object_id in self.own]

    @cached_property
    def parameters(self) -> set[str]:
        """The ids of parameters, with or without a value."""
        given = [*self.definition.parameter_objects, *self.definition.parameter_values]
        return {item["id"] for item in given}

    @cached_property
    def on_demand(self) -> bool:
        """Whether any object says that it runs on demand."""
        types = (own.get("scheduleType", ()) for own in self.own.values())
        return any(field.value.lower() == "ondemand" for fields in types for field in fields)

    def hint(self, word: str, known: Iterable[str]) -> str:
        """Return a sentence with the known word that this one is like, if there is one.

        Only for the first unknown words, as the search takes a millisecond.
        """
        self._hints += 1
        if self._hints > _MAX_HINTS:
            return ""
        similar = get_close_matches(word, sorted(known), n=1, cutoff=_SIMILAR)
        return f" Did you mean '{similar[0]}'?" if similar else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One object of a draft."""

    draft: Draft
    id: str

    @property
    def own(self) -> Fields:
        """Its fields as they are written."""
        return self.draft.own[self.id]

    @property
    def component(self) -> Component:
        """The object with what it inherits, parameters filled in."""
        return self.draft.components[self.id]

    @property
    def type(self) -> ObjectType | None:
        """Its type, if it is one that is documented."""
        return TYPES.get(self.component.type)

    @property
    def base(self) -> BaseType | None:
        """What its type is one of, if that is documented."""
        return base_of(self.component.type)

    def written(self, *keys: str) -> Iterator[Field]:
        """Yield the values which the object itself has for these keys, parameters filled in."""
        for key in keys:
            if key in self.own:
                yield from self.component.fields.get(key, self.own[key])

    def has(self, key: str) -> bool:
        """Return whether it has a field, maybe by inheritance, maybe marked as encrypted."""
        plain = key.removeprefix("*")
        return any(name in self.component.fields for name in (plain, f"*{plain}"))

    def type_of(self, object_id: str) -> str:
        """Return the type of another object, in the service's own words."""
        return self.draft.components[object_id].type or "Default"

    def error(self, text: str, key: str | None = None) -> Finding:
        """Return an error, for which the pipeline cannot be activated."""
        return Finding(id=self.id, text=text, severity=Severity.ERROR, key=key)

    def warning(self, text: str, key: str | None = None) -> Finding:
        """Return a warning."""
        return Finding(id=self.id, text=text, severity=Severity.WARNING, key=key)


def wrong_type(key: str, expected: str, actual: str) -> str:
    """Return what is wrong with the kind of a value, in the service's own words."""
    return f"'{key}' values must be of type '{expected}'. Found values of type '{actual}'"


def is_open(text: str) -> bool:
    """Return whether a value holds an expression, so that it is not known yet."""
    return "#{" in text


def listed(words: Iterable[str]) -> str:
    """Return words in quotes, in order."""
    return ", ".join(f"'{word}'" for word in sorted(words))


def errors_of(findings: Iterable[Finding]) -> Messages:
    """Return the errors as validationErrors has them."""
    return _by_id(findings, Severity.ERROR, "errors")


def warnings_of(findings: Iterable[Finding]) -> Messages:
    """Return the warnings as validationWarnings has them."""
    return _by_id(findings, Severity.WARNING, "warnings")


def _by_id(findings: Iterable[Finding], severity: Severity, key: str) -> Messages:
    texts: dict[str, list[str]] = {}
    for finding in findings:
        if finding.severity is severity:
            texts.setdefault(finding.id, []).append(finding.text[:MAX_TEXT])
    return [{"id": object_id, key: several} for object_id, several in texts.items()]
