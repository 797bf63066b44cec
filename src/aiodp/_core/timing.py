"""Durations and the relations between them, checked before anything is sent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

_TRIES_PER_LEASE: Final = 3


def seconds(name: str, value: float | timedelta) -> float:
    """Return a duration in seconds, or raise `ValueError` if it is no finite number of them."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{name} must be seconds as a finite number or a timedelta, not {value!r}")
    return float(value)


def _positive(name: str, value: float | timedelta) -> float:
    duration = seconds(name, value)
    if duration <= 0:
        raise ValueError(f"{name} must be longer than 0 s, not {duration:g} s")
    return duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How one lease is kept; all in seconds. Make it with `Timing.checked`."""

    interval: float
    ack_timeout: float
    lease_timeout: float
    safety_margin: float
    attempt_timeout: float
    max_lease: float = math.inf

    @classmethod
    def checked(
        cls,
        *,
        interval: float | timedelta,
        ack_timeout: float | timedelta,
        lease_timeout: float | timedelta,
        safety_margin: float | timedelta,
        attempt_timeout: float | timedelta,
        max_lease: float | timedelta | None = None,
    ) -> Timing:
        """Return the timing, or raise `ValueError` which says what does not fit with what.

        An attempt may be longer than a lease allows: each is cut to a third of what is left.
        """
        margin = seconds("safety_margin", safety_margin)
        if margin < 0:
            raise ValueError(f"safety_margin must not be negative, but is {margin:g} s")
        timing = cls(
            interval=_positive("interval", interval),
            ack_timeout=_positive("ack_timeout", ack_timeout),
            lease_timeout=_positive("lease_timeout", lease_timeout),
            safety_margin=margin,
            attempt_timeout=_positive("attempt_timeout", attempt_timeout),
            max_lease=math.inf if max_lease is None else _positive("max_lease", max_lease),
        )
        timing._check_relations()
        return timing

    def _check_relations(self) -> None:
        if self.safety_margin >= self.lease_timeout:
            raise ValueError(
                f"safety_margin ({self.safety_margin:g} s) must be shorter than lease_timeout "
                f"({self.lease_timeout:g} s)"
            )
        if self.interval >= self.usable_lease:
            raise ValueError(
                f"interval ({self.interval:g} s) must be shorter than lease_timeout less "
                f"safety_margin ({self.lease_timeout:g} - {self.safety_margin:g} s): a lease would "
                f"be lost before its first renewal"
            )

    @property
    def usable_lease(self) -> float:
        """Seconds from a report's sending until the lease is given up."""
        return self.lease_timeout - self.safety_margin

    def override(
        self,
        *,
        interval: float | timedelta | None,
        ack_timeout: float | timedelta | None,
        lease_timeout: float | timedelta | None,
    ) -> Timing:
        """Return one task's timing; a short lease shortens an interval that is not given."""
        if interval is None and ack_timeout is None and lease_timeout is None:
            return self
        lease = (
            self.lease_timeout if lease_timeout is None else seconds("lease_timeout", lease_timeout)
        )
        if interval is None:
            fitting = (lease - self.safety_margin) / _TRIES_PER_LEASE
            interval = min(self.interval, fitting) if fitting > 0 else self.interval
        return Timing.checked(
            interval=interval,
            ack_timeout=self.ack_timeout if ack_timeout is None else ack_timeout,
            lease_timeout=lease,
            safety_margin=self.safety_margin,
            attempt_timeout=self.attempt_timeout,
            max_lease=None if math.isinf(self.max_lease) else self.max_lease,
        )
