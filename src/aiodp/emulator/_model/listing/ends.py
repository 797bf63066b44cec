"""What the ends of instances say of the health of their components."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What the end of one instance says; `number` tells which end in its pipeline it was."""

    status: str
    instance_id: str
    updated_at: float
    number: int


@dataclass(slots=True)
class Ends:
    """The ends of a pipeline's instances: how many there were, and by component what they say."""

    count: int = 0
    healths: dict[str, Health] = field(default_factory=dict)
    latest_runs: dict[str, float] = field(default_factory=dict)
    """When the latest of the runs was scheduled which have come to an end."""

    def add(self, component_id: str, health: Health) -> None:
        """Add what an instance says of this component; the last end counts."""
        self.count = max(self.count, health.number)
        known = self.healths.get(component_id)
        if known is None or known.number < health.number:
            self.healths[component_id] = health

    def complete(self, component_id: str, scheduled_at: float) -> None:
        """Add a run of this component which has come to an end."""
        latest = self.latest_runs.get(component_id, scheduled_at)
        self.latest_runs[component_id] = max(latest, scheduled_at)
