"""Checks of single values: periods, numbers, dates, enumerations, expressions, and sizes."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from aiodp._core.period import parse_period
from aiodp.emulator._calendar import parse_date
from aiodp.emulator._definition.expressions import names, syntax_errors
from aiodp.emulator._definition.fields import MAX_KEY_BYTES, beyond_limit, is_user_field
from aiodp.emulator._definition.object_types import BaseType
from aiodp.emulator._definition.slots import ON_DEMAND_PERIOD, parse_schedule_period
from aiodp.emulator._definition.validation.parts import is_open

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from aiodp.emulator._definition.fields import Field
    from aiodp.emulator._definition.validation.parts import Finding, Subject

ON_DEMAND_START: Final = "ONDEMAND_ACTIVATION_TIME"
_WITH_NODE: Final = frozenset({BaseType.ACTION, BaseType.PRECONDITION})
_MIN_RETRY_DELAY: Final = 120.0  # seconds (dp-limits)
_MAX_COUNT: Final = 5  # retries of a task, active instances of an object (dp-limits)
_NUMBER: Final = re.compile(r"\d{1,9}", re.ASCII)
_MINIMA: Final[Mapping[str, int]] = MappingProxyType(
    {"maximumRetries": 0, "maxActiveInstances": 1, "occurrences": 1}
)
_CHOICES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "actionOnResourceFailure": frozenset({"retryall", "retrynone"}),
        "actionOnTaskFailure": frozenset({"continue", "terminate"}),
        "failureAndRerunMode": frozenset({"cascade", "none"}),
        "insertMode": frozenset({"append", "keep_existing", "overwrite_existing", "truncate"}),
        "scheduleType": frozenset({"cron", "ondemand", "timeseries"}),
        "startAt": frozenset({"first_activation_date_time", ON_DEMAND_START.lower()}),
    }
)
"""Values of enumerations, which are compared in any case: the guide's samples write them so."""


def value_findings(subject: Subject) -> Iterator[Finding]:
    """Check the values which an object itself has."""
    for key, (slot, check) in _SLOTS.items():
        for field in subject.written(key):
            if field.is_ref:
                actual = _type_name(subject, field)
                yield subject.error(_wrong_type(key, slot, actual))
            elif not is_open(field.value) and (fault := check(key, field.value)):
                yield subject.error(f"INVALID_FIELD_VALUE: '{key}' value must be {fault}.")


def limit_findings(subject: Subject) -> Iterator[Finding]:
    """Check the sizes of an object (the Developer Guide, dp-limits)."""
    if limit := beyond_limit(subject.own):
        yield subject.error(f"LIMIT_EXCEEDED: {limit}.")
    if len(subject.id.encode()) > MAX_KEY_BYTES:
        yield subject.error(f"LIMIT_EXCEEDED: An id may not exceed {MAX_KEY_BYTES} bytes.")


def cap_findings(subject: Subject) -> Iterator[Finding]:
    """Warn of values which the service brings within its limits (dp-limits)."""
    for field in subject.written("maximumRetries", "maxActiveInstances"):
        if _NUMBER.fullmatch(field.value) and int(field.value) > _MAX_COUNT:
            yield subject.warning(f"'{field.key}' is above {_MAX_COUNT}, the most that is allowed.")
    for field in subject.written("retryDelay"):
        if not field.is_ref and 0.0 < _seconds(field.value) < _MIN_RETRY_DELAY:
            yield subject.warning("'retryDelay' is below 2 minutes, the least delay there is.")


def expression_findings(subject: Subject) -> Iterator[Finding]:
    """Check the syntax of expressions, and warn where they are not evaluated.

    Source: the Developer Guide, dp-pipeline-expressions.
    """
    name = subject.component.name
    for key, value in (("id", subject.id), ("name", name)):
        if is_open(value):
            yield subject.warning(f"'{key}' is used as it is: expressions in it mean nothing.")
    for values in subject.own.values():
        for field in values:
            if not field.is_ref and is_open(field.value):
                for text in syntax_errors(field.value):
                    yield subject.error(f"INVALID_EXPRESSION: '{field.key}': {text}")
                yield from _name_findings(subject, field)


def _name_findings(subject: Subject, field: Field) -> Iterator[Finding]:
    used = names(field.value)
    if "node" in used and subject.base is not None and subject.base not in _WITH_NODE:
        yield subject.warning(f"'{field.key}': 'node' is for preconditions and actions alone.")
    known = subject.draft.parameters | subject.component.fields.keys()
    if subject.base is None:  # others may inherit it, and have these names
        known = known.union(*subject.draft.own.values())
    for name in sorted(used - known):
        if is_user_field(name.removeprefix("*")):
            yield subject.warning(f"'{field.key}': '{name}' is neither a field nor a parameter.")


def _seconds(text: str) -> float:
    try:
        return parse_period(text)
    except ValueError:
        return 0.0


def _type_name(subject: Subject, field: Field) -> str:
    target = subject.draft.components.get(field.value)
    return (target.type if target else "") or "Default"


def _wrong_type(key: str, expected: str, actual: str) -> str:
    return f"'{key}' values must be of type '{expected}'. Found values of type '{actual}'"


# What is wrong with a value: what it must be instead, or None


def _no_period(_key: str, value: str) -> str | None:
    try:
        parse_period(value)
    except ValueError as error:
        return f"a period: {error}"
    return None


def _no_schedule_period(_key: str, value: str) -> str | None:
    try:
        if value != ON_DEMAND_PERIOD:
            parse_schedule_period(value)
    except ValueError as error:
        return f"a period: {error}"
    return None


def _no_integer(key: str, value: str) -> str | None:
    if _NUMBER.fullmatch(value) and int(value) >= _MINIMA[key]:
        return None
    return f"an integer from {_MINIMA[key]}"


def _no_date(_key: str, value: str) -> str | None:
    try:
        parse_date(value)
    except ValueError:
        return "a literal datetime value"  # the service's own words
    return None


def _no_choice(key: str, value: str) -> str | None:
    if value.lower() in _CHOICES[key]:
        return None
    return f"one of {', '.join(sorted(_CHOICES[key]))}"


_PERIODS: Final = (
    "attemptTimeout",
    "initTimeout",
    "lateAfterTimeout",
    "preconditionTimeout",
    "reportProgressTimeout",
    "retryDelay",
    "terminateAfter",
)
_Slot = tuple[str, "Callable[[str, str], str | None]"]
_SLOTS: Final[dict[str, _Slot]] = {
    "period": ("Period", _no_schedule_period),
    **dict.fromkeys(_PERIODS, ("Period", _no_period)),
    **dict.fromkeys(_MINIMA, ("Integer", _no_integer)),
    **dict.fromkeys(("startDateTime", "endDateTime"), ("DateTime", _no_date)),
    **dict.fromkeys(_CHOICES, ("Enumeration", _no_choice)),
}
