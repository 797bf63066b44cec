"""Which records have changed, for a store that keeps them.

A record notes each assignment of an attribute, so that the rules of the service need not do it.
Whoever changes an attribute in place, such as a record's timers, calls `touch`. Without a store
this costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any


class Changes:
    """The records which are new or have changed, each once, in the order of their first change."""

    def __init__(self) -> None:
        self._records: dict[Persisted, None] = {}
        self.forgotten: dict[str, bool] = {}
        """Ids of pipelines of which nothing is to be kept but the name, or if true nothing."""

    def __bool__(self) -> bool:
        return bool(self._records or self.forgotten)

    def add(self, record: Persisted) -> None:
        """Note a record."""
        self._records[record] = None

    def all(self) -> list[Persisted]:
        """Return them."""
        return list(self._records)

    def clear(self) -> None:
        """Forget them, because they are saved."""
        self._records.clear()
        self.forgotten.clear()

    def forget(self, pipeline: Persisted, pipeline_id: str, *, name: bool = False) -> None:
        """Note that a pipeline is forgotten with all its records, maybe with its name as well."""
        kept = [one for one in self._records if getattr(one, "pipeline", one) is not pipeline]
        self._records = dict.fromkeys(kept)
        self.forgotten[pipeline_id] = name


class Persisted:
    """A record which notes in `changes` that it has changed, unless that is `None`.

    One with `changes` gets a subclass, so that assignments stay as fast as usual without them.
    """

    def __init__(self, changes: Changes | None) -> None:
        self.changes = changes
        if changes is not None:
            kind: Any = type(self)  # which mypy takes for unhashable
            self.__class__ = _noting(kind)
            self.touch()

    def touch(self) -> None:
        """Note a change which is not an assignment."""


class _Noting(Persisted):
    changes: Changes

    def touch(self) -> None:
        self.changes.add(self)

    if not TYPE_CHECKING:  # a type checker would let any attribute be assigned

        def __setattr__(self, name: str, value: Any) -> None:
            self.__dict__[name] = value
            self.changes.add(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a service takes over from a store; new services have the defaults.

    `origin`: the clock's time at the settings' `epoch`, `None` for now. `life`: how often it
    was restored. `changes`: where its records note that they have changed.
    """

    origin: float | None = None
    life: int = 0
    changes: Changes | None = None


@cache
def _noting(kind: type[Persisted]) -> Any:
    return type(kind.__name__, (_Noting, kind), {})
