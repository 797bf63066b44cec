"""Keeps AWS Data Pipeline tasks alive: heartbeats, leases, cancellation, for many at once."""

from aiodp._errors import (
    AiodpError,
    LeaseLost,
    ReporterClosed,
    ReportRejected,
    StatusNotSet,
    TaskCanceled,
)
from aiodp._fields import FieldValue, Ref
from aiodp._reporter import ProgressReporter, TrackOptions
from aiodp._task import TaskEvent, TrackedTask, current_task
from aiodp._types import LeaseState, LostReason, Quota, ReportKind, Statistics, TaskStatus

__all__ = [
    "AiodpError",
    "FieldValue",
    "LeaseLost",
    "LeaseState",
    "LostReason",
    "ProgressReporter",
    "Quota",
    "Ref",
    "ReportKind",
    "ReportRejected",
    "ReporterClosed",
    "Statistics",
    "StatusNotSet",
    "TaskCanceled",
    "TaskEvent",
    "TaskStatus",
    "TrackOptions",
    "TrackedTask",
    "current_task",
]

__version__ = "0.1.0"
