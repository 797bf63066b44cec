"""The choices which the page about the local service names, and where each is proved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aiodp.emulator import Settings
from unit.emulator.lifecycle_kit import Lifecycle
from unit.emulator.lifecycle_objects import activity, daily

if TYPE_CHECKING:
    from collections.abc import Callable

INVALID: Final = "InvalidRequestException"
NOT_FOUND: Final = "TaskNotFoundException"
PROOFS: Final[dict[str, Callable[[], None]]] = {}
"""By the words with which the question begins."""


def proves(question: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Say with which words the question begins whose answer a function proves."""

    def note(proof: Callable[[], None]) -> Callable[[], None]:
        PROOFS[question] = proof
        return proof

    return note


def kit(definition: Any = None, **settings: Any) -> Lifecycle:
    """Return a service that runs this definition, or an activity `A`, with usual leases."""
    made = Lifecycle(**({"lease_timeout": Settings().lease_timeout} | settings))
    made.launch(daily(A=activity()) if definition is None else definition)
    return made


def error(answer: dict[str, Any]) -> str | None:
    """Return the name of the error in an answer, if it is one."""
    return answer.get("error")
