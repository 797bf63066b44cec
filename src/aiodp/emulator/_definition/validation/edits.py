"""What may not be changed in the definition of a pipeline that was activated.

Source: the Developer Guide, dp-manage-pipeline-modify-console.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from aiodp._core.period import parse_period, split_period
from aiodp.emulator._definition.validation.parts import Draft, Finding, Severity, is_open

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiodp.emulator._definition.components import Definition
    from aiodp.emulator._definition.fields import Fields
    from aiodp.emulator._definition.validation.parts import Subject

_START: Final = ("startAt", "startDateTime")
_MONTHS: Final = {"month": 1, "year": 12}  # whose length in seconds differs
_END: Final = ("endDateTime", "occurrences")


def edit_findings(active: Definition, latest: Definition) -> list[Finding]:
    """Return the errors of changes that an activated pipeline does not allow."""
    before, after = Draft(active), Draft(latest)
    removed = [
        Finding(
            id=object_id, text="INVALID_EDIT: an object cannot be removed.", severity=Severity.ERROR
        )
        for object_id in before.own
        if object_id not in after.own
    ]
    return removed + [finding for subject in after.subjects for finding in _edits(subject, before)]


def only_moves_end(active: Definition, latest: Definition) -> bool:
    """Return whether nothing differs but how Schedules end: what a FINISHED pipeline takes.

    Source: the API reference of ActivatePipeline.
    """
    return _without_ends(active) == _without_ends(latest)


def _edits(subject: Subject, before: Draft) -> Iterator[Finding]:
    if subject.id not in before.own:
        for field in subject.own.get("output", ()):
            if field.value in before.own:
                yield subject.error(
                    f"INVALID_EDIT: 'output' of a new object refers to '{field.value}', "
                    "which was there before."
                )
        return
    earlier = before.components[subject.id].fields
    later = subject.component.fields
    if _differs("period", earlier, later):
        yield subject.error("INVALID_EDIT: 'period' cannot be changed.")
    if any(_differs(key, earlier, later) for key in _START):
        yield subject.error(
            "INVALID_EDIT: the start cannot be changed: give startTimestamp at the activation."
        )
    changed = _references(before.own[subject.id]) ^ _references(subject.own)
    for key in sorted({key for key, _ in changed}):
        yield subject.error(f"INVALID_EDIT: the reference '{key}' cannot be changed.")


def _differs(key: str, earlier: Fields, later: Fields) -> bool:
    """Return whether a value is another one, as far as is known before the activation.

    Until then a parameter may get the same value again, or another one.
    """
    before, after = (
        [_canonical(key, field.value) for field in fields.get(key, ())]
        for fields in (earlier, later)
    )
    comparable = any(map(is_open, before)) == any(map(is_open, after))
    return comparable and before != after


def _canonical(key: str, text: str) -> str:
    """Return the same text for all that mean the same."""
    if key != "period":
        return text.upper()
    with suppress(ValueError):
        number, unit = split_period(text)
        months = _MONTHS.get(unit)
        return f"{parse_period(text)} s" if months is None else f"{number * months} months"
    return text


def _references(own: Fields) -> set[tuple[str, str]]:
    return {(key, field.value) for key, values in own.items() for field in values if field.is_ref}


def _without_ends(definition: Definition) -> tuple[object, ...]:
    draft = Draft(definition)
    objects = {subject.id: (subject.component.name, _kept(subject)) for subject in draft.subjects}
    return objects, definition.parameter_objects, definition.parameter_values


def _kept(subject: Subject) -> Fields:
    ends = _END if subject.component.type == "Schedule" else ()
    return {key: values for key, values in subject.own.items() if key not in ends}
