"""Dates written by Joda-Time's patterns, in UTC and in English.

The Developer Guide points to `DateTimeFormat` of Joda-Time for its format strings. The libraries
at hand know other dialects: in CLDR's, for example, `Y` is the year of the week and `e` counts
from Sunday, so this module has a table of Joda-Time's letters.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from aiodp.emulator._definition.expressions.errors import ReasonError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

_TOKEN: Final = re.compile(r"([A-Za-z])\1*|''|'(?:[^']|'')*'?|[^A-Za-z']+")
_TWO_DIGITS: Final = 2
_FULL_NAME: Final = 4
_SHORT_NAME: Final = 3

_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def format_joda(date: datetime, pattern: str) -> str:
    """Return the date, which is in UTC, as the pattern says.

    Raises `ReasonError` for an empty pattern and for letters which Joda-Time does not know.
    """
    if not pattern:
        raise ReasonError("the format string is empty")
    return "".join(_token(date, match) for match in _TOKEN.finditer(pattern))


def _token(date: datetime, match: re.Match[str]) -> str:
    text, letter = match[0], match[1]
    if letter is None:
        return _literal(text)
    if letter not in _LETTERS:
        raise ReasonError(f'the format string has the unknown letter "{letter}"')
    return _LETTERS[letter](date, len(text))


def _literal(text: str) -> str:
    if not text.startswith("'"):
        return text
    if text == "''":
        return "'"
    # As in Joda-Time, a quote which is never closed holds the rest.
    return text[1:].removesuffix("'").replace("''", "'")


def _number(part: Callable[[datetime], int]) -> Callable[[datetime, int], str]:
    """Write a number with at least as many digits as there are letters."""
    return lambda date, count: str(part(date)).zfill(count)


def _year(part: Callable[[datetime], int]) -> Callable[[datetime, int], str]:
    """Write a year; two letters cut it to its last two digits."""

    def write(date: datetime, count: int) -> str:
        digits = str(part(date)).zfill(count)
        return digits[-_TWO_DIGITS:] if count == _TWO_DIGITS else digits

    return write


def _name(name: str, count: int) -> str:
    return name if count >= _FULL_NAME else name[:_SHORT_NAME]


def _month(date: datetime, count: int) -> str:
    if count < _SHORT_NAME:
        return str(date.month).zfill(count)
    return _name(_MONTHS[date.month - 1], count)


def _fraction(date: datetime, count: int) -> str:
    return f"{date.microsecond // 1000:03}".ljust(count, "0")[:count]


def _zone(_date: datetime, count: int) -> str:
    return "Coordinated Universal Time" if count >= _FULL_NAME else "UTC"


def _offset(_date: datetime, count: int) -> str:
    return {1: "+0000", 2: "+00:00"}.get(count, "UTC")


_LETTERS: Final[dict[str, Callable[[datetime, int], str]]] = {
    "G": lambda _date, _count: "AD",  # datetime knows no year before 1
    "C": _number(lambda date: date.year // 100),
    "Y": _year(lambda date: date.year),
    "y": _year(lambda date: date.year),
    "x": _year(lambda date: date.isocalendar().year),
    "w": _number(lambda date: date.isocalendar().week),
    "e": _number(lambda date: date.isoweekday()),
    "E": lambda date, count: _name(_DAYS[date.weekday()], count),
    "D": _number(lambda date: date.timetuple().tm_yday),
    "M": _month,
    "d": _number(lambda date: date.day),
    "a": lambda date, _count: "AM" if date.hour < 12 else "PM",  # noqa: PLR2004 - noon
    "K": _number(lambda date: date.hour % 12),
    "h": _number(lambda date: date.hour % 12 or 12),
    "H": _number(lambda date: date.hour),
    "k": _number(lambda date: date.hour or 24),
    "m": _number(lambda date: date.minute),
    "s": _number(lambda date: date.second),
    "S": _fraction,
    "z": _zone,
    "Z": _offset,
}
