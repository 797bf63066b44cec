"""Runs AWS Data Pipeline tasks and keeps them alive: heartbeats, leases, cancellation."""

from aiodp._aws.queries import Selector
from aiodp._core.fields import FieldValue, Ref
from aiodp._core.objects import ObjectField, PipelineObject, TaskObject
from aiodp._errors import (
    AiodpError,
    CallFailed,
    LeaseLost,
    ReporterClosed,
    ReportRejected,
    RunnerStopped,
    StatusInDoubt,
    StatusNotSet,
    TaskCanceled,
    TaskFailed,
)
from aiodp._reporter.options import ReporterOptions, TrackOptions
from aiodp._reporter.reporter import ProgressReporter
from aiodp._reporter.task import TaskEvent, TrackedTask, current_task
from aiodp._runner.polling import poll
from aiodp._runner.runner import TaskRunner
from aiodp._runner.task import Task
from aiodp._types import (
    LeaseState,
    LostReason,
    Quota,
    ReportKind,
    RunEnd,
    RunnerStatistics,
    Statistics,
    TaskStatus,
)

__all__ = [
    "AiodpError",
    "CallFailed",
    "FieldValue",
    "LeaseLost",
    "LeaseState",
    "LostReason",
    "ObjectField",
    "PipelineObject",
    "ProgressReporter",
    "Quota",
    "Ref",
    "ReportKind",
    "ReportRejected",
    "ReporterClosed",
    "ReporterOptions",
    "RunEnd",
    "RunnerStatistics",
    "RunnerStopped",
    "Selector",
    "Statistics",
    "StatusInDoubt",
    "StatusNotSet",
    "Task",
    "TaskCanceled",
    "TaskEvent",
    "TaskFailed",
    "TaskObject",
    "TaskRunner",
    "TaskStatus",
    "TrackOptions",
    "TrackedTask",
    "current_task",
    "poll",
]

__version__ = "0.1.0"
