"""The lease of one task: a state machine without clock, I/O or randomness.

The rules, from the API reference of ReportTaskProgress and from what peers learned:

1. A lease begins ASSIGNED and must be acknowledged by a first report before its deadline.
2. The deadline is the *send* time of the last *successful* report plus the lease timeout; before
   the first, the time of assignment plus the acknowledgement timeout. Only a success moves it.
3. Once acknowledged, the lease is given up a safety margin before its deadline, so that the work
   can stop before the service hands the task to somebody else. Before that there is no work to
   stop, and no margin.
4. A success counts only if it arrives before the lease is given up.
5. CANCELED, LOST and RELEASED are final. A lease that lapsed here is still reported while its work
   winds down, for a late report may still be in time; one that the service has ended is not, and
   neither is one that was never acknowledged: nobody works on it, but the service would think so.
6. A lease that has lasted for its longest time is lost and reported no more, so that a task that
   hangs comes to somebody else.

Every change of state is a row of `TRANSITIONS`; any other raises `IllegalTransition` and changes
nothing. The state changes last, for other threads read it. All that changes a lease is in this
file.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from aiodp._core.text import task_extra
from aiodp._types import LeaseState, LostReason

if TYPE_CHECKING:
    from aiodp._core.timing import Timing

TICK: Final = 0.001
"""The shortest wait in seconds. What falls due within it is due now, so that no clock's rounding
makes a loop spin."""

_WINDING_DOWN: Final = frozenset({LostReason.EXPIRED, LostReason.OVERLOADED, LostReason.TIME_LIMIT})
_MAX_DOUBLINGS: Final = 8


class LeaseEvent(Enum):
    """What can happen to a lease."""

    SUCCEED = auto()
    CANCEL = auto()
    LOSE = auto()
    RELEASE = auto()


TRANSITIONS: Final = {
    (LeaseState.ASSIGNED, LeaseEvent.SUCCEED): LeaseState.HELD,
    (LeaseState.ASSIGNED, LeaseEvent.CANCEL): LeaseState.CANCELED,
    (LeaseState.ASSIGNED, LeaseEvent.LOSE): LeaseState.LOST,
    (LeaseState.ASSIGNED, LeaseEvent.RELEASE): LeaseState.RELEASED,
    (LeaseState.HELD, LeaseEvent.SUCCEED): LeaseState.HELD,
    (LeaseState.HELD, LeaseEvent.CANCEL): LeaseState.CANCELED,
    (LeaseState.HELD, LeaseEvent.LOSE): LeaseState.LOST,
    (LeaseState.HELD, LeaseEvent.RELEASE): LeaseState.RELEASED,
}


class IllegalTransition(RuntimeError):  # noqa: N818 - h11's naming: it says what was tried
    """An event that the lease's state does not allow: a bug in the caller."""


