"""The service's clock: monotonic seconds, run faster or slower than real ones."""

from __future__ import annotations

import math
import time


class ServiceClock:
    """Seconds of the service since the clock was made.

    ``scale`` is how many of them pass in a real second: at 60 a minute of the service lasts a
    second. Raises ``ValueError`` unless it is a positive, finite number.
    """

    def __init__(self, scale: float = 1.0) -> None:
        if not (scale > 0 and math.isfinite(scale)):
            raise ValueError(f"the time scale must be a number above 0, not {scale!r}")
        self.scale = scale
        self._start = time.monotonic()

    def __call__(self) -> float:
        """Return the service's time."""
        return (time.monotonic() - self._start) * self.scale

    def real(self, seconds: float) -> float:
        """Return how many real seconds that many seconds of the service last."""
        return seconds / self.scale
