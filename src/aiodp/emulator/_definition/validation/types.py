"""Checks of what an object's type asks for, and of fields that do not go together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiodp.emulator._calendar import parse_date
from aiodp.emulator._definition.components import DEFAULT, parent_of
from aiodp.emulator._definition.fields import is_user_field
from aiodp.emulator._definition.object_types import ROLES, RUNNABLE, TYPES, BaseType
from aiodp.emulator._definition.slots import ON_DEMAND_PERIOD
from aiodp.emulator._definition.validation.parts import is_open, listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiodp.emulator._definition.validation.parts import Finding, Subject

_SCHEDULED: Final = frozenset({BaseType.ACTIVITY, BaseType.DATA_NODE, BaseType.RESOURCE})


def type_findings(subject: Subject) -> Iterator[Finding]:
    """Check that the type, which is not evaluated, is one of the guide's (dp-pipeline-objects)."""
    for field in subject.own.get("type", ()):
        if not field.is_ref and field.value not in TYPES and field.value != DEFAULT:
            hint = subject.draft.hint(field.value, TYPES)
            text = f"INVALID_FIELD_VALUE: there is no 'type' '{field.value}'.{hint}"
            yield subject.error(text, "type")
    if not subject.component.type and not _is_base(subject):
        yield subject.warning("'type' is missing: nothing is made of this object.", "type")


def required_findings(subject: Subject) -> Iterator[Finding]:
    """Check the fields which the page of the object's type calls required."""
    known = subject.type
    if known is None:
        return
    for key in sorted(known.required):
        if not subject.has(key):
            yield subject.error(f"MISSING_FIELD: '{key}' is missing.", key)
    given = [key for key in known.one_of if subject.has(key)]
    if known.one_of and not given:
        yield subject.error(f"MISSING_FIELD: one of {listed(known.one_of)} is needed.")
    if known.exclusive and len(given) > 1:
        yield subject.error(f"INVALID_FIELD_VALUE: {listed(given)} exclude each other.", min(given))
    for key in sorted(ROLES.get(subject.component.type, ())):
        if not subject.has(key):
            yield subject.warning(f"'{key}' is missing, which AWS asks for.", key)


def unknown_findings(subject: Subject) -> Iterator[Finding]:
    """Warn of fields which the object's type has not, or which only the service can set."""
    known = subject.type
    for key in subject.own:
        if key.startswith("@"):
            yield subject.warning(f"'{key}' is a field which only the service sets.", key)
        elif known is not None and not _knows(known.fields, key):
            hint = subject.draft.hint(key.removeprefix("*"), known.fields)
            text = f"'{key}' is not a field of {subject.component.type}.{hint}"
            yield subject.warning(text, key)


def schedule_findings(subject: Subject) -> Iterator[Finding]:
    """Check how a Schedule ends (dp-object-schedule)."""
    if subject.base is not BaseType.SCHEDULE:
        return
    if subject.has("endDateTime") and subject.has("occurrences"):
        text = "INVALID_FIELD_VALUE: 'endDateTime', 'occurrences' exclude each other."
        yield subject.error(text, "endDateTime")
    start, end = (subject.component.text(key) for key in ("startDateTime", "endDateTime"))
    if start and end and _is_not_after(end, start):
        text = "INVALID_FIELD_VALUE: 'endDateTime' must be after 'startDateTime'."
        yield subject.error(text, "endDateTime")


def on_demand_findings(subject: Subject) -> Iterator[Finding]:
    """Check that a pipeline on demand has neither schedules nor other types of them.

    The guide forbids a Schedule (dp-concepts-schedules), save one of `ONDEMAND_PERIOD`
    (dp-object-schedule), and wants `ondemand` to be the only scheduleType.
    """
    for field in subject.written("scheduleType"):
        on_demand = field.value.lower() == "ondemand"
        if subject.draft.on_demand and not on_demand and not is_open(field.value):
            yield subject.error(
                "INVALID_FIELD_VALUE: 'scheduleType' is ondemand for all of a pipeline or none.",
                "scheduleType",
            )
        if on_demand and subject.id != DEFAULT:
            yield subject.warning(
                "'scheduleType' ondemand belongs on the Default object.", "scheduleType"
            )
    if subject.component.on_demand:
        if subject.base in _SCHEDULED and _has_real_schedule(subject):
            text = "INVALID_FIELD_VALUE: 'schedule' is not for what runs on demand."
            yield subject.error(text, "schedule")
        if "lateAfterTimeout" in subject.own:
            text = "'lateAfterTimeout' means nothing to what runs on demand."
            yield subject.warning(text, "lateAfterTimeout")


def runnable_findings(subject: Subject) -> Iterator[Finding]:
    """Check what goes together in an object that has instances."""
    if subject.base not in RUNNABLE:
        return
    if subject.has("onLateAction") and not subject.has("lateAfterTimeout"):
        yield subject.error(
            "MISSING_FIELD: 'onLateAction' needs 'lateAfterTimeout'.", "onLateAction"
        )
    if subject.base is BaseType.ACTIVITY:
        yield from _activity_findings(subject)
    if subject.base is BaseType.RESOURCE:
        yield from _resource_findings(subject)


def default_findings(subject: Subject) -> Iterator[Finding]:
    """Warn as the service does of a Default object without a place for logs."""
    if subject.id == DEFAULT and not subject.has("pipelineLogUri"):
        yield subject.warning(  # the service's own words, without a blank after the name
            "'pipelineLogUri'is missing. It is recommended to set this value on Default object "
            "for better troubleshooting.",
            "pipelineLogUri",
        )


def _activity_findings(subject: Subject) -> Iterator[Finding]:
    if not subject.has("runsOn") and not subject.has("workerGroup"):
        yield subject.warning(
            "'runsOn' and 'workerGroup' are missing: its tasks stay in WAITING_FOR_RUNNER."
        )
    if {"runsOn", "workerGroup"} <= set(subject.own):
        yield subject.warning("'workerGroup' is ignored, since there is 'runsOn'.", "workerGroup")
    if not subject.has("schedule") and not subject.component.on_demand:
        text = "'schedule' is missing: it runs once, at the first activation."
        yield subject.warning(text, "schedule")


def _resource_findings(subject: Subject) -> Iterator[Finding]:
    for key in ("runsOn", "workerGroup"):
        if key in subject.own:
            text = f"INVALID_FIELD_VALUE: '{key}' is not allowed on this object."
            yield subject.error(text, key)
    if not subject.has("terminateAfter"):
        yield subject.warning(  # the service's own words
            "'terminateAfter' is missing. It is recommended to set this to avoid leaving "
            "resource running for long duration.",
            "terminateAfter",
        )


def _is_base(subject: Subject) -> bool:
    """Return whether the object is there for others to inherit from."""
    others = subject.draft.own.items()
    return subject.id == DEFAULT or any(
        parent_of(other_id, own) == subject.id for other_id, own in others
    )


def _knows(fields: frozenset[str], key: str) -> bool:
    plain = key.removeprefix("*")  # which marks a field as encrypted
    return is_user_field(plain) or bool({plain, f"*{plain}"} & fields)


def _is_not_after(end: str, start: str) -> bool:
    try:
        return parse_date(end) <= parse_date(start)
    except ValueError:
        return False  # an expression, or wrong in itself


def _has_real_schedule(subject: Subject) -> bool:
    schedule = subject.draft.components.get(subject.component.ref("schedule") or "")
    return schedule is not None and schedule.text("period") != ON_DEMAND_PERIOD
