"""What the service does with a component, which its type says."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from aiodp.emulator._definition.object_types import BaseType, base_of


class Kind(Enum):
    """The kinds of components."""

    ACTIVITY = auto()
    DATA_NODE = auto()
    RESOURCE = auto()
    RUNNER_PRECONDITION = auto()
    """A precondition which task runners check."""
    SERVICE_PRECONDITION = auto()
    """A precondition which the service checks itself."""
    ACTION = auto()
    SCHEDULE = auto()
    PASSIVE = auto()
    """Databases, formats, `Default`: referred to, but never run."""


_KINDS: Final = {
    BaseType.ACTIVITY: Kind.ACTIVITY,
    BaseType.DATA_NODE: Kind.DATA_NODE,
    BaseType.RESOURCE: Kind.RESOURCE,
    BaseType.PRECONDITION: Kind.SERVICE_PRECONDITION,
    BaseType.ACTION: Kind.ACTION,
    BaseType.SCHEDULE: Kind.SCHEDULE,
}
_CHECKED_BY_RUNNERS: Final = frozenset({"Exists", "ShellCommandPrecondition"})
PRECONDITIONS: Final = frozenset({Kind.RUNNER_PRECONDITION, Kind.SERVICE_PRECONDITION})
WITH_TASKS: Final = frozenset({Kind.ACTIVITY, Kind.RUNNER_PRECONDITION})
SCHEDULED: Final = frozenset({Kind.ACTIVITY, Kind.DATA_NODE, Kind.RESOURCE})
"""Kinds which have an instance in each slot; preconditions have one for each object they guard."""


def kind_of(type_name: str) -> Kind:
    """Return what is done with components of this type."""
    if type_name in _CHECKED_BY_RUNNERS:
        return Kind.RUNNER_PRECONDITION
    base = base_of(type_name)
    return Kind.PASSIVE if base is None else _KINDS.get(base, Kind.PASSIVE)
