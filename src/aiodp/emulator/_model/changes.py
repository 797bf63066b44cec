"""Which records have changed, for a store that keeps them.

A kept record says so by itself when one of its attributes is assigned, so that no rule of the
service has to think of it. What is changed in place, such as a record's timers, has to `touch`
it. Where nothing is kept this costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any


class Changes:
    """The records which are new or have changed, each once, in the order of their first change."""

    def __init__(self) -> None:
        self._records: dict[Persisted, None] = {}

    def __bool__(self) -> bool:
        return bool(self._records)

    def add(self, record: Persisted) -> None:
        """Note a record."""
        self._records[record] = None

    def all(self) -> list[Persisted]:
        """Return them."""
        return list(self._records)

    def clear(self) -> None:
        """Forget them: they are kept."""
        self._records.clear()


class Persisted:
    """A record which notes in `changes` that it has changed; with `None` nobody wants to know.

    One that notes it is of a subclass, so that assignments stay as fast as they are elsewhere.
    """

    def __init__(self, changes: Changes | None) -> None:
        self.changes = changes
        if changes is not None:
            kind: Any = type(self)  # which mypy takes for unhashable
            self.__class__ = _noting(kind)
            self.touch()

    def touch(self) -> None:
        """Say that it has changed otherwise than by an assignment."""


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
    """What a service needs of its earlier life in a store; new services have the defaults.

    `origin`: the time of its first day's date, `None` for now. `life`: how often it was
    restored. `changes`: where its records note that they have changed.
    """

    origin: float | None = None
    life: int = 0
    changes: Changes | None = None


@cache
def _noting(kind: type[Persisted]) -> Any:
    return type(kind.__name__, (_Noting, kind), {})
