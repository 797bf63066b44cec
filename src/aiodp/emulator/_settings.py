"""What can be set about the local service: its timings, quotas and limits, in service seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

BURST: Final = 100
_RATES: Final = {
    10.0: ("ReportTaskProgress", "SetTaskStatus"),
    2.0: ("PollForTask", "DescribeObjects", "QueryObjects"),
    1.0: (
        "ActivatePipeline",
        "CreatePipeline",
        "DeletePipeline",
        "DescribePipelines",
        "GetPipelineDefinition",
        "ListPipelines",
        "PutPipelineDefinition",
        "ReportTaskRunnerHeartbeat",
        "SetStatus",
        "ValidatePipelineDefinition",
    ),
}
PUBLISHED_QUOTAS: Final[Mapping[str, tuple[float, int]]] = MappingProxyType(
    {action: (rate, BURST) for rate, actions in _RATES.items() for action in actions},
)
"""Calls per second and burst of each action for one account (the Developer Guide, dp-limits).

Actions which that page does not list have no quota.
"""
_NOT_NEGATIVE: Final = (
    "max_stack_trace",
    "max_pipelines",
    "max_objects",
    "max_described_pipelines",
    "max_described_objects",
    "poll_hold",
    "retry_delay",
    "stalled_retry_delay",
    "max_retries",
    "resource_startup",
    "resource_shutdown",
    "max_active_instances",
    "instance_interval",
    "max_backfill",
)


class DeletedAnswer(StrEnum):
    """What a report of a task gets once its pipeline is deleted; undocumented, so a setting."""

    PIPELINE_DELETED = "PipelineDeletedException"
    PIPELINE_NOT_FOUND = "PipelineNotFoundException"
    TASK_NOT_FOUND = "TaskNotFoundException"
    CANCELED = "canceled"


class CanceledStatusAnswer(StrEnum):
    """What SetTaskStatus of a canceled task gets; undocumented, so a setting."""

    TASK_NOT_FOUND = "TaskNotFoundException"
    INVALID_REQUEST = "InvalidRequestException"
    IGNORED = "ignored"
    """A success which changes nothing."""


class AttemptTimeoutAnswer(StrEnum):
    """What a worker's calls get once `attemptTimeout` has passed; undocumented, so a setting."""

    TASK_NOT_FOUND = "TaskNotFoundException"
    CANCELED = "canceled"


class OnDemandBusy(StrEnum):
    """What activating an on-demand pipeline does while it has as many runs as it may have.

    RERUN is what the API reference of ActivatePipeline says.
    """

    RERUN = "rerun"
    """Its running objects are canceled, and it runs anew."""
    IGNORED = "ignored"
    """A success which makes no run."""
    INVALID_REQUEST = "InvalidRequestException"


class LateIf(StrEnum):
    """When `lateAfterTimeout` finds an instance late; two pages of the guide differ."""

    NOT_COMPLETED = "not completed"
    NOT_STARTED = "not started"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The service's timings, quotas and limits.

    Durations are seconds of the injected clock; for two minutes to last two seconds that clock
    runs faster. Raises `ValueError` for a duration or number out of its range.
    """

    acknowledge_timeout: float = 120.0
    """From handing a task out to its first report (the API reference of ReportTaskProgress)."""
    lease_timeout: float = 300.0
    """From one report to the next, where the object has no `reportProgressTimeout`.

    The API reference of ReportTaskProgress names 5 minutes and 15 minutes; this is the strict one.
    """
    poll_hold: float = 90.0
    """How long PollForTask is held when no work is queued (the API reference of PollForTask)."""
    retry_delay: float = 120.0
    """Least and usual delay before a FAILED attempt is retried (the Developer Guide, dp-limits)."""
    stalled_retry_delay: float = 0.0
    """Delay before the task of a silent worker is handed out again."""
    max_retries: int = 2
    """Retries of an object without `maximumRetries`."""
    quotas: Mapping[str, tuple[float, int]] | None = field(default_factory=lambda: PUBLISHED_QUOTAS)
    """(rate per second, burst) by action; `None` lifts them all."""
    resource_worker_group: str | None = None
    """Worker group which gets the tasks of `runsOn`; `None` gives each resource one.

    That one is `resource:<pipeline id>_<instance id>`, as the service's own runners seem to have.
    """
    resource_startup: float = 60.0
    """How long an Ec2Resource or EmrCluster is CREATING."""
    resource_shutdown: float = 30.0
    """How long it is SHUTTING_DOWN after its last activity."""
    max_active_instances: int = 5
    """Instances of a component that run at once; `maxActiveInstances` can ask for fewer."""
    instance_interval: float = 300.0
    """Least time between making two instances of a component from past slots (dp-limits)."""
    max_backfill: float | None = 86_400.0
    """How far past the first slot may be at the activation; `None`: however far.

    ActivatePipeline refuses an older one unless it names a start (dp-object-schedule).
    """
    on_demand_busy: OnDemandBusy = OnDemandBusy.RERUN
    late_if: LateIf = LateIf.NOT_COMPLETED
    attempt_timeout_answer: AttemptTimeoutAnswer = AttemptTimeoutAnswer.TASK_NOT_FOUND
    deleted_answer: DeletedAnswer = DeletedAnswer.PIPELINE_DELETED
    canceled_status_answer: CanceledStatusAnswer = CanceledStatusAnswer.TASK_NOT_FOUND
    max_stack_trace: int = 1024
    """Longest errorStackTrace; the SDKs' model says 1024, the current API reference 4095."""
    max_pipelines: int = 100
    max_objects: int = 100
    """Objects in one pipeline (the Developer Guide, dp-limits)."""
    max_described_pipelines: int = 25
    """Identifiers in one DescribePipelines (its API reference)."""
    max_described_objects: int = 100
    """Identifiers in one DescribeObjects.

    Its API reference says 25, but `aws datapipeline list-runs` sends 100, and works.
    """
    epoch: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    """The service's date when it is created."""
    seed: int = 0
    """Where the generated ids start: equal seeds and equal calls give equal ids."""

    def __post_init__(self) -> None:
        for name in ("acknowledge_timeout", "lease_timeout"):
            if not getattr(self, name) > 0:  # which NaN is not either
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)!r}")
        for name in _NOT_NEGATIVE:
            if not (getattr(self, name) or 0) >= 0:  # which NaN is not either
                raise ValueError(f"{name} must not be negative, but is {getattr(self, name)!r}")
        if self.epoch.tzinfo is None:
            raise ValueError("epoch must have a time zone")
