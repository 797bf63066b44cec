"""What the service keeps: pipelines, their instances, the attempts of these, and the tasks.

A task is one handing-out of an attempt, with an id of its own: an attempt which nobody acknowledges
is handed out again as another task.
"""

from __future__ import annotations

from enum import Enum, StrEnum, auto
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from aiodp.emulator._components import Component, Definition
    from aiodp.emulator._fields import Fields
    from aiodp.emulator._timers import Timer


class Status(StrEnum):
    """Statuses as the service writes them (the Developer Guide, dp-interpret-status)."""

    PENDING = "PENDING"
    SCHEDULED = "SCHEDULED"
    PAUSED = "PAUSED"
    DEACTIVATING = "DEACTIVATING"
    INACTIVE = "INACTIVE"
    WAITING_ON_DEPENDENCIES = "WAITING_ON_DEPENDENCIES"
    WAITING_FOR_RUNNER = "WAITING_FOR_RUNNER"
    CREATING = "CREATING"
    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"


TERMINAL: Final = frozenset({Status.FINISHED, Status.FAILED, Status.CANCELED})


class TaskState(Enum):
    """A task's life: ASSIGNED → HELD → one of the others; all but CANCELED answer with an error."""

    ASSIGNED = auto()
    HELD = auto()
    CANCELED = auto()
    DELETED = auto()
    DONE = auto()
    UNACKNOWLEDGED = auto()
    LAPSED = auto()


LIVE: Final = frozenset({TaskState.ASSIGNED, TaskState.HELD})


class Pipeline:
    """A pipeline, its definitions, and everything that was made of it."""

    def __init__(self, pipeline_id: str, name: str, unique_id: str, created_at: float) -> None:
        self.id = pipeline_id
        self.name = name
        self.unique_id = unique_id
        self.created_at = created_at
        self.description: str | None = None
        self.tags: list[dict[str, str]] = []
        self.state = Status.PENDING
        self.deleted = False
        self.helper = False  # made by Service.assign(), so outside the account's limits
        self.version = 0
        self.latest: Definition | None = None
        self.active: Definition | None = None
        self.components: dict[str, Component] = {}
        self.paused: set[str] = set()
        self.activated_at: float | None = None
        self.finished_at: float | None = None
        self.deactivated_at: float | None = None
        self.instances: dict[str, Instance] = {}
        self.attempts: dict[str, Attempt] = {}
        self.held: dict[str, Task] = {}
        self.open = 0
        """Activities which are not in a terminal status."""

    @property
    def on_demand(self) -> bool:
        """Whether each activation makes a run."""
        return any(component.on_demand for component in self.components.values())


class Instance:
    """A component in a slot of its schedule: the to-do item."""

    def __init__(
        self, pipeline: Pipeline, component: Component, instance_id: str, scheduled_at: float
    ) -> None:
        self.pipeline = pipeline
        self.component = component
        self.id = instance_id
        self.scheduled_at = scheduled_at
        self.ends_at = scheduled_at
        self.status = Status.WAITING_ON_DEPENDENCIES
        self.version = pipeline.version
        self.refs: dict[str, str] = {}
        self.worker_group: str | None = None
        self.lease_timeout = 0.0
        self.retry_delay = 0.0
        self.max_retries = 0
        self.tries_left = 0
        self.attempts: list[Attempt] = []
        self.started_at: float | None = None
        self.ended_at: float | None = None

    @property
    def head(self) -> Attempt | None:
        """The newest attempt."""
        return self.attempts[-1] if self.attempts else None


class Attempt:
    """One try of an instance."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.number = len(instance.attempts) + 1
        self.id = f"{instance.id}_Attempt={self.number}"
        self.status = Status.WAITING_FOR_RUNNER
        self.task: Task | None = None
        self.queued = False
        self.hostname = ""
        self.reported: Fields = {}
        self.outcome: Fields = {}
        self.started_at: float | None = None
        self.reported_at: float | None = None
        self.ended_at: float | None = None


class Task:
    """One handing-out of an attempt to a worker."""

    def __init__(self, task_id: str, attempt: Attempt, assigned_at: float, timer: Timer) -> None:
        self.id = task_id
        self.attempt = attempt
        self.assigned_at = assigned_at
        self.timer = timer
        self.state = TaskState.ASSIGNED
        self.hostname = attempt.hostname
        self.reports = 0
        self.told_canceled = False
