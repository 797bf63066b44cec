"""Runs: the instances which are made of a pipeline's components, slot by slot."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from aiodp.emulator._definition.kinds import Kind
from aiodp.emulator._definition.plan import ON_DEMAND, ONCE, Plan
from aiodp.emulator._errors import invalid
from aiodp.emulator._model.ids import instance_id
from aiodp.emulator._model.reading import on_demand_limit
from aiodp.emulator._model.records import Instance, Pipeline, Status, Timeline
from aiodp.emulator._model.runs.placement import resource_for
from aiodp.emulator._model.runs.schedules import read_slots
from aiodp.emulator._model.timers import Due
from aiodp.emulator._settings import OnDemandBusy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiodp.emulator._calendar import Slot
    from aiodp.emulator._definition.slots import Slots
    from aiodp.emulator._model.context import Context
    from aiodp.emulator._model.runs.actions import Actions
    from aiodp.emulator._model.runs.lifecycle import Lifecycle

_MAX_SKIPPED_SLOTS: Final = 100
_MAX_AT_ONCE: Final = 20_000
_MAX_IN_A_SECOND: Final = 1000
"""Instances of past slots that are made at once, and after these in each second.

Years of slots, all of them made by one call, would hold up the calls of others.
"""


class Scheduler:
    """Makes instances when their slots begin, or when an on-demand pipeline is activated."""

    def __init__(self, context: Context, lifecycle: Lifecycle, actions: Actions) -> None:
        self._settings = context.settings
        self._calendar = context.calendar
        self._timers = context.timers
        self._reader = context.reader
        self._lifecycle = lifecycle
        self._actions = actions
        self._timers.handle(Due.SLOT, self._on_slot)

    def check(self, pipeline: Pipeline, plan: Plan, start: float | None, now: float) -> None:
        """Raise InvalidRequestException if this plan cannot be activated now."""
        limit = self._settings.max_backfill
        for name, slots in self._slots(pipeline, plan, now).items():
            timeline = pipeline.timelines.get(name)
            first = slots.start(0)
            if start is not None or timeline is not None or limit is None or first is None:
                continue
            if now - self._calendar.at(first) > limit:
                raise invalid(
                    f"The Schedule {name} starts at {first:%Y-%m-%dT%H:%M:%S}, more than "
                    f"{limit / 86_400:g} day(s) ago; move it, or name a startTimestamp"
                )
        busy = self._settings.on_demand_busy is OnDemandBusy.INVALID_REQUEST
        if busy and plan.on_demand and self._is_busy(pipeline, plan):
            raise invalid("As many runs of the on-demand pipeline are going on as may")

    def cancel_runs(self, pipeline: Pipeline, plan: Plan, now: float) -> None:
        """Cancel what runs on demand if it leaves no room for another run, which is to come."""
        rerun = self._settings.on_demand_busy is OnDemandBusy.RERUN
        if rerun and plan.on_demand and self._is_busy(pipeline, plan):
            for instance in list(pipeline.open.values()):
                if instance.timeline == ON_DEMAND:
                    self._lifecycle.cancel(instance, now, "The pipeline was activated again")

    def activate(self, pipeline: Pipeline, start: float | None, now: float) -> list[Instance]:
        """Begin with the slots of the active definition; return what was made on demand."""
        plan = pipeline.plans[-1]
        slots_by_name = self._slots(pipeline, plan, now)
        for name, slots in slots_by_name.items():  # all of them before any instance is made
            _timeline(pipeline, name).slots = slots
        for name in slots_by_name:
            timeline = pipeline.timelines[name]
            if start is not None:
                self._skip(timeline, start, now)
            self._arm(timeline, now)
        made: list[Instance] = []
        if ONCE in plan.timelines and ONCE not in pipeline.timelines:
            _timeline(pipeline, ONCE)
            made += self._run(pipeline, ONCE, now)
        if plan.on_demand and not self._is_busy(pipeline, plan):
            made += self._run(pipeline, ON_DEMAND, now)
        return made

    def stop(self, pipeline: Pipeline) -> None:
        """Make no more slots."""
        for timeline in pipeline.timelines.values():
            self._timers.stop(timeline)

    def is_over(self, pipeline: Pipeline) -> bool:
        """Return whether no more slots are to be made in which there is work."""
        timelines = pipeline.timelines.values()
        return bool(timelines) and not any(
            timeline.slots is not None
            and timeline.slots.start(timeline.next_slot) is not None
            and not pipeline.plans[-1].has_only_resources(timeline.name)
            for timeline in timelines
        )

    # Slots

    def _slots(self, pipeline: Pipeline, plan: Plan, now: float) -> dict[str, Slots]:
        first = pipeline.first_activated_at
        activated = self._calendar.date(now if first is None else first).replace(microsecond=0)
        slots = {}
        for name in plan.timelines:
            if name not in (ONCE, ON_DEMAND):
                slots[name] = read_slots(name, pipeline, plan, activated, self._calendar)
        return slots

    def _arm(self, timeline: Timeline, now: float) -> None:
        start = timeline.slots.start(timeline.next_slot) if timeline.slots else None
        if start is None:
            self._timers.stop(timeline)
            return
        due = max(self._calendar.at(start), now)
        if timeline.made_at is not None:
            due = max(due, timeline.made_at + self._interval(timeline))
        self._timers.set(timeline, Due.SLOT, due)

    def _interval(self, timeline: Timeline) -> float:
        """Return how long after the slot that was made last the next may be made."""
        count = len(timeline.pipeline.plans[-1].timelines[timeline.name])
        many = timeline.next_slot * count >= _MAX_AT_ONCE
        pause = many and timeline.next_slot % max(1, _MAX_IN_A_SECOND // count) == 0
        return max(self._settings.instance_interval, 1.0 if pause else 0.0)

    def _on_slot(self, timeline: Timeline, now: float) -> None:
        pipeline, slots = timeline.pipeline, timeline.slots
        if pipeline.state is not Status.SCHEDULED or slots is None:
            return
        slot = self._slot(slots, timeline.next_slot)
        timeline.next_slot += 1
        timeline.made_at = now
        self._arm(timeline, now)
        made = self._make(pipeline, timeline.name, slot, now)
        pipeline.latest_run_at = slot.start
        self._lifecycle.consider_all(made, now)

    def _skip(self, timeline: Timeline, start: float, now: float) -> None:
        pipeline, slots = timeline.pipeline, timeline.slots
        if slots is None:
            return
        skipped = range(timeline.next_slot, slots.count_before(self._calendar.date(start)))
        timeline.next_slot = max(timeline.next_slot, skipped.stop)
        for n in skipped[-_MAX_SKIPPED_SLOTS:]:
            slot = self._slot(slots, n)
            for instance in self._make(pipeline, timeline.name, slot, now, Status.SKIPPED):
                instance.ended_at = now

    def _slot(self, slots: Slots, n: int) -> Slot:
        start = slots.start(n) or datetime.max.replace(tzinfo=UTC)
        return self._calendar.slot(self._calendar.at(start), self._calendar.at(slots.stop(n)))

    # Runs

    def _run(self, pipeline: Pipeline, timeline: str, now: float) -> list[Instance]:
        at = self._free_second(pipeline, timeline, now)
        made = self._make(pipeline, timeline, self._calendar.slot(at, at), now)
        pipeline.latest_run_at = now
        for instance in made:
            instance.runs_at = now
        self._lifecycle.consider_all(made, now)
        return made

    def _free_second(self, pipeline: Pipeline, timeline: str, now: float) -> float:
        """Return the first second from now which no instance has in its id."""
        members = pipeline.plans[-1].timelines[timeline]
        newest = [run for key in members for run in pipeline.of_component[key][-1:]]
        at = max([now, *(run.scheduled_at + 1.0 for run in newest if run.timeline == timeline)])
        while any(instance_id(k, self._calendar.stamp(at)) in pipeline.instances for k in members):
            at += 1.0
        return at

    def _is_busy(self, pipeline: Pipeline, plan: Plan) -> bool:
        runs = {
            instance.scheduled_at
            for instance in pipeline.open.values()
            if instance.timeline == ON_DEMAND
        }
        components = [plan.components[component_id] for component_id in plan.timelines[ON_DEMAND]]
        limits = [component.text("maxActiveInstances") or "" for component in components]
        return len(runs) >= on_demand_limit(limits)

    def _make(
        self,
        pipeline: Pipeline,
        timeline: str,
        slot: Slot,
        now: float,
        status: Status = Status.WAITING_ON_DEPENDENCIES,
    ) -> list[Instance]:
        keys = (instance_id(key, slot.stamp) for key in pipeline.plans[-1].timelines[timeline])
        shared = [pipeline.instances[key] for key in keys if key in pipeline.instances]
        made = self._add(pipeline, timeline, slot, status)
        guards = [guard for instance in made for guard in self._guards(instance, slot)]
        for instance in [*made, *guards]:
            instance.started_at = now
            instance.max_retries = instance.tries_left = self._reader.max_retries(instance)
            self._actions.made(instance, now)
        for instance in shared:
            self._share(instance, slot, now)
        return [*made, *guards]

    def _add(self, pipeline: Pipeline, timeline: str, slot: Slot, status: Status) -> list[Instance]:
        plan, made = pipeline.plans[-1], []
        for component_id in plan.timelines[timeline]:
            key = instance_id(component_id, slot.stamp)
            if key not in pipeline.instances:
                instance = Instance(pipeline, plan.parts[component_id], key, timeline, slot)
                instance.status = status
                pipeline.add(instance)
                made.append(instance)
        for instance in made:
            instance.runs_at = slot.stop if self._runs_at_end(instance) else slot.start
            if instance.kind is Kind.ACTIVITY:
                pipeline.place(instance, resource_for(instance, self._calendar))
        return made

    def _share(self, shared: Instance, slot: Slot, now: float) -> None:
        """Let an instance serve a slot which starts as its own; it ends with the shorter one."""
        if slot.stop >= shared.ends_at or not shared.is_open():
            return
        at_end = self._runs_at_end(shared)
        guards = (shared.pipeline.instances[guard_id] for guard_id in shared.preconditions)
        for instance in (*guards, shared):
            instance.ends_at = slot.stop
            instance.runs_at = slot.stop if at_end else instance.runs_at
            if instance.due(Due.LATE) is not None:
                self._actions.made(instance, now)
            self._lifecycle.consider(instance, now)

    def _runs_at_end(self, instance: Instance) -> bool:
        style = (self._reader.text(instance, "scheduleType") or "").lower()
        return style == "timeseries" and instance.kind is not Kind.RESOURCE

    def _guards(self, guarded: Instance, slot: Slot) -> Iterable[Instance]:
        """Make the preconditions of an instance, which no other instance shares."""
        pipeline = guarded.pipeline
        made = []
        for component_id in guarded.part.preconditions:
            key = _free_id(instance_id(component_id, slot.stamp), pipeline)
            part = pipeline.plans[-1].parts[component_id]
            instance = Instance(pipeline, part, key, guarded.timeline, slot)
            instance.runs_at = guarded.runs_at
            instance.guards = guarded.id
            instance.status = guarded.status
            pipeline.add(instance)
            made.append(instance)
        guarded.preconditions = tuple(guard.id for guard in made)
        return made


def _timeline(pipeline: Pipeline, name: str) -> Timeline:
    if name not in pipeline.timelines:
        pipeline.timelines[name] = Timeline(pipeline, name)
    return pipeline.timelines[name]


def _free_id(wanted: str, pipeline: Pipeline) -> str:
    free, n = wanted, 1
    while free in pipeline.instances:
        n += 1
        free = f"{wanted}_{n}"
    return free
