"""Faults on demand: what goes wrong, in which calls, from when and how often."""

from __future__ import annotations

import math
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from aiodp.emulator._model.requests import REQUESTS

if TYPE_CHECKING:
    from collections.abc import Callable


class FaultKind(StrEnum):
    """What a call gets instead of its answer."""

    THROTTLE = "throttle"
    SERVER_ERROR = "server_error"
    """500 InternalServiceError."""
    UNAVAILABLE = "unavailable"
    """503 ServiceUnavailable."""
    HANG = "hang"
    """Never applied, never answered."""
    RESET = "reset"
    """Never applied; the connection is dropped."""
    SLOW = "slow"
    """Applied at once, answered after `Fault.delay`."""
    GARBAGE = "garbage"
    """200 with broken JSON."""
    EMPTY = "empty"
    """200 without a body, though nothing was applied."""
    HTML = "html"
    """200 with the page of a proxy."""
    HTML_ERROR = "html_error"
    """502 with the page of a proxy."""
    TYPE_IN_OK = "type_in_ok"
    """200 whose body names an error; botocore raises nothing for it."""
    ACCESS_DENIED = "access_denied"
    EXPIRED_TOKEN = "expired_token"  # noqa: S105 - a name, not a secret
    INVALID_REQUEST = "invalid_request"
    HANG_AFTER = "hang_after"
    """Applied, but never answered."""
    RESET_AFTER = "reset_after"
    """Applied, but the connection is dropped instead of an answer."""
    TRUNCATED = "truncated"
    """Applied, but the connection ends within the answer."""
    WRONG_TYPE = "wrong_type"
    """Applied and answered in full, but as `text/plain`."""
    CLOCK_JUMP = "clock_jump"
    """The service's time jumps `Fault.jump` seconds ahead; then the call is served as usual."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One rule of the script.

    `actions`: the operations it applies to, `None` for all. `tasks`: only calls about one of these
    task ids. `start`: service time, `None` for when it is added. `duration`: service seconds,
    `None` for no end. `count`: calls it changes at most. `every`: only each n-th matching
    call. `delay`: seconds, for `FaultKind.SLOW`. `jump`: seconds, for `FaultKind.CLOCK_JUMP`.

    Raises `ValueError` for an unknown operation and for a number out of its range, and
    `TypeError` for one name in the place of a set of names.
    """

    kind: FaultKind
    actions: frozenset[str] | None = None
    tasks: frozenset[str] | None = None
    start: float | None = None
    duration: float | None = None
    count: int | None = None
    every: int = 1
    delay: float = 0.0
    jump: float = 0.0

    def __post_init__(self) -> None:
        for name in ("actions", "tasks"):
            _check_names(name, getattr(self, name))
        unknown = (self.actions or frozenset()) - REQUESTS.keys()
        if unknown:
            known = ", ".join(REQUESTS)
            raise ValueError(f"unknown actions {sorted(unknown)}; there are: {known}")
        if self.every < 1:
            raise ValueError(f"every must be at least 1, not {self.every}")
        for name in ("start", "duration", "count", "delay", "jump"):
            _check_number(name, getattr(self, name))
        if (self.jump > 0) is not (self.kind is FaultKind.CLOCK_JUMP):
            raise ValueError(f"a jump, here {self.jump}, belongs to a fault of kind clock_jump")


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveFault:
    """A fault of the script, and how far it got.

    `start` and `end` are service times (`None`: no end), `matched` counts the calls to which its
    conditions apply, `hits` those of them which it changed.
    """

    fault: Fault
    start: float
    end: float | None
    matched: int
    hits: int


class _Rule:
    def __init__(self, fault: Fault, now: float) -> None:
        self.fault = fault
        self.start = now if fault.start is None else fault.start
        self.end = None if fault.duration is None else self.start + fault.duration
        self.matched = 0
        self.hits = 0

    def over(self, now: float) -> bool:
        return self.hits == self.fault.count or (self.end is not None and now >= self.end)

    def matches(self, action: str, task_id: Any, now: float) -> bool:
        actions, tasks = self.fault.actions, self.fault.tasks
        return (
            now >= self.start
            and (actions is None or action in actions)
            and (tasks is None or (isinstance(task_id, str) and task_id in tasks))
        )

    def hit(self, action: str, task_id: Any, now: float) -> bool:
        """Count a call; return whether the fault changes it."""
        if not self.matches(action, task_id, now):
            return False
        self.matched += 1
        if self.matched % self.fault.every:
            return False
        self.hits += 1
        return True


class Faults:
    """The script. Of several faults that match a call, the one added first changes it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rules: list[_Rule] = []

    def add(self, fault: Fault) -> None:
        """Put a fault into the script."""
        self._rules.append(_Rule(fault, self._clock()))

    def clear(self) -> None:
        """End every fault. Calls which hang already go on hanging until their client gives up."""
        self._rules.clear()

    @property
    def active(self) -> tuple[ActiveFault, ...]:
        """The faults which are not over, in the order in which they were added."""
        self._forget(self._clock())
        return tuple(
            ActiveFault(
                fault=rule.fault,
                start=rule.start,
                end=rule.end,
                matched=rule.matched,
                hits=rule.hits,
            )
            for rule in self._rules
        )

    def match(self, action: str, now: float, task_id: Any = None) -> Fault | None:
        """Return the fault that changes this call, and count it; the task id may be anything."""
        if not self._rules:
            return None
        self._forget(now)
        hitting = (rule for rule in self._rules if rule.hit(action, task_id, now))
        return next((rule.fault for rule in hitting), None)

    def _forget(self, now: float) -> None:
        self._rules = [rule for rule in self._rules if not rule.over(now)]


def _check_names(name: str, value: object) -> None:
    if value is not None and not isinstance(value, AbstractSet):
        raise TypeError(f"{name} must be a set of names, such as {{'...'}}, not {value!r}")


def _check_number(name: str, value: float | None) -> None:
    if value is None:
        return
    if not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number, not {value}")
    if value < 0 and name != "start":  # the clock's origin may be anywhere
        raise ValueError(f"{name} must not be negative, but is {value}")
