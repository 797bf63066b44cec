"""The keyword arguments of the reporter and of `track`, for those who hand them on."""

from __future__ import annotations

from datetime import timedelta  # noqa: TC003 - evaluated at run time, like the names below
from typing import TYPE_CHECKING, TypedDict

from aiodp._types import Quota

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.config import Config

    from aiodp._core.fields import FieldValue


class TrackOptions(TypedDict, total=False):
    """The keyword arguments of `ProgressReporter.track` that `run` takes as well."""

    fields: Mapping[str, FieldValue] | None
    assigned_at: float | None
    interval: float | timedelta | None
    ack_timeout: float | timedelta | None
    lease_timeout: float | timedelta | None


class ReporterOptions(TypedDict, total=False):
    """The keyword arguments of `ProgressReporter`."""

    region_name: str | None
    endpoint_url: str | None
    config: Config | None
    interval: float | timedelta
    ack_timeout: float | timedelta
    lease_timeout: float | timedelta
    safety_margin: float | timedelta
    attempt_timeout: float | timedelta
    max_lease: float | timedelta | None
    quota: Quota | None
    own_thread: bool


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
