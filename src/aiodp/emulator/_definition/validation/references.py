"""Checks of references: that they lead somewhere, to the right kind, and not in circles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiodp.emulator._definition.components import parent_of
from aiodp.emulator._definition.object_types import DEPENDABLE, TYPES, BaseType
from aiodp.emulator._definition.slot_types import REFERENCES, refers_to
from aiodp.emulator._definition.validation.parts import wrong_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aiodp.emulator._definition.fields import Field
    from aiodp.emulator._definition.validation.parts import Draft, Finding, Subject

Edges = dict[str, set[str]]


def reference_findings(subject: Subject) -> Iterator[Finding]:
    """Check where an object's own references lead."""
    for values in subject.own.values():
        for field in values:
            if field.is_ref and field.value not in subject.draft.own:
                yield subject.error(
                    f"INVALID_FIELD_VALUE: '{field.key}' refers to '{field.value}', "
                    "which does not exist.",
                    field.key,
                )
            elif fault := _wrong_kind(subject, field):
                yield subject.error(fault, field.key)


def circle_findings(draft: Draft) -> Iterator[Finding]:
    """Check that nothing inherits from itself, waits for itself, or schedules itself."""
    inherits: Edges = {}
    for object_id, own in draft.own.items():
        parent = parent_of(object_id, own)
        inherits[object_id] = set() if parent is None else {parent}
    waits = _waits(draft)
    for subject in draft.subjects:
        if path := _circle(subject.id, inherits):
            yield subject.error(f"CIRCULAR_REFERENCE: it inherits from itself: {path}.", "parent")
        if path := _circle(subject.id, waits):
            yield subject.error(f"CIRCULAR_REFERENCE: it waits for itself: {path}.")
        if any(field.value == subject.id for field in subject.own.get("schedule", ())):
            yield subject.error("CIRCULAR_REFERENCE: it is its own schedule.", "schedule")


def _wrong_kind(subject: Subject, field: Field) -> str | None:
    """Return what is wrong in the service's own words."""
    expected = REFERENCES.get(field.key)
    if expected is None:
        return None
    actual = "String"
    if field.is_ref:
        actual = subject.type_of(field.value)
        if refers_to(expected, actual) or (actual != "Default" and actual not in TYPES):
            return None  # of an unknown type its own object has the error
    return wrong_type(field.key, expected, actual)


def _waits(draft: Draft) -> Edges:
    """Return which objects wait for which: see the Developer Guide, dp-concepts-datanodes."""
    edges: Edges = {subject.id: set() for subject in draft.subjects}
    for subject in draft.subjects:
        if subject.base not in DEPENDABLE:  # which are also those that wait
            continue
        edges[subject.id].update(_targets(subject, "dependsOn"))
        if subject.base is BaseType.ACTIVITY:
            edges[subject.id].update(_targets(subject, "input"))
            for node in _targets(subject, "output"):
                edges.setdefault(node, set()).add(subject.id)
    return edges


def _targets(subject: Subject, key: str) -> list[str]:
    return [field.value for field in subject.component.fields.get(key, ()) if field.is_ref]


def _circle(start: str, edges: Mapping[str, set[str]]) -> str | None:
    """Return the shortest way from an object back to itself, if there is one."""
    came_from: dict[str, str] = {}
    pending = [start]
    for current in pending:  # it grows during the loop
        for target in sorted(edges.get(current, ())):
            if target == start:
                return " -> ".join([*_way(start, current, came_from), start])
            if target not in came_from:
                came_from[target] = current
                pending.append(target)
    return None


def _way(start: str, end: str, came_from: Mapping[str, str]) -> list[str]:
    way = [end]
    while way[-1] != start:
        way.append(came_from[way[-1]])
    return way[::-1]
