"""Checks of the values of fields against their slot types."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from aiodp._core.period import parse_period
from aiodp.emulator._calendar import parse_date
from aiodp.emulator._definition.expressions.errors import shortened
from aiodp.emulator._definition.slot_types import CHOICES, MULTIPLE, SlotType, slot_type
from aiodp.emulator._definition.slots import (
    ON_DEMAND_PERIOD,
    parse_lifetime,
    parse_schedule_period,
)
from aiodp.emulator._definition.validation.parts import Finding, Severity, is_open, wrong_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aiodp.emulator._definition.fields import Field
    from aiodp.emulator._definition.validation.parts import Draft, Subject

_INTEGER: Final = re.compile(r"\d{1,9}", re.ASCII)
_DECIMAL: Final = re.compile(r"\d{1,9}(\.\d{1,9})?|\.\d{1,9}", re.ASCII)
_MINIMA: Final = {"maxActiveInstances": 1, "occurrences": 1}
_MAX_PRICE: Final = 20.0  # US dollars an hour (dp-object-emrcluster)
_MIN_THROUGHPUT: Final = 0.1  # of what the table has (dp-object-dynamodbdatanode)


def value_findings(subject: Subject) -> Iterator[Finding]:
    """Check the values which an object itself has, parameters filled in."""
    for key in subject.own:
        slot = slot_type(subject.component.type, key)
        if slot is None:
            continue
        fields = list(subject.written(key))
        if len(fields) > 1 and key.removeprefix("*") not in MULTIPLE:
            values = [field.value for field in fields]
            found = "" if _is_secret(subject, key) else f", not {_quoted(*values)}"
            yield subject.error(f"INVALID_FIELD_VALUE: '{key}' takes one value{found}.", key)
        if slot is not SlotType.REFERENCE:
            faults = (_fault(subject, field, slot) for field in fields)
            yield from (subject.error(fault, key) for fault in faults if fault)


def both_findings(draft: Draft) -> Iterator[Finding]:
    """Check that no field has a string and a reference at once."""
    for item in draft.definition.objects:
        for field in item.get("fields", []):
            if field.get("stringValue") is not None and field.get("refValue") is not None:
                text = f"INVALID_FIELD_VALUE: '{field['key']}' has both stringValue and refValue."
                yield Finding(id=item["id"], text=text, severity=Severity.ERROR, key=field["key"])


def _fault(subject: Subject, field: Field, slot: SlotType) -> str | None:
    if field.is_ref:  # one that leads nowhere is an error already
        known = field.value in subject.draft.own
        return wrong_type(field.key, slot, subject.type_of(field.value)) if known else None
    if is_open(field.value):
        return None
    key = field.key.removeprefix("*")
    if key == "terminateAfter":
        wanted = _no_lifetime(subject.component.type, field.value)
    else:
        wanted = _CHECKS[slot](key, field.value)
    if wanted and _is_secret(subject, field.key):
        wanted = f"of type '{slot}'"
    return wanted and f"INVALID_FIELD_VALUE: '{field.key}' value must be {wanted}."


def _is_secret(subject: Subject, key: str) -> bool:
    """Return whether a value is encrypted: no message may show it."""
    return key.startswith("*") or any("#{*" in field.value for field in subject.own[key])


def _quoted(*values: str) -> str:
    return ", ".join(f"'{shortened(value)}'" for value in values)


# What is wrong with a value: what it must be instead, or None


def _no_boolean(_key: str, value: str) -> str | None:
    return None if value.lower() in ("true", "false") else f"true or false, not {_quoted(value)}"


def _no_integer(key: str, value: str) -> str | None:
    least = _MINIMA.get(key, 0)
    if _INTEGER.fullmatch(value) and int(value) >= least:
        return None
    return f"an integer from {least}, not {_quoted(value)}"


def _no_throughput(_key: str, value: str) -> str | None:
    if _DECIMAL.fullmatch(value) and _MIN_THROUGHPUT <= float(value) <= 1.0:
        return None
    return f"a number from {_MIN_THROUGHPUT} to 1.0, not {_quoted(value)}"


def _no_period(key: str, value: str) -> str | None:
    parse = parse_schedule_period if key == "period" else parse_period
    try:
        if key != "period" or value != ON_DEMAND_PERIOD:
            parse(value)
    except ValueError as error:
        return f"a period: {error}"
    return None


def _no_lifetime(type_name: str, value: str) -> str | None:
    try:
        parse_lifetime(type_name, value)
    except ValueError as error:
        return f"a period: {error}"
    return None


def _no_date(_key: str, value: str) -> str | None:
    try:
        parse_date(value)
    except ValueError:
        return "a literal datetime value"  # the service's own words
    return None


def _no_choice(key: str, value: str) -> str | None:
    choices = CHOICES[key]
    if {value.lower(), value.lower().replace("_", "-")} & choices:
        return None
    return f"one of {', '.join(sorted(choices))}, not {_quoted(value)}"


def _no_price(key: str, value: str) -> str | None:
    """Check a text which is a price on four fields; they are Strings, for it may be a word."""
    if not key.endswith("BidPrice") or value.lower() == "ondemandprice":
        return None
    if _DECIMAL.fullmatch(value) and 0.0 < float(value) < _MAX_PRICE:
        return None
    return f"a price above 0 and below {_MAX_PRICE:g}, or OnDemandPrice, not {_quoted(value)}"


_CHECKS: Final[dict[SlotType, Callable[[str, str], str | None]]] = {
    SlotType.BOOLEAN: _no_boolean,
    SlotType.DATE_TIME: _no_date,
    SlotType.DOUBLE: _no_throughput,
    SlotType.ENUMERATION: _no_choice,
    SlotType.INTEGER: _no_integer,
    SlotType.PERIOD: _no_period,
    SlotType.STRING: _no_price,
}