class Lease:
    """The right to work on one task, for as long as reports renew it."""

    __slots__ = (
        "about",
        "error",
        "failures",
        "held_until",
        "lost_reason",
        "renewed_at",
        "reports",
        "state",
        "task_id",
        "timing",
    )

    def __init__(self, task_id: str, timing: Timing, assigned_at: float) -> None:
        self.task_id = task_id
        self.about: dict[str, object] | None = None  # what log records say of the task, if known
        self.timing = timing
        self.state = LeaseState.ASSIGNED
        self.renewed_at = assigned_at  # then the send time of the last report that succeeded
        self.held_until = assigned_at + timing.max_lease
        self.lost_reason: LostReason | None = None
        self.reports = 0
        self.failures = 0
        self.error: BaseException | None = None

    @property
    def extra(self) -> dict[str, object]:
        """What log records say of the task."""
        return self.about or task_extra(self.task_id)

    @property
    def live(self) -> bool:
        """Whether the task is ours, or on the way to be."""
        return self.state in (LeaseState.ASSIGNED, LeaseState.HELD)

    @property
    def last_reported_at(self) -> float | None:
        """When the last report that succeeded was sent."""
        return self.renewed_at if self.reports else None

    @property
    def deadline(self) -> float:
        """When the service may give the task to somebody else (rule 2)."""
        timing = self.timing
        return self.renewed_at + (timing.lease_timeout if self.reports else timing.ack_timeout)

    @property
    def renew_by(self) -> float:
        """When the lease is given up unless a report succeeds (rule 3)."""
        if self.state is LeaseState.ASSIGNED:
            return self.deadline
        return self.deadline - self.timing.safety_margin

    @property
    def lost_at(self) -> float:
        """When the lease is given up if no report succeeds before, or its time is over (rule 6)."""
        return min(self.renew_by, self.held_until)

    @property
    def lapse_reason(self) -> LostReason:
        """Why the lease is lost if it lapses."""
        over = self.held_until < self.renew_by
        return LostReason.TIME_LIMIT if over else LostReason.EXPIRED

    @property
    def winding_down(self) -> bool:
        """Whether the lease was given up here, while the service may hold it for us (rule 5)."""
        lost = self.state is LeaseState.LOST and self.reports > 0
        return lost and self.lost_reason in _WINDING_DOWN

    def lapsed(self, now: float) -> bool:
        """Return whether the lease must be given up by now, even if it has not been yet."""
        return self.live and now + TICK >= self.lost_at

    def succeed(self, sent_at: float, now: float) -> bool:
        """Renew by a report sent at `sent_at`; return whether it was still in time (rule 4)."""
        if not self.live:
            return False
        if self.lapsed(now):
            self.lose(self.lapse_reason)
            return False
        self.renewed_at = sent_at
        self.reports += 1
        self.failures = 0
        self.error = None
        self.state = self._state_after(LeaseEvent.SUCCEED)
        return True

    def fail(self, error: BaseException | None) -> None:
        """Remember why a report failed: it is the cause if the lease is lost."""
        self.error = error

    def cancel(self) -> None:
        """End the lease: the service answered `canceled`."""
        self.state = self._state_after(LeaseEvent.CANCEL)

    def lose(self, reason: LostReason, error: BaseException | None = None) -> None:
        """End the lease: the task is not ours, or soon will not be."""
        state = self._state_after(LeaseEvent.LOSE)
        self.lost_reason = reason
        self.error = error or self.error
        self.state = state

    def release(self) -> None:
        """End the lease by our own decision."""
        self.state = self._state_after(LeaseEvent.RELEASE)

    def attempt_timeout(self, now: float) -> float:
        """Return how long one call may take, in seconds.

        At most a third of what is left of the lease, so that one hanging call never costs it.
        """
        left = self.deadline - now
        if left <= 0:  # lapsed: nothing can be lost any more
            return self.timing.attempt_timeout
        return max(min(self.timing.attempt_timeout, left / 3), TICK)

    def backoff(self, now: float, jitter: float) -> float:
        """Count a failure and return the seconds until the next try; `jitter` is from 0 to 1."""
        self.failures += 1
        left = (self.lost_at if self.live else self.deadline) - now
        return retry_delay(self.timing, self.failures, left, jitter, elapsed=-left)

    def _state_after(self, event: LeaseEvent) -> LeaseState:
        try:
            return TRANSITIONS[self.state, event]
        except KeyError:
            raise IllegalTransition(f"{event.name} in state {self.state.name}") from None


def retry_delay(
    timing: Timing, failures: int, left: float, jitter: float, *, elapsed: float = 0.0
) -> float:
    """Return the seconds to wait after so many failures, with `left` seconds to succeed in.

    Doubles from a hundred-and-twentieth of the interval to a quarter of it, and never takes more
    than a quarter of what is left. What has failed for `elapsed` seconds may wait for a sixteenth
    of them, up to the interval. `jitter`, from 0 to 1, takes away up to a half.
    """
    shortest = timing.interval / 120
    longest = max(timing.interval / 4, min(timing.interval, elapsed / 16))
    doubled = shortest * 2.0 ** min(failures, _MAX_DOUBLINGS)
    wait = min(longest, doubled)
    if left > 0:
        wait = max(min(wait, left / 4), shortest)
    return max(wait * (1 - jitter / 2), TICK)
