"""A token bucket that follows the service's own: it slows down when throttled and recovers slowly.

Quotas are per account (Developer Guide, "AWS Data Pipeline Limits"), so several processes share one
without talking to each other: each lowers its rate multiplicatively when it is throttled and raises
it additively while it is not. No clock: `now` is an argument.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from aiodp._types import Quota

_BURST_SHARE: Final = 0.9  # the rest absorbs that calls do not arrive as evenly as they were sent
_DECREASE: Final = 0.7
RECOVERY: Final = 0.001
"""Of the full rate, per success. If it were faster, those who share the quota would oscillate."""
_SLOWEST: Final = 0.05  # of the full rate
_ROUNDING: Final = 1e-9


class TokenBucket:
    """Says when the next call may be made. Without a quota, always."""

    def __init__(self, quota: Quota | None, now: float) -> None:
        self._full_rate = quota.rate if quota else math.inf
        self._burst = max(1.0, quota.burst * _BURST_SHARE) if quota else math.inf
        self.rate = self._full_rate
        self._tokens = self._burst
        self._filled_at = now
        self._slowed_at = -math.inf

    @property
    def limited(self) -> bool:
        """Whether there is a quota."""
        return math.isfinite(self._full_rate)

    def available(self, now: float) -> bool:
        """Return whether a call may be made now."""
        self._fill(now)
        return self._tokens + _ROUNDING >= 1

    def spend(self, now: float) -> None:
        """Spend a token, even one that is not there yet: see `ready_at`."""
        self._fill(now)
        self._tokens -= 1

    def refund(self) -> None:
        """Put back a token that was spent for a call that is not made."""
        self._tokens += 1

    def ready_at(self, now: float, tokens: float = 1) -> float:
        """Return when as many tokens will be there; `tokens=0` after a `spend` in advance."""
        if not self.limited:
            return now
        self._fill(now)
        return now + max(0.0, (tokens - self._tokens) / self.rate)

    def throttled(self, sent_at: float, now: float, *, needed: float = 0.0) -> None:
        """Learn that a call sent at `sent_at` was throttled: the service's bucket is empty.

        The rate never falls below `needed` calls/s, what it takes to lose nothing: as long as the
        needs of all processes fit into the quota, every one of them gets its own.
        """
        if not self.limited:
            return
        self._fill(now)
        self._tokens = min(self._tokens, 0.0)
        if sent_at < self._slowed_at:  # one decrease for all that were on the way together
            return
        floor = min(self._full_rate, max(needed, _SLOWEST * self._full_rate))
        self.rate = max(floor, self.rate * _DECREASE)
        self._slowed_at = now

    def raise_to(self, needed: float, now: float) -> None:
        """Let the rate be as high as is needed now: throttling was bounded by what was then."""
        if self.limited:
            self._fill(now)
            self.rate = max(self.rate, min(self._full_rate, needed))

    def succeeded(self) -> None:
        """Learn that a call was let through."""
        if self.limited:
            self.rate = min(self._full_rate, self.rate + RECOVERY * self._full_rate)

    def _fill(self, now: float) -> None:
        if self.limited:
            elapsed = max(0.0, now - self._filled_at)
            self._tokens = min(self._burst, self._tokens + elapsed * self.rate)
        self._filled_at = now
