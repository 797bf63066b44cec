"""Checks how far this machine's clock is from the service's."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from aiodp.cli._doctor.findings import Finding

if TYPE_CHECKING:
    from aiodp.cli._doctor.endpoint import Answer

_MAX_SKEW: Final = 300.0
"""Seconds of skew from which signatures are refused (AWS General Reference, "Signing")."""
_WARNING_SKEW: Final = 30.0
_DATE_RESOLUTION: Final = 1.0  # a Date header has whole seconds
MEND: Final = "Let this machine's clock be set, by NTP or chrony."


def check_clock(answer: Answer) -> Finding:
    """Compare the Date header of an answer of the service with the local clock."""
    try:
        date = parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
    except ValueError:
        return Finding.warning(
            "clock",
            "the service's answer has no date to compare with",
            "Compare the clock with another one: signatures allow 5 minutes.",
        )
    return skew_finding(skew(date, sent_at=answer.sent_at, received_at=answer.received_at))


def skew(date: float, *, sent_at: float, received_at: float) -> float:
    """Return how many seconds the local clock is certainly ahead of a date; all are epoch times.

    Negative if it is behind. The date was taken at some moment between sending and receiving.
    """
    if date > received_at:
        return received_at - date
    return max(0.0, sent_at - (date + _DATE_RESOLUTION))


def skew_finding(seconds: float) -> Finding:
    """Return the finding about a skew."""
    if not seconds:
        return Finding.ok("clock", "agrees with the service's")
    side = "ahead of" if seconds > 0 else "behind"
    found = f"{abs(seconds):,.0f} s {side} the service's"
    if abs(seconds) <= _WARNING_SKEW:
        return Finding.ok("clock", found)
    if abs(seconds) < _MAX_SKEW:
        return Finding.warning("clock", f"{found}; from 5 minutes on, signatures are refused", MEND)
    return Finding.failed("clock", f"{found}; signatures are refused", MEND)
