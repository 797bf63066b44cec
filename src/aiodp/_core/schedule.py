"""Which lease reports next, and when: earliest deadline first, under a quota. `now` is an argument.

A lease is in flight, or waits in one of four places: `_due` until it is time for its next report,
then `_early`, `_urgent` or `_spare`. Urgent is what has a quarter of its lease left: there the
earliest deadline goes first. Then comes who is due longest, so that a few short leases cannot keep
all others waiting to the last. What is lost but still winding down gets the calls that are left.

`_ripe` holds the early leases by when they become urgent. `_expiry` holds each live lease once, by
a time not later than when it is lost; a time that has moved on is corrected when it surfaces, so
that a renewal costs nothing there.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from aiodp._core.bucket import TokenBucket
from aiodp._core.demand import Demand
from aiodp._core.lease import TICK, Lease
from aiodp._core.queue import LeaseQueue
from aiodp._types import LeaseState, LostReason, Outcome, ReportKind

if TYPE_CHECKING:
    from aiodp._core.timing import Timing
    from aiodp._types import Quota

_GOLDEN: Final = 0.6180339887498949  # multiples of it, modulo 1, spread most evenly
_CRITICAL_SHARE: Final = 0.02  # of a lease: if no more is left, the deadline will hardly be met
_LATENCY_WEIGHT: Final = 1 / 8
_CHANCE: Final = 1.2  # times the usual latency: less is too little for an answer to come in time


class Schedule:
    """All leases of a reporter. No cost per report is more than O(log n)."""

    def __init__(self, quota: Quota | None, *, max_in_flight: int, now: float) -> None:
        self.bucket = TokenBucket(quota, now)
        self.leases: dict[Lease, None] = {}  # in the order of their registration
        self.held = 0  # leases that are acknowledged and have not ended
        self.in_flight = 0
        self.sent = 0
        self.outcomes: Counter[ReportKind] = Counter()
        self.worst_lag = 0.0
        self._ended: list[Lease] = []
        self._max_in_flight = max_in_flight
        self._demand = Demand(quota)
        self._due = LeaseQueue("due_entry")
        self._early = LeaseQueue("early_entry")
        self._ripe = LeaseQueue("ripe_entry")
        self._urgent = LeaseQueue("urgent_entry")
        self._spare = LeaseQueue("spare_entry")
        self._places = (self._due, self._early, self._urgent, self._spare)
        self._expiry = LeaseQueue("expiry_entry")
        self._phase = 0.0
        self._latency = 0.0

    # Registration

    def add(self, lease: Lease, now: float) -> None:
        """Register a lease; its first report is due at once.

        A lease that the quota cannot keep alive beside those that are held already is lost here, so
        that the ones held longest survive.
        """
        self.leases[lease] = None
        lease.due_at = now
        self._demand.add(lease.timing)
        if self._demand.excessive:
            self._lose(lease, LostReason.OVERLOADED)
        else:
            self._expiry.push(lease, lease.lost_at)
            self._enqueue(lease)

    def has_room(self, count: int, timing: Timing) -> bool:
        """Return whether so many more leases would be kept alive."""
        return self._demand.has_room(count, timing)

    def remove(self, lease: Lease) -> None:
        """Forget a lease: no new report of it is started."""
        self.finish(lease)
        self.leases.pop(lease, None)

    def finish(self, lease: Lease) -> None:
        """Start no report of this lease ever again; its status is set."""
        lease.silenced = True
        if lease.live:
            lease.release()
            self._retire(lease)
        self._dequeue(lease)

    def lose_all(self, reason: LostReason, error: BaseException | None = None) -> None:
        """End every lease."""
        for lease in self.leases:
            lease.silenced = True
            lease.in_flight = False
            if lease.live:
                self._lose(lease, reason, error)
            self._dequeue(lease)

    def end_refused(self, lease: Lease, error: Exception | None) -> None:
        """End a lease that the service has given to somebody else, or forgotten."""
        lease.silenced = True
        if lease.live:
            self._lose(lease, LostReason.REFUSED, error)
        self._dequeue(lease)

    def hold(self, lease: Lease) -> None:
        """Start no report of this lease until `resume`: its status is on the way."""
        lease.on_hold = True
        self._dequeue(lease)

    def resume(self, lease: Lease) -> None:
        """Let the lease report again."""
        lease.on_hold = False
        self._enqueue(lease)

    def hurry(self, lease: Lease, now: float) -> None:
        """Make the lease's next report due now."""
        lease.due_at = min(lease.due_at, now)
        self._enqueue(lease)

    # What to do

    def take(self, now: float) -> Lease | None:
        """Return the lease to report now, in flight and paid for; None if none may be sent yet."""
        self._collect_due(now)
        if self.in_flight >= self._max_in_flight or not self.bucket.available(now):
            return None
        self._relieve(now)
        lease = self._next(now)
        if lease is None:
            return None
        self._dequeue(lease)
        self.bucket.take(now)
        self.in_flight += 1
        self.sent += 1
        self.worst_lag = max(self.worst_lag, now - lease.due_at)
        lease.in_flight = True
        return lease

    def wake_at(self, now: float) -> float | None:
        """Return when `expire` or `take` will have something to do, if nothing else happens."""
        times = [self._expiry.key(lease)] if (lease := self._expiry.peek()) else []
        if lease := self._due.peek():
            times.append(lease.due_at)
        waiting = self._urgent or self._early or self._spare
        if waiting and self.in_flight < self._max_in_flight:
            times.append(self.bucket.ready_at(now))
        return min(times) if times else None

    def expire(self, now: float) -> None:
        """Lose every lease whose time has come."""
        while (lease := self._first_to_expire()) and lease.lapsed(now):
            self._lose(lease, LostReason.EXPIRED)

    def check(self, lease: Lease, now: float) -> None:
        """Lose this lease if its time has come, even if nobody had the time to call `expire`."""
        if lease.lapsed(now):
            self._lose(lease, LostReason.EXPIRED)

    def take_ended(self) -> list[Lease]:
        """Return the leases that ended since the last call."""
        ended, self._ended = self._ended, []
        return ended

    # What came of it

    def settle(
        self,
        lease: Lease,
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
        lease.in_flight = False
        self.in_flight -= 1
        self.outcomes[outcome.kind] += 1
        if outcome.kind in (ReportKind.OK, ReportKind.TIMEOUT):  # a timeout took at least so long
            self._latency += (now - sent_at - self._latency) * _LATENCY_WEIGHT
        if outcome.kind is ReportKind.OK:
            self.bucket.succeeded()
            self._demand.granted()
            self._succeed(lease, outcome, sent_at, now)
        elif outcome.kind is ReportKind.REFUSED:
            self.end_refused(lease, outcome.error)
        elif outcome.kind is ReportKind.THROTTLED and self.bucket.limited:
            self.bucket.throttled(sent_at, now, needed=self._demand.least_rate)
            self._demand.denied()
            lease.error = outcome.error
            lease.due_at = now
        else:
            lease.error = outcome.error
            lease.due_at = now if at_once else now + lease.backoff(now, jitter)
        self._enqueue(lease)

    # What is told

    @property
    def next_due(self) -> float | None:
        """When the next waiting report is due, or was."""
        heads = [queue.peek() for queue in self._places]
        return min((lease.due_at for lease in heads if lease), default=None)

    @property
    def first_lost_at(self) -> float | None:
        """When the first lease will be lost, if no report succeeds."""
        lease = self._first_to_expire()
        return lease.lost_at if lease else None

    # Inside

    def _enqueue(self, lease: Lease) -> None:
        self._dequeue(lease)
        if lease.reportable and not lease.in_flight:
            self._due.push(lease, lease.due_at)

    def _dequeue(self, lease: Lease) -> None:
        for queue in self._places:
            queue.discard(lease)
        self._ripe.discard(lease)

    def _collect_due(self, now: float) -> None:
        while (lease := self._due.peek()) and lease.due_at <= now + TICK:
            self._due.pop()
            if lease.live:
                self._early.push(lease, lease.due_at)
                self._ripe.push(lease, lease.urgent_at)
            else:
                self._spare.push(lease, lease.urgency)
        while (lease := self._ripe.peek()) and lease.urgent_at <= now + TICK:
            self._dequeue(lease)
            self._urgent.push(lease, lease.urgency)

    def _next(self, now: float) -> Lease | None:
        """Return the waiting lease with the earliest deadline that can still be renewed in time.

        Without the second half, an overloaded schedule would spend every call on a lease that is
        lost before the answer arrives, and lose nearly all.
        """
        while lease := self._urgent.peek():
            if len(self._urgent) == 1 or lease.lost_at - now >= _CHANCE * self._latency:
                return lease
            self._urgent.pop()
            self._early.push(lease, lease.due_at)
        return self._early.peek() or self._spare.peek()

    def _first_to_expire(self) -> Lease | None:
        while lease := self._expiry.peek():
            if self._expiry.key(lease) >= lease.lost_at:
                return lease
            self._expiry.push(lease, lease.lost_at)
        return None

    def _succeed(self, lease: Lease, outcome: Outcome, sent_at: float, now: float) -> None:
        if outcome.canceled:
            lease.silenced = True
            if lease.live:
                lease.cancel()
                self._retire(lease)
            return
        first = lease.state is LeaseState.ASSIGNED
        lease.due_at = sent_at + (self._first_gap(lease) if first else lease.timing.interval)
        if not lease.live:
            return
        if lease.succeed(sent_at, now):
            self.held += first
        else:
            self._retire(lease)
            return
        if lease.lost_at < self._expiry.key(lease):
            self._expiry.push(lease, lease.lost_at)

    def _first_gap(self, lease: Lease) -> float:
        """Return the time to the second report: half an interval or more, so as not to bunch."""
        gap = lease.timing.interval * (1 - self._phase / 2)
        self._phase = (self._phase + _GOLDEN) % 1
        return gap

    def _lose(self, lease: Lease, reason: LostReason, error: BaseException | None = None) -> None:
        lease.lose(reason, error)
        self._retire(lease)

    def _retire(self, lease: Lease) -> None:
        """Settle what the end of a lease means for the others."""
        self.held -= lease.reports > 0
        self._demand.drop(lease.timing)
        self._expiry.discard(lease)
        self._ended.append(lease)
        self._enqueue(lease)

    def _relieve(self, now: float) -> None:
        """Give up the newest leases when the service grants much less than all of them need.

        That happens when others use the same account's quota.
        """
        supply = self._demand.shortage(self.bucket.rate)
        first = self._first_to_expire()
        if supply is None or first is None:
            return
        if first.lost_at - now > first.timing.usable_lease * _CRITICAL_SHARE:
            return
        for lease in reversed(self.leases):
            if self._demand.needed <= supply:
                break
            if lease.live and lease is not first:
                self._lose(lease, LostReason.OVERLOADED)
        self._demand.settle_for(supply)
