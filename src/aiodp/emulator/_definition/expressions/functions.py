"""The functions of expressions (Developer Guide, dp-pipeline-reference-functions-datetime)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from dateutil.relativedelta import relativedelta

from aiodp.emulator._definition.expressions.errors import ReasonError, shortened
from aiodp.emulator._definition.expressions.joda import format_joda
from aiodp.emulator._definition.expressions.values import (
    is_number,
    parse_date,
    parse_number,
    text_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aiodp.emulator._definition.expressions.values import Value

_INT_BOUND: Final = 2**31


class Kind(Enum):
    """The type of a parameter, by its name in the Developer Guide."""

    DATE = "DateTime"
    INT = "int"
    STRING = "String"


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """The types which a function takes, and what it does."""

    takes: tuple[Kind, ...]
    body: Callable[..., Value]


def call(name: str, arguments: Sequence[Value]) -> Value:
    """Return the function's value; raise `ReasonError` if there is none."""
    check_call(name, len(arguments))
    function = FUNCTIONS[name]
    pairs = zip(function.takes, arguments, strict=True)
    converted = [_convert(kind, value, name) for kind, value in pairs]
    try:
        return function.body(*converted)
    except (OverflowError, ValueError):  # datetime's: the years 1 to 9999, the days of a month
        raise ReasonError(f"{name} leads to no date of the calendar") from None


def check_call(name: str, count: int) -> None:
    """Raise `ReasonError` if there is no such function with so many arguments."""
    function = FUNCTIONS.get(name)
    if function is None:
        raise ReasonError(f'there is no function "{shortened(name)}"')
    if count != len(function.takes):
        takes = ", ".join(kind.value for kind in function.takes)
        raise ReasonError(f"{name}({takes}) needs {len(function.takes)} of them, not {count}")


def _convert(kind: Kind, value: Value, name: str) -> Any:
    """Read a text as what the function takes; other values must have the type already."""
    match kind, value:
        case (Kind.DATE, datetime()) | (Kind.STRING, str()):
            return value
        case Kind.DATE, str():
            return parse_date(value)
        case Kind.INT, str() if is_number(value) and "." not in value:
            return _int(int(parse_number(value)))
        case Kind.INT, int():
            return _int(value)
    raise ReasonError(f'{name} needs a value of type {kind.value}, not "{_shown(value)}"')


def _shown(value: Value) -> str:
    return shortened(text_of(value))


def _int(value: int) -> int:
    if not -_INT_BOUND <= value < _INT_BOUND:
        raise ReasonError(f"{value} is too large an int")
    return value


def _moved(unit: str, sign: int) -> Function:
    """Return plus or minus of a unit. Of months and years the day is clamped, as Joda-Time does."""

    def move(date: datetime, count: int) -> datetime:
        return date + relativedelta(**{unit: sign * count})  # type: ignore[arg-type]

    return Function(takes=(Kind.DATE, Kind.INT), body=move)


def _of_date(body: Callable[[datetime], Value]) -> Function:
    return Function(takes=(Kind.DATE,), body=body)


def _make(*numbers: int) -> datetime:
    return datetime(*numbers, tzinfo=UTC)  # type: ignore[arg-type,misc]  # mypy counts none


FUNCTIONS: Final[dict[str, Function]] = {
    "day": _of_date(lambda date: date.day),
    "dayOfYear": _of_date(lambda date: date.timetuple().tm_yday),
    # The guide's example keeps the time of day.
    "firstOfMonth": _of_date(lambda date: date.replace(day=1)),
    "format": Function(takes=(Kind.DATE, Kind.STRING), body=format_joda),
    "hour": _of_date(lambda date: date.hour),
    "makeDate": Function(takes=(Kind.INT,) * 3, body=_make),
    "makeDateTime": Function(takes=(Kind.INT,) * 5, body=_make),
    "midnight": _of_date(lambda date: date.replace(hour=0, minute=0, second=0)),
    "minute": _of_date(lambda date: date.minute),
    "month": _of_date(lambda date: date.month),
    "sunday": _of_date(lambda date: date - relativedelta(days=date.isoweekday() % 7)),
    "year": _of_date(lambda date: date.year),
    "yesterday": _of_date(lambda date: date - relativedelta(days=1)),
} | {
    f"{verb}{unit.capitalize()}": _moved(unit, sign)
    for verb, sign in (("plus", 1), ("minus", -1))
    for unit in ("years", "months", "weeks", "days", "hours", "minutes")
}
