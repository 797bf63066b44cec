"""What the tests of the reporter's parts share."""

from __future__ import annotations

from aiodp._core.timing import Timing

TIMING = Timing.checked(
    interval=60, ack_timeout=120, lease_timeout=300, safety_margin=10, attempt_timeout=10
)
