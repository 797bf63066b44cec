"""What the service itself reads from the fields of an instance."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from aiodp._core.period import parse_period
from aiodp.emulator._definition.expressions import ExpressionError, Work, has_expression
from aiodp.emulator._definition.slots import parse_lifetime
from aiodp.emulator._model.runs.placement import activity_of
from aiodp.emulator._model.scopes import ObjectScope

if TYPE_CHECKING:
    from aiodp.emulator._calendar import Calendar
    from aiodp.emulator._model.records import Instance
    from aiodp.emulator._settings import Settings

_MAX_STEPS: Final = 500
"""Steps of an expression which the service reads for itself, again at each of its decisions."""
_MAX_RETRIES: Final = 5  # retries of a task (the Developer Guide, dp-limits)
_MAX_ON_DEMAND_RUNS: Final = 5  # runs at a time of an on-demand pipeline (dp-concepts-schedules)


class Reader:
    """Reads fields with their expressions evaluated; what cannot be read counts as missing."""

    def __init__(self, settings: Settings, calendar: Calendar) -> None:
        self._settings = settings
        self._calendar = calendar

    def text(self, instance: Instance, key: str) -> str | None:
        """Return the first string value of a field."""
        raw = instance.component.text(key)
        if raw is None or not has_expression(raw):
            return raw
        with suppress(ExpressionError):
            return ObjectScope(instance.id, instance.pipeline, self._calendar).text(
                key, Work(_MAX_STEPS)
            )
        return None

    def period(self, instance: Instance, key: str) -> float | None:
        """Return a period in seconds."""
        with suppress(ValueError):
            return parse_period(self.text(instance, key) or "")
        return None

    def lifetime(self, resource: Instance) -> float | None:
        """Return how many seconds a resource may last."""
        with suppress(ValueError):
            text = self.text(resource, "terminateAfter") or ""
            return parse_lifetime(resource.component.type, text)
        return None

    def lease(self, instance: Instance) -> float:
        """Return how long a task may be silent."""
        return self.period(instance, "reportProgressTimeout") or self._settings.lease_timeout

    def retry_delay(self, instance: Instance) -> float:
        """Return how long to wait before the next attempt."""
        given = self.period(instance, "retryDelay") or 0.0
        return max(given, self._settings.retry_delay)

    def max_retries(self, instance: Instance) -> int:
        """Return how many attempts may follow a failed one."""
        given = self._number(instance, "maximumRetries", self._settings.max_retries)
        return min(given, _MAX_RETRIES)

    def max_active(self, instance: Instance) -> int:
        """Return how many instances of the component may be active at once."""
        most = self._settings.max_active_instances
        return max(1, min(most, self._number(instance, "maxActiveInstances", most)))

    def cascades(self, instance: Instance) -> bool:
        """Return whether it fails with what it depends on."""
        return self.says(instance, "failureAndRerunMode", "cascade")

    def says(self, instance: Instance, key: str, value: str) -> bool:
        """Return whether a field has this value, in any case."""
        return (self.text(instance, key) or "").lower() == value

    def worker_group(self, instance: Instance) -> str | None:
        """Return the worker group whose polls get the tasks; `runsOn` wins."""
        if instance.runs_on is not None:
            given = self._settings.resource_worker_group
            return given or f"resource:{instance.pipeline.id}_{instance.runs_on}"
        part, owner = activity_of(instance, self._calendar)
        if owner is not None:
            return self.text(owner, "workerGroup")
        with suppress(ExpressionError):
            scope = ObjectScope(part.component.id, instance.pipeline, self._calendar)
            return scope.text("workerGroup")
        return None

    def _number(self, instance: Instance, key: str, default: int) -> int:
        number = default
        with suppress(ValueError):  # no number, or one of thousands of digits
            number = int(self.text(instance, key) or "")
        return number if number >= 0 else default


def on_demand_limit(texts: list[str]) -> int:
    """Return how many runs of an on-demand pipeline there may be, by its `maxActiveInstances`."""
    numbers = [int(text) for text in texts if text.isdecimal()]
    return max(1, min(min(numbers, default=1), _MAX_ON_DEMAND_RUNS))
