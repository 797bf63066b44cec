"""The periods of schedules, which have bounds."""

from __future__ import annotations

from typing import Final

from aiodp._core.period import parse_period

ON_DEMAND_PERIOD: Final = "ONDEMAND_PERIOD"
"""Stands for the period in the Schedule of an on-demand pipeline (dp-object-schedule)."""
_SHORTEST: Final = parse_period("15 minutes")
_LONGEST: Final = parse_period("1096 days")  # three years, of which one may be a leap year


def parse_schedule_period(text: str) -> float:
    """Return the seconds of a Schedule's Period, which is 15 minutes at least, 3 years at most.

    Raises `ValueError` if it is none (the Developer Guide, dp-object-schedule).
    """
    seconds = parse_period(text)
    if not _SHORTEST <= seconds <= _LONGEST:
        raise ValueError(f"{text!r} is not between 15 minutes and 3 years")
    return seconds
