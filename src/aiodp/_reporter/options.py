"""The keyword arguments of the reporter and of `track`, for those who hand them on."""

from __future__ import annotations

from datetime import timedelta  # noqa: TC003 - evaluated at run time, like the names below
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.config import Config

    from aiodp._core.fields import FieldValue
    from aiodp._types import Quota


class TrackOptions(TypedDict, total=False):
    """The keyword arguments of `ProgressReporter.track`."""

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
    quota: Quota | None
