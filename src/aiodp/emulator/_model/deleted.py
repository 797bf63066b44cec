"""What is kept of deleted pipelines: all of it while that is little, then their names alone."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiodp.emulator._model.records import Pipeline

MAX_KEPT_VALUES: Final = 50_000
"""Fields, instances, attempts and tasks of all deleted pipelines of which all is kept."""
INSTANCE_VALUES: Final = 20
"""About how many values an instance has, or an attempt."""
MAX_KEPT_NAMES: Final = 1_000
"""Deleted pipelines of which it is known that they were deleted."""


class Deleted:
    """The deleted pipelines, the latest last.

    `forget` is called with a pipeline of which its name alone is kept from now on, `drop` with the
    id of one of which nothing is.
    """

    def __init__(self, forget: Callable[[Pipeline], None], drop: Callable[[str], None]) -> None:
        self._forget = forget
        self._drop = drop
        self._kept: deque[tuple[Pipeline, int]] = deque()
        self._names: deque[str] = deque()
        self._values = 0

    def add(self, pipeline: Pipeline) -> None:
        """Note that a pipeline is deleted."""
        values = _values(pipeline)
        self._kept.append((pipeline, values))
        self._values += values
        while self._values > MAX_KEPT_VALUES or len(self._kept) > MAX_KEPT_NAMES:
            oldest, values = self._kept.popleft()
            self._values -= values
            self._forget(oldest)
            self._names.append(oldest.id)
        while len(self._kept) + len(self._names) > MAX_KEPT_NAMES:
            self._drop(self._names.popleft())


def _values(pipeline: Pipeline) -> int:
    """Return about how many values a pipeline has in memory."""
    definitions = [pipeline.latest, pipeline.active, *(plan.definition for plan in pipeline.plans)]
    written = sum(
        len(item.get("fields", ()))
        for definition in {id(one): one for one in definitions if one is not None}.values()
        for item in definition.objects
    )
    inherited = sum(len(component.fields) for component in pipeline.components.values())
    made = len(pipeline.instances) + len(pipeline.attempts)
    return written + inherited + INSTANCE_VALUES * made
