"""The service's records: pipelines, their instances, the attempts of these, and the tasks.

A task is one assignment of an attempt, with an id of its own: an attempt which nobody acknowledges
is handed out again as another task.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from enum import StrEnum, auto
from typing import TYPE_CHECKING, Final

from aiodp.emulator._model.changes import Persisted
from aiodp.emulator._model.ids import instance_id
from aiodp.emulator._model.listing.ends import Ends, Health
from aiodp.emulator._model.listing.series import Series
from aiodp.emulator._model.runs.waiting import Waiting
from aiodp.emulator._model.timers import Due, Timed

if TYPE_CHECKING:
    from aiodp.emulator._calendar import Slot
    from aiodp.emulator._definition.components import Component, Definition
    from aiodp.emulator._definition.fields import Fields
    from aiodp.emulator._definition.kinds import Kind
    from aiodp.emulator._definition.plan import Part, Plan
    from aiodp.emulator._definition.slots import Slots
    from aiodp.emulator._model.changes import Changes


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
    SHUTTING_DOWN = "SHUTTING_DOWN"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"
    CASCADE_FAILED = "CASCADE_FAILED"
    TIMEDOUT = "TIMEDOUT"
    SKIPPED = "SKIPPED"


GOOD: Final = frozenset({Status.FINISHED, Status.SKIPPED})  # what a dependant waits for
BAD: Final = frozenset({Status.FAILED, Status.CANCELED, Status.CASCADE_FAILED, Status.TIMEDOUT})
TERMINAL: Final = GOOD | BAD
IDLE: Final = TERMINAL | {Status.WAITING_ON_DEPENDENCIES}  # in these it does not count as active


class TaskState(StrEnum):
    """A task is ASSIGNED, then HELD, then one of the others: all but CANCELED answer an error."""

    ASSIGNED = auto()
    HELD = auto()
    CANCELED = auto()
    DELETED = auto()
    DONE = auto()
    UNACKNOWLEDGED = auto()
    LAPSED = auto()
    TIMEDOUT = auto()  # its attempt took longer than `attemptTimeout`


LIVE: Final = frozenset({TaskState.ASSIGNED, TaskState.HELD})


class Pipeline(Persisted):
    """A pipeline, its definitions, and everything that was made of it."""

    def __init__(
        self,
        pipeline_id: str,
        name: str,
        unique_id: str,
        created_at: float,
        changes: Changes | None = None,
    ) -> None:
        super().__init__(changes)
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
        self.errors: dict[str, str] = {}  # of its objects, until one definition is active
        self.plans: list[Plan] = []  # what was activated, in its order; the last is active
        self.paused: set[str] = set()
        self.first_activated_at: float | None = None
        self.latest_run_at: float | None = None
        self.finished_at: float | None = None
        self.deactivated_at: float | None = None
        self.timelines: dict[str, Timeline] = {}
        self.instances: Series[Instance] = Series()
        self.attempts: Series[Attempt] = Series()
        self.held: dict[str, Task] = {}
        # What follows is counted from the instances.
        self.of_component: defaultdict[str, list[Instance]] = defaultdict(list)
        self.waiting: defaultdict[str, Waiting[Instance]] = defaultdict(Waiting)
        self.active_instances: Counter[str] = Counter()
        self.users: defaultdict[str, dict[str, Instance]] = defaultdict(dict)  # by resource
        self.open: dict[str, Instance] = {}
        self.ends = Ends()

    @property
    def plan(self) -> Plan | None:
        """What is active."""
        return self.plans[-1] if self.plans else None

    @property
    def on_demand(self) -> bool:
        """Whether each activation makes a run."""
        return self.plan is not None and self.plan.on_demand

    def next_run_at(self) -> float | None:
        """Return when the next slot comes; `None` if none is to."""
        dues = [timeline.due(Due.SLOT) for timeline in self.timelines.values()]
        return min((due for due in dues if due is not None), default=None)

    def add(self, instance: Instance) -> None:
        """Add a new instance."""
        self.instances[instance.id] = instance
        self.of_component[instance.component.id].append(instance)
        self.place(instance, instance.runs_on)
        self._count(instance, 1)

    def place(self, instance: Instance, runs_on: str | None) -> None:
        """Let an instance have its tasks on the instance of a resource, which may be to come."""
        instance.runs_on = runs_on
        if runs_on is not None:
            self.users[runs_on][instance.id] = instance

    def change(self, instance: Instance, status: Status) -> None:
        """Give an instance of it another status."""
        self._count(instance, -1)
        instance.status = status
        self._count(instance, 1)

    def _count(self, instance: Instance, sign: int) -> None:
        component_id = instance.component.id
        if instance.is_open():
            self.open[instance.id] = instance
        else:
            self.open.pop(instance.id, None)
        if instance.status not in IDLE and not instance.rerun:
            self.active_instances[component_id] += sign
        if instance.status is Status.WAITING_ON_DEPENDENCIES:
            waiting = self.waiting[component_id]
            waiting.add(instance) if sign > 0 else waiting.pop(instance.id)


class Timeline(Timed):
    """How far the slots of a schedule have been made into instances."""

    def __init__(self, pipeline: Pipeline, name: str) -> None:
        super().__init__(pipeline.changes)
        self.pipeline = pipeline
        self.name = name
        self.slots: Slots | None = None  # of a Schedule, as it is in the active definition
        self.next_slot = 0
        self.made_at: float | None = None


class Instance(Timed):
    """A component in a slot of its schedule, which is to be done once."""

    def __init__(
        self, pipeline: Pipeline, part: Part, instance_id: str, timeline: str, slot: Slot
    ) -> None:
        super().__init__(pipeline.changes)
        self.pipeline = pipeline
        self.part = part
        self.id = instance_id
        self.timeline = timeline
        self.scheduled_at = slot.start
        self.ends_at = slot.stop
        self.runs_at = slot.start
        self.status = Status.WAITING_ON_DEPENDENCIES
        self.version = pipeline.version
        self.plan_number = len(pipeline.plans) - 1
        self.stamp = slot.stamp
        self.runs_on: str | None = None  # the instance of a resource
        self.guards: str | None = None  # the instance of which it is a precondition
        self.preconditions: tuple[str, ...] = ()
        self.resource_id: str | None = None
        self.cascaded_on: str | None = None
        self.reason: str | None = None  # of a cancellation, or of a failure without an attempt
        self.rerun = False
        self.max_retries = 0
        self.tries_left = 0
        self.attempts: list[Attempt] = []
        self.started_at: float | None = None
        self.ended_at: float | None = None
        self.health: Health | None = None
        self.checks = 0  # by the service, of a precondition
        self.checked_at: float | None = None

    @property
    def component(self) -> Component:
        """The component that it was made of, as it was then."""
        return self.part.component

    @property
    def kind(self) -> Kind:
        """What is done with it."""
        return self.part.kind

    @property
    def plan(self) -> Plan:
        """The definition it was made of."""
        return self.pipeline.plans[self.plan_number]

    @property
    def head(self) -> Attempt | None:
        """The newest attempt."""
        return self.attempts[-1] if self.attempts else None

    @property
    def resource(self) -> Instance | None:
        """The instance of the resource on which it runs, if that is made."""
        return self.pipeline.instances.get(self.runs_on or "")

    def sibling(self, component_id: str) -> Instance | None:
        """Return the instance of another component which is made in the same slot."""
        guarded = self if self.guards is None else self.pipeline.instances[self.guards]
        plan = self.pipeline.plan or self.plan
        together = plan.share_slots(guarded.component.id, component_id)
        key = instance_id(component_id, self.stamp)
        return self.pipeline.instances.get(key) if together else None

    def is_open(self) -> bool:
        """Return whether it has not come to an end."""
        return self.status not in TERMINAL


class Attempt(Timed):
    """One try of an instance."""

    def __init__(self, instance: Instance) -> None:
        super().__init__(instance.changes)
        self.instance = instance
        self.number = len(instance.attempts) + 1
        self.id = f"{instance.id}_Attempt={self.number}"
        self.status = Status.WAITING_FOR_RUNNER
        self.worker_group: str | None = None
        self.lease_timeout = 0.0
        self.task: Task | None = None
        self.place: int | None = None  # in the queue of its worker group, also while it is paused
        self.hostname = ""
        self.reported: Fields = {}
        self.outcome: Fields = {}
        self.started_at: float | None = None
        self.reported_at: float | None = None
        self.ended_at: float | None = None

    @property
    def queued(self) -> bool:
        """Whether it has a place in a queue."""
        return self.place is not None

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline it belongs to."""
        return self.instance.pipeline


class Task(Timed):
    """One assignment of an attempt to a worker."""

    def __init__(self, task_id: str, attempt: Attempt, assigned_at: float) -> None:
        super().__init__(attempt.changes)
        self.id = task_id
        self.attempt = attempt
        self.assigned_at = assigned_at
        self.state = TaskState.ASSIGNED
        self.hostname = attempt.hostname
        self.reports = 0
        self.told_canceled = False

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline it belongs to."""
        return self.attempt.instance.pipeline

    @property
    def deadline(self) -> float | None:
        """The time from which a report is too late; `None` if it is already."""
        return self.due(Due.SILENCE)
