"""What all leases together ask of the quota, and what of that the service grants."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from aiodp._core.bucket import RECOVERY

if TYPE_CHECKING:
    from aiodp._core.timing import Timing
    from aiodp._types import Quota

USABLE_SHARE: Final = 0.98
"""Of the quota that leases may need. The rest absorbs new arrivals and retries."""
_HEADROOM: Final = 1.03  # above what is needed, so that it suffices
_MODEST_SHARE: Final = 0.1
"""Of the quota: leases that want no more keep their intervals when calls are throttled."""
_SHORTAGE: Final = 0.97  # of what is needed: to be granted less means that some leases will be lost
_MIN_SAMPLE: Final = 50  # calls that were granted or throttled, to learn from
_MAX_SAMPLE: Final = 400
_ROUNDING: Final = 1e-9


def capacity(quota: Quota | None, timing: Timing) -> int | None:
    """Return how many leases a quota can keep alive; None if there is no quota."""
    if quota is None:
        return None
    return int(USABLE_SHARE * quota.rate * timing.usable_lease * (1 + _ROUNDING))


class Demand:
    """Rates, in calls per second, and a sample of what became of the last calls."""

    def __init__(self, quota: Quota | None) -> None:
        self._full_rate = quota.rate if quota else math.inf
        self._allowed = self._most_allowed = USABLE_SHARE * self._full_rate * (1 + _ROUNDING)
        self.needed = 0.0  # without it some lease is lost
        self._wanted = 0.0  # what the intervals ask for
        self._leases = 0
        self._granted = 0
        self._denied = 0

    def add(self, timing: Timing) -> None:
        """Count a lease."""
        self._leases += 1
        self.needed += 1 / timing.usable_lease
        self._wanted += 1 / timing.interval

    def drop(self, timing: Timing) -> None:
        """Count a lease no more."""
        self._leases -= 1
        self.needed = max(0.0, self.needed - 1 / timing.usable_lease)
        self._wanted = max(0.0, self._wanted - 1 / timing.interval)

    @property
    def excessive(self) -> bool:
        """Whether more is needed than the quota can give."""
        return self.needed > self._limit(self._leases)

    def has_room(self, count: int, timing: Timing) -> bool:
        """Return whether so many more leases would not be too much."""
        needed = self.needed + count / timing.usable_lease
        return needed <= self._limit(self._leases + count)

    def _limit(self, leases: int) -> float:
        """Return what so many leases may need.

        What was learned from throttling is not applied to a single lease: only its own reports can
        show that the service grants more again.
        """
        return self._allowed if leases > 1 else self._most_allowed

    @property
    def least_rate(self) -> float:
        """The rate that throttling may not push below: what leases need, small demands in full."""
        return max(self.needed * _HEADROOM, min(self._wanted, _MODEST_SHARE * self._full_rate))

    def granted(self) -> None:
        """Learn that a call was let through."""
        self._allowed = min(self._most_allowed, self._allowed + RECOVERY * self._full_rate)
        self._granted += 1
        self._forget()

    def denied(self) -> None:
        """Learn that a call was throttled."""
        self._denied += 1
        self._forget()

    def shortage(self, rate: float) -> float | None:
        """Return what the service grants of `rate`, if that is too little to keep all leases.

        That is known after a number of calls, and if some were granted: while none is, nothing is
        gained by giving leases up.
        """
        sample = self._granted + self._denied
        if sample < _MIN_SAMPLE or not self._denied or not self._granted:
            return None
        supply = rate * self._granted / sample
        return supply if supply <= self.needed * _SHORTAGE else None

    def cap_at(self, supply: float) -> None:
        """Allow no more than this for a while: more would have to be given up again."""
        self._allowed = supply
        self._granted = self._denied = 0

    def _forget(self) -> None:
        if self._granted + self._denied > _MAX_SAMPLE:
            self._granted //= 2
            self._denied //= 2
