"""The reporter's timings for a service that runs faster than real time."""

from __future__ import annotations

from typing import TypedDict

from aiodp._types import Quota


class ScaledOptions(TypedDict):
    """Keyword arguments of `aiodp.ProgressReporter`, in real seconds."""

    interval: float
    ack_timeout: float
    lease_timeout: float
    safety_margin: float
    attempt_timeout: float
    quota: Quota


def scaled(time_scale: float) -> ScaledOptions:
    """Return the reporter's options for a service on which `time_scale` seconds pass in one.

    The service's timings shrink; the machine's do not. So an attempt may take half a minute of the
    service, and a task is given up as much before its deadline.

    Raises `ValueError` for a scale that is not positive.
    """
    if time_scale <= 0:
        raise ValueError(f"time_scale must be positive, not {time_scale!r}")
    return ScaledOptions(
        interval=60 / time_scale,
        ack_timeout=120 / time_scale,
        lease_timeout=300 / time_scale,
        safety_margin=30 / time_scale,
        attempt_timeout=30 / time_scale,
        quota=Quota(rate=10 * time_scale, burst=100),
    )
