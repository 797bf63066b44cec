"""Which lease reports next, and when: earliest deadline first, under a quota. `now` is an argument.

A lease is in flight, or waits in the queue of reports. `_expiry` holds each live lease once, by a
time not later than when it is lost; a time that has moved on is corrected when it surfaces, so that
a renewal costs nothing there.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from aiodp._core.bucket import TokenBucket
from aiodp._core.demand import Demand
from aiodp._core.queue import PriorityQueue
from aiodp._core.registration import Registration, Registrations
from aiodp._core.report_queue import ReportQueue
from aiodp._types import LeaseState, LostReason, Outcome, ReportKind

if TYPE_CHECKING:
    from aiodp._core.timing import Timing
    from aiodp._types import Quota

_GOLDEN: Final = 0.6180339887498949  # multiples of it, modulo 1, spread most evenly
_CRITICAL_SHARE: Final = 0.02  # of a lease: if no more is left, the deadline will hardly be met
_LATENCY_WEIGHT: Final = 1 / 8


class Schedule:
    """All leases of a reporter. No cost per report is more than O(log n)."""

    def __init__(self, quota: Quota | None, *, max_in_flight: int, now: float) -> None:
        self.bucket = TokenBucket(quota, now)
        self.registrations = Registrations()
        self.held_count = 0  # leases that are acknowledged and have not ended
        self.in_flight = 0
        self.sent = 0
        self.outcomes: Counter[ReportKind] = Counter()
        self.worst_lag = 0.0
        self._ended: list[Registration] = []
        self._max_in_flight = max_in_flight
        self._demand = Demand(quota)
        self._reports = ReportQueue()
        self._expiry: PriorityQueue[Registration] = PriorityQueue()
        self._phase = 0.0
        self._latency = 0.0

    # Registration

    def add(self, registration: Registration, now: float) -> None:
        """Register a lease; its first report is due at once.

        A lease that the quota cannot keep alive beside those that are held already is lost here, so
        that the ones held longest survive.
        """
        self.registrations.add(registration)
        registration.due_at = now
        self._demand.add(registration.timing)
        self.bucket.raise_to(self._demand.least_rate, now)
        if self._demand.excessive:
            self._lose(registration, LostReason.OVERLOADED)
        else:
            registration.expiry = self._expiry.push(registration, registration.lost_at)
            self._enqueue(registration)

    def has_room(self, count: int, timing: Timing) -> bool:
        """Return whether so many more leases would be kept alive."""
        return self._demand.has_room(count, timing)

    def remove(self, registration: Registration) -> None:
        """Forget a lease: no new report of it is started."""
        self.finish(registration)
        self.registrations.discard(registration)

    def finish(self, registration: Registration) -> None:
        """Start no report of this lease ever again; its status is set."""
        registration.reporting_stopped = True
        if registration.live:
            registration.release()
            self._on_end(registration)
        self._reports.discard(registration)

    def reject(self, registration: Registration) -> None:
        """End a lease whose first report the configuration does not allow."""
        registration.rejected = True
        self.finish(registration)

    def refuse(self, registration: Registration, error: Exception | None) -> None:
        """End a lease that the service has given to somebody else, or forgotten."""
        registration.reporting_stopped = True
        if registration.live:
            self._lose(registration, LostReason.REFUSED, error)
        self._reports.discard(registration)

    def lose_all(self, reason: LostReason, error: BaseException | None = None) -> None:
        """End every lease."""
        for registration in self.registrations:
            registration.reporting_stopped = True
            registration.in_flight = False
            if registration.live:
                self._lose(registration, reason, error)
            self._reports.discard(registration)

    def pause(self, registration: Registration) -> None:
        """Start no report of this lease until `resume`: its status is on the way."""
        registration.paused = True
        self._reports.discard(registration)

    def resume(self, registration: Registration) -> None:
        """Let the lease report again."""
        registration.paused = False
        self._enqueue(registration)

    def make_due(self, registration: Registration, now: float) -> None:
        """Make the lease's next report due now."""
        registration.due_at = min(registration.due_at, now)
        self._enqueue(registration)

    # What to do

    def next_lease(self, now: float) -> Registration | None:
        """Return the lease to report now, in flight and paid for; None if none may be sent yet."""
        self._reports.collect_due(now)
        if self.in_flight >= self._max_in_flight or not self.bucket.available(now):
            return None
        self._shed_overload(now)
        registration = self._reports.next(now, self._latency)
        if registration is None:
            return None
        self._reports.discard(registration)
        self.bucket.spend(now)
        self.in_flight += 1
        self.sent += 1
        self.worst_lag = max(self.worst_lag, now - registration.due_at)
        registration.in_flight = True
        return registration

    def wake_at(self, now: float) -> float | None:
        """Return when `expire` or `next_lease` has something to do, if nothing else happens."""
        times = [self._expiry_of(first)] if (first := self._expiry.peek()) else []
        if (due_at := self._reports.due_next_at) is not None:
            times.append(due_at)
        if self._reports.has_ready and self.in_flight < self._max_in_flight:
            times.append(self.bucket.ready_at(now))
        return min(times) if times else None

    def expire(self, now: float) -> None:
        """Lose every lease whose time has come."""
        while (first := self._first_to_expire()) and first.lapsed(now):
            self._lose(first, first.lapse_reason)

    def check(self, registration: Registration, now: float) -> None:
        """Lose this lease if its time has come, even if `expire` was not called in time."""
        if registration.lapsed(now):
            self._lose(registration, registration.lapse_reason)

    def take_ended(self) -> list[Registration]:
        """Return the leases that ended since the last call."""
        ended, self._ended = self._ended, []
        return ended

    # What came of it

    def record_outcome(
        self,
        registration: Registration,
        outcome: Outcome,
        *,
        sent_at: float,
        now: float,
        jitter: float,
        at_once: bool = False,
    ) -> None:
        """Learn the outcome of a report.

        `jitter`, from 0 to 1, spreads the tries after failures, unless they are to be made at once.
        """
        kind = outcome.kind
        registration.in_flight = False
        self.in_flight -= 1
        self.outcomes[kind] += 1
        if kind in (ReportKind.OK, ReportKind.TIMEOUT):  # a timeout took at least so long
            self._latency += (now - sent_at - self._latency) * _LATENCY_WEIGHT
        if kind is ReportKind.OK:
            self.bucket.succeeded()
            self._demand.granted()
            self._record_success(registration, sent_at, now, canceled=outcome.canceled)
        elif kind is ReportKind.REFUSED:
            self.refuse(registration, outcome.error)
        elif kind is ReportKind.THROTTLED and self.bucket.limited:
            self.bucket.throttled(sent_at, now, needed=self._demand.least_rate)
            self._demand.denied()
            registration.fail(outcome.error)
            # One that is given up has nothing to lose, and leaves what is granted to the others.
            delay = 0.0 if registration.live else registration.backoff(now, jitter)
            registration.due_at = now + delay
        else:
            registration.fail(outcome.error)
            registration.due_at = now + (0.0 if at_once else registration.backoff(now, jitter))
        self._enqueue(registration)

    # What is asked

    @property
    def next_due(self) -> float | None:
        """When the next waiting report is due, or was."""
        return self._reports.first_due_at

    @property
    def first_lost_at(self) -> float | None:
        """When the first lease will be lost, if no report succeeds."""
        return first.lost_at if (first := self._first_to_expire()) else None

    # Parts

    def _enqueue(self, registration: Registration) -> None:
        if registration.reportable and not registration.in_flight:
            self._reports.put(registration)
        else:
            self._reports.discard(registration)

    def _first_to_expire(self) -> Registration | None:
        while first := self._expiry.peek():
            if self._expiry_of(first) >= first.lost_at:
                return first
            self._move_expiry(first)
        return None

    def _expiry_of(self, registration: Registration) -> float:
        assert registration.expiry is not None  # noqa: S101 - of a live lease
        return registration.expiry.key

    def _move_expiry(self, registration: Registration) -> None:
        self._discard_expiry(registration)
        registration.expiry = self._expiry.push(registration, registration.lost_at)

    def _discard_expiry(self, registration: Registration) -> None:
        if registration.expiry is not None:
            self._expiry.discard(registration.expiry)
            registration.expiry = None

    def _record_success(
        self, registration: Registration, sent_at: float, now: float, *, canceled: bool
    ) -> None:
        if canceled:
            registration.reporting_stopped = True
            if registration.live:
                registration.cancel()
                self._on_end(registration)
            return
        first = registration.state is LeaseState.ASSIGNED
        gap = self._first_gap(registration) if first else registration.timing.interval
        registration.due_at = sent_at + gap
        if not registration.live:
            return
        if not registration.succeed(sent_at, now):
            self._on_end(registration)
            return
        registration.last_success = registration.sequence
        self.held_count += first
        if registration.lost_at < self._expiry_of(registration):
            self._move_expiry(registration)

    def _first_gap(self, registration: Registration) -> float:
        """Return the time to the second report: half an interval or more, so as not to bunch."""
        gap = registration.timing.interval * (1 - self._phase / 2)
        self._phase = (self._phase + _GOLDEN) % 1
        return gap

    def _lose(
        self, registration: Registration, reason: LostReason, error: BaseException | None = None
    ) -> None:
        registration.lose(reason, error)
        self._on_end(registration)

    def _on_end(self, registration: Registration) -> None:
        """Do what the end of a lease means for the others."""
        self.held_count -= registration.reports > 0
        self._demand.drop(registration.timing)
        self._discard_expiry(registration)
        self._ended.append(registration)
        self._enqueue(registration)

    def _shed_overload(self, now: float) -> None:
        """Give up the newest leases when the service grants much less than all of them need.

        That happens when others use the same account's quota.
        """
        supply = self._demand.shortage(self.bucket.rate)
        first = self._first_to_expire()
        if supply is None or first is None:
            return
        if first.renew_by - now > first.timing.usable_lease * _CRITICAL_SHARE:
            return
        for registration in reversed(self.registrations):
            if self._demand.needed <= supply:
                break
            if registration.live and registration is not first:
                self._lose(registration, LostReason.OVERLOADED)
        self._demand.cap_at(supply)
