"""The values of expressions, and what the operators make of them.

The service runs on Java, so numbers behave and are written as Java's: integers of 64 bits whose
division truncates, doubles, and powers which are always doubles (Developer Guide,
dp-pipeline-reference-functions-math). A quoted string is never a number; the text of a field is
one if it reads as one, because fields have no types on the wire.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final, TypeAlias

from aiodp.emulator._definition.expressions.errors import ReasonError, shortened
from aiodp.emulator._definition.expressions.nodes import Operator

if TYPE_CHECKING:
    from collections.abc import Callable

_LONG_BOUND: Final = 2**63
# What is longer is taken for an identifier, and certainly fits no integer of 64 bits.
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]{1,18}|[0-9]{0,18}\.[0-9]{1,18})")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}[Zz]?")
_PLAIN_DOUBLES: Final = (1e-3, 1e7)


class FieldText(str):
    """The text of a field, which is a number where a number is wanted and it reads as one."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A field which refers to another object."""

    object_id: str


Number: TypeAlias = int | float
Value: TypeAlias = Number | str | datetime | Reference


def text_of(value: Value) -> str:
    """Return the value as it is written into a field: dates as YYYY-MM-DDTHH:MM:SS."""
    match value:
        case datetime():
            return value.replace(tzinfo=None).isoformat(timespec="seconds")
        case Reference():
            return value.object_id
        case float():
            return _double(value)
        case _:
            return str(value)


def apply(operator: Operator, left: Value, right: Value) -> Value:
    """Return what the operator makes of both; raise `ReasonError` if they do not suit it."""
    first, second = _number(left), _number(right)
    if first is not None and second is not None:
        return _bounded(_ARITHMETIC[operator](first, second))
    if operator is not Operator.ADD:
        raise ReasonError(f'"{operator.value}" needs two numbers, not {_kinds(left, right)}')
    if not isinstance(left, str) and not isinstance(right, str):
        raise ReasonError(f'"+" needs two numbers or a string, not {_kinds(left, right)}')
    return text_of(left) + text_of(right)


def parse_number(text: str) -> Number:
    """Return the number which the text writes; raise `ReasonError` if it is too large."""
    if "." in text:
        return _bounded(float(text))
    if len(text.lstrip("+-0")) > len(str(_LONG_BOUND)):  # int() refuses thousands of digits
        raise ReasonError(f"{shortened(text)} is too large a number")
    return _bounded(int(text))


def parse_date(text: str) -> datetime:
    """Return the date of a text YYYY-MM-DDTHH:MM:SS, always UTC; raise `ReasonError` if none."""
    if not _DATE.fullmatch(text):
        raise ReasonError(f'"{shortened(text)}" is no DateTime (YYYY-MM-DDTHH:MM:SS, UTC)')
    try:
        return datetime.fromisoformat(text[:19]).replace(tzinfo=UTC)
    except ValueError:
        raise ReasonError(f'"{text}" is no date of the calendar') from None


def is_number(text: str) -> bool:
    """Return whether the text reads as an integer or a decimal."""
    return _NUMBER.fullmatch(text) is not None


def _number(value: Value) -> Number | None:
    if isinstance(value, int | float):
        return value
    if isinstance(value, FieldText) and is_number(value):
        return parse_number(value)
    return None


def _kinds(left: Value, right: Value) -> str:
    # Not the values: an encrypted parameter may be one of them.
    return f"{_kind(left)} and {_kind(right)}"


def _kind(value: Value) -> str:
    kinds = {int: "int", float: "double", datetime: "DateTime", Reference: "reference"}
    return kinds.get(type(value), "String")


def _bounded(number: Number) -> Number:
    if isinstance(number, float):
        if not math.isfinite(number):
            raise ReasonError("the number becomes too large")
    elif not -_LONG_BOUND <= number < _LONG_BOUND:
        raise ReasonError("the integer becomes too large")
    return number


def _divide(left: Number, right: Number) -> Number:
    if right == 0:
        raise ReasonError("division by zero")
    if isinstance(left, float) or isinstance(right, float):
        return left / right
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _power(left: Number, right: Number) -> Number:
    try:
        return math.pow(left, right)
    except (OverflowError, ValueError):
        raise ReasonError(f"{text_of(left)} ^ {text_of(right)} is no finite number") from None


_ARITHMETIC: Final[dict[Operator, Callable[[Number, Number], Number]]] = {
    Operator.ADD: lambda left, right: left + right,
    Operator.SUBTRACT: lambda left, right: left - right,
    Operator.MULTIPLY: lambda left, right: left * right,
    Operator.DIVIDE: _divide,
    Operator.POWER: _power,
}


def _double(value: float) -> str:
    """Write a double as Java does: plain from a thousandth to ten million, else with an `E`."""
    low, high = _PLAIN_DOUBLES
    if value == 0 or low <= abs(value) < high:
        plain = f"{Decimal(repr(value)):f}"
        return plain if "." in plain else f"{plain}.0"
    mantissa, exponent = f"{Decimal(repr(value)).normalize():e}".split("e")
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}E{int(exponent)}"
