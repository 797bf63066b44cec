"""The account's call quotas: one token bucket for each action."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiodp.emulator._errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(slots=True, kw_only=True)
class _Bucket:
    rate: float
    burst: float
    tokens: float
    filled_at: float

    def spend(self, now: float) -> bool:
        self.tokens = min(self.burst, self.tokens + (now - self.filled_at) * self.rate)
        self.filled_at = now
        if self.tokens < 1.0:
            return False
        self.tokens -= 1.0
        return True


class Quotas:
    """Token buckets, full at first; all users of an account share them (dp-limits)."""

    def __init__(self, quotas: Mapping[str, tuple[float, int]] | None, now: float) -> None:
        self._buckets = {
            action: _Bucket(rate=rate, burst=burst, tokens=burst, filled_at=now)
            for action, (rate, burst) in (quotas or {}).items()
        }

    def spend(self, action: str, now: float) -> None:
        """Take one call's token; raise ThrottlingException, which costs none, if there is none."""
        bucket = self._buckets.get(action)
        if bucket is not None and not bucket.spend(now):
            raise ServiceError("ThrottlingException", f"Rate exceeded for {action}")
