"""What a Schedule says of its slots (the Developer Guide, dp-object-schedule)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiodp._core.period import split_period
from aiodp.emulator._calendar import parse_date
from aiodp.emulator._definition.expressions import ExpressionError
from aiodp.emulator._definition.slots import Period, Slots, parse_schedule_period
from aiodp.emulator._errors import invalid
from aiodp.emulator._model.scopes import ObjectScope

if TYPE_CHECKING:
    from datetime import datetime

    from aiodp.emulator._calendar import Calendar
    from aiodp.emulator._definition.plan import Plan
    from aiodp.emulator._model.records import Pipeline


def _occurrences(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{text!r} is no number of occurrences")
    return int(text)


def read_slots(
    schedule_id: str, pipeline: Pipeline, plan: Plan, activated: datetime, calendar: Calendar
) -> Slots:
    """Return the slots of a Schedule; raise InvalidRequestException if it cannot be understood."""
    scope = ObjectScope(schedule_id, pipeline, calendar, plan=plan)
    try:
        period = scope.text("period") or ""
        parse_schedule_period(period)
        number, unit = split_period(period)
        start, end = scope.text("startDateTime"), scope.text("endDateTime")
        occurrences = scope.text("occurrences")
        return Slots(
            first=activated if start is None else parse_date(start),
            period=Period(number=number, unit=f"{unit}s"),
            end=None if end is None else parse_date(end),
            occurrences=None if occurrences is None else _occurrences(occurrences),
        )
    except (ValueError, ExpressionError) as error:
        raise invalid(f"The Schedule {schedule_id} cannot be followed: {error}") from error
