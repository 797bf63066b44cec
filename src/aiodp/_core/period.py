"""Periods, such as `10 minutes`: how the service's objects write durations."""

from __future__ import annotations

import re
from typing import Final

_PERIOD: Final = re.compile(
    r"\s*([1-9]\d{0,8})\s+(minute|hour|day|week|month|year)s?\s*", re.IGNORECASE
)
_SECONDS: Final = {
    "minute": 60.0,
    "hour": 3600.0,
    "day": 86400.0,
    "week": 604800.0,
    "month": 2592000.0,  # 30 days: a timeout has no calendar to follow
    "year": 31536000.0,
}


def split_period(text: str) -> tuple[int, str]:
    """Return the number and the unit, such as `minute`, of a Period.

    Raises `ValueError` if it is none (the Developer Guide, dp-expressions-functions).
    """
    match = _PERIOD.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no period such as '10 minutes'")
    return int(match[1]), match[2].lower()


def parse_period(text: str) -> float:
    """Return the seconds of a Period, which is written in any case, singular or plural.

    Raises `ValueError` if it is none (the Developer Guide, dp-expressions-functions).
    """
    number, unit = split_period(text)
    return number * _SECONDS[unit]
