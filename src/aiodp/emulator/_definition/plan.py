"""What a definition means for its runs: what runs when, and what waits for what."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiodp.emulator._definition.kinds import PRECONDITIONS, SCHEDULED, Kind, kind_of
from aiodp.emulator._definition.slots import ON_DEMAND_PERIOD

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aiodp.emulator._definition.components import Component, Definition

ON_DEMAND: Final = "ondemand"
"""The timeline of runs which ActivatePipeline makes."""
ONCE: Final = "once"
"""The timeline of what has no schedule: one run, at the first activation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A component which runs, and the ids of the others which it needs."""

    component: Component
    kind: Kind
    timeline: str | None
    """Its own; `None`: it is made in the slots of those that need it."""
    requires: tuple[str, ...]
    preconditions: tuple[str, ...]
    resource: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An active definition, read for running it.

    `timelines` has the components with an instance in each slot, by the id of the Schedule, or
    `ON_DEMAND` or `ONCE`; `timelines_of` has it the other way round. `users` has the activities
    that run on each resource, and those that read or write each data node, readers first.
    """

    definition: Definition
    components: Mapping[str, Component]
    parts: Mapping[str, Part]
    parameters: Mapping[str, tuple[str, ...]]
    timelines: Mapping[str, tuple[str, ...]]
    timelines_of: Mapping[str, frozenset[str]]
    dependants: Mapping[str, tuple[str, ...]]
    users: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, definition: Definition) -> Plan:
        """Read a definition, which need not be free of errors."""
        components = definition.components()
        kinds = {key: kind_of(component.type) for key, component in components.items()}
        outputs = _outputs(components, kinds)
        parts = {
            key: _part(component, components, kinds, outputs)
            for key, component in components.items()
            if kinds[key] in SCHEDULED | PRECONDITIONS
        }
        timelines = _timelines(parts)
        return cls(
            definition=definition,
            components=components,
            parts=parts,
            parameters=definition.parameters(),
            timelines=timelines,
            timelines_of={k: frozenset(names) for k, names in _reversed(timelines).items()},
            dependants=_reversed({key: part.requires for key, part in parts.items()}),
            users=_users(parts),
        )

    @property
    def on_demand(self) -> bool:
        """Whether each activation makes a run."""
        return ON_DEMAND in self.timelines

    def has_only_resources(self, timeline: str) -> bool:
        """Return whether nothing has slots on a timeline but resources for others."""
        members = self.timelines.get(timeline, ())
        return all(self.parts[key].kind is Kind.RESOURCE for key in members)

    def share_slots(self, one: str, other: str) -> bool:
        """Return whether two components have instances in the slots of the same timeline."""
        nowhere: frozenset[str] = frozenset()
        return not self.timelines_of.get(one, nowhere).isdisjoint(
            self.timelines_of.get(other, nowhere)
        )

    def timeline_of(self, component_id: str, slot_of: str) -> str:
        """Return the timeline of a component as seen from a component of the timeline `slot_of`."""
        names = self.timelines_of.get(component_id, frozenset())
        return slot_of if slot_of in names else min(names, default=slot_of)


def _part(
    component: Component,
    components: Mapping[str, Component],
    kinds: Mapping[str, Kind],
    outputs: Mapping[str, tuple[str, ...]],
) -> Part:
    def named(key: str, *wanted: Kind) -> tuple[str, ...]:
        ids = dict.fromkeys(component.refs(key))
        return tuple(key for key in ids if kinds.get(key) in wanted and key != component.id)

    kind = kinds[component.id]
    requires = named("dependsOn", Kind.ACTIVITY, Kind.DATA_NODE)
    if kind is Kind.ACTIVITY:
        requires += named("input", Kind.DATA_NODE)
    elif kind is Kind.DATA_NODE:
        requires += outputs.get(component.id, ())
    guarded = kind in (Kind.ACTIVITY, Kind.DATA_NODE)
    return Part(
        component=component,
        kind=kind,
        timeline=_own_timeline(component, kind, components),
        requires=requires,
        preconditions=named("precondition", *PRECONDITIONS) if guarded else (),
        resource=next(iter(named("runsOn", Kind.RESOURCE)), None),
    )


def _outputs(
    components: Mapping[str, Component], kinds: Mapping[str, Kind]
) -> dict[str, tuple[str, ...]]:
    """Return the activities which write each data node."""
    writers = {
        key: component.refs("output")
        for key, component in components.items()
        if kinds[key] is Kind.ACTIVITY
    }
    return _reversed(writers)


def _reversed(edges: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    reversed_edges: defaultdict[str, list[str]] = defaultdict(list)
    for source, targets in edges.items():
        for target in dict.fromkeys(targets):
            reversed_edges[target].append(source)
    return {key: tuple(sources) for key, sources in reversed_edges.items()}


def _users(parts: Mapping[str, Part]) -> dict[str, tuple[str, ...]]:
    activities = {key: part for key, part in parts.items() if part.kind is Kind.ACTIVITY}
    users: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for field in ("runsOn", "input", "output"):
        for key, part in activities.items():
            for used in part.component.refs(field):
                users[used][key] = None
    return {key: tuple(activity_ids) for key, activity_ids in users.items()}


def _timelines(parts: Mapping[str, Part]) -> dict[str, tuple[str, ...]]:
    """Return the components by timeline; without a schedule they join those that refer to them."""
    members: defaultdict[str, dict[str, None]] = defaultdict(dict)
    used = {part.resource for part in parts.values()}
    for key, part in parts.items():
        runs = part.kind in (Kind.ACTIVITY, Kind.DATA_NODE) or key in used
        if part.timeline is not None and runs:
            members[part.timeline][key] = None
    for joined in members.values():
        _adopt(joined, parts)
    placed = {key for joined in members.values() for key in joined}
    rest = (key for key in parts if key not in placed and parts[key].kind is Kind.ACTIVITY)
    if alone := dict.fromkeys(rest):
        members[ONCE] = alone
        _adopt(alone, parts)
    order = {key: n for n, key in enumerate(parts)}
    return {name: tuple(sorted(joined, key=order.__getitem__)) for name, joined in members.items()}


def _adopt(members: dict[str, None], parts: Mapping[str, Part]) -> None:
    pending = list(members)
    while pending:
        part = parts[pending.pop()]
        written = (object_id for object_id in part.component.refs("output") if object_id in parts)
        for key in (*part.requires, *written, *filter(None, [part.resource])):
            if key not in members and parts[key].timeline is None:
                members[key] = None
                pending.append(key)


def _own_timeline(
    component: Component, kind: Kind, components: Mapping[str, Component]
) -> str | None:
    schedule = component.ref("schedule")
    target = components.get(schedule or "")
    name = None
    if target is not None and kind_of(target.type) is Kind.SCHEDULE:
        name = ON_DEMAND if target.text("period") == ON_DEMAND_PERIOD else schedule
    if component.on_demand:
        name = ON_DEMAND
    # A resource on demand has no slots in which activities of a schedule could find it.
    return None if kind is Kind.RESOURCE and name == ON_DEMAND else name
