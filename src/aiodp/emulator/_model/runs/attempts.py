"""Attempts: how an instance is tried, and tried again.

A failed attempt is followed by another while tries are left. Only then has its instance failed, and
its dependants with it (the Developer Guide, dp-how-tasks-scheduled).
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from aiodp.emulator._definition.expressions import ExpressionError
from aiodp.emulator._definition.fields import Fields, strings
from aiodp.emulator._definition.kinds import PRECONDITIONS
from aiodp.emulator._model.records import TERMINAL, Attempt, Instance, Pipeline, Status
from aiodp.emulator._model.runs.placement import activity_of, resource_for
from aiodp.emulator._model.scopes import ObjectScope
from aiodp.emulator._model.timers import Due

if TYPE_CHECKING:
    from aiodp.emulator._model.context import Context
    from aiodp.emulator._model.leases import Leases
    from aiodp.emulator._model.runs.lifecycle import Lifecycle


class Attempts:
    """Makes attempts, and decides what follows from what happens to their leases."""

    def __init__(self, context: Context, leases: Leases, lifecycle: Lifecycle) -> None:
        self._settings = context.settings
        self._calendar = context.calendar
        self._timers = context.timers
        self._reader = context.reader
        self._leases = leases
        self._lifecycle = lifecycle
        self._timers.handle(Due.RETRY, self.make)
        self._timers.handle(Due.ATTEMPT, self._time_out)

    def make(self, instance: Instance, now: float) -> None:
        """Make a new attempt of an instance, and offer it."""
        attempt = Attempt(instance)
        instance.attempts.append(attempt)
        instance.pipeline.attempts[attempt.id] = attempt
        if instance.runs_on is None:  # of a precondition it is only known by now
            instance.pipeline.place(instance, resource_for(instance, self._calendar))
        attempt.worker_group = self._reader.worker_group(instance)
        attempt.lease_timeout = self._reader.lease(instance)
        self._lifecycle.set(instance, Status.WAITING_FOR_RUNNER, now)
        error = self._broken_expression(attempt, now)
        if error is None:
            self._leases.offer(attempt, now)
        else:
            attempt.outcome = strings(errorId="Service_ExpressionError", errorMessage=error)
            self._fail(attempt, now, self._reader.retry_delay(instance))

    def stop(self, instance: Instance, status: Status, now: float) -> None:
        """End the newest attempt; its worker, if it has one, learns it from its next report."""
        attempt = instance.head
        if attempt is not None and attempt.status not in TERMINAL:
            self._leases.cancel(attempt, now)
            self._close(attempt, status, now)

    def offer_waiting(self, pipeline: Pipeline, now: float) -> None:
        """Offer all attempts that wait for a runner, when nothing holds them back any more."""
        for instance in sorted(pipeline.open.values(), key=attrgetter("scheduled_at")):
            if instance.head is not None:
                self._leases.offer(instance.head, now)

    # What happens to their leases

    def may_run(self, attempt: Attempt) -> bool:
        """Return whether the attempt may be handed out now."""
        instance, pipeline = attempt.instance, attempt.pipeline
        activity, _ = activity_of(instance, self._calendar)
        resource = instance.resource
        return (
            attempt.status is Status.WAITING_FOR_RUNNER
            and pipeline.state is Status.SCHEDULED
            and not pipeline.deleted
            and pipeline.paused.isdisjoint((instance.component.id, activity.component.id))
            and (
                instance.runs_on is None
                or (resource is not None and resource.status is Status.RUNNING)
            )
        )

    def handed_out(self, attempt: Attempt, now: float) -> None:
        """Note the start of an attempt, from which its timeout counts."""
        if attempt.started_at is not None:
            return
        attempt.started_at = now
        timeout = self._reader.period(attempt.instance, "attemptTimeout")
        if timeout is not None:
            self._timers.set(attempt, Due.ATTEMPT, now + timeout)

    def acknowledged(self, attempt: Attempt, now: float) -> None:
        """Let an attempt run."""
        attempt.status = Status.RUNNING
        self._lifecycle.set(attempt.instance, Status.RUNNING, now)

    def given_back(self, attempt: Attempt, now: float) -> None:
        """Offer an attempt again, at the end of the queue, because nobody has acknowledged it."""
        self._leases.offer(attempt, now)
        self._lifecycle.on_idle(attempt.pipeline, now)

    def lapsed(self, attempt: Attempt, now: float) -> None:
        """Fail an attempt whose worker does not report; the next one follows soon."""
        seconds = f"{attempt.lease_timeout:g}"
        attempt.outcome = strings(errorMessage=f"No progress was reported for {seconds} s")
        self._fail(attempt, now, self._settings.stalled_retry_delay)

    def ended(self, attempt: Attempt, status: str, outcome: Fields, now: float) -> None:
        """End an attempt with its worker's status; FALSE means a precondition is not met yet."""
        attempt.outcome = outcome
        instance = attempt.instance
        delay = self._reader.retry_delay(instance)
        if status == Status.FINISHED:
            self._close(attempt, Status.FINISHED, now)
            self._lifecycle.set(instance, Status.FINISHED, now)
        elif status == "FALSE" and instance.kind in PRECONDITIONS:
            self._close(attempt, Status.FAILED, now)
            self._try_again(instance, now, delay)
        else:
            self._fail(attempt, now, delay)

    # Parts

    def _time_out(self, attempt: Attempt, now: float) -> None:
        self._leases.time_out(attempt, now)
        seconds = self._reader.period(attempt.instance, "attemptTimeout") or 0.0
        attempt.outcome = strings(
            errorMessage=f"The attempt timed out: its attemptTimeout is {seconds:g} s"
        )
        self._fail(attempt, now, self._reader.retry_delay(attempt.instance))

    def _fail(self, attempt: Attempt, now: float, delay: float) -> None:
        instance = attempt.instance
        self._close(attempt, Status.FAILED, now)
        if instance.tries_left <= 0:
            self._lifecycle.set(instance, Status.FAILED, now)
            return
        instance.tries_left -= 1
        self._try_again(instance, now, delay)

    def _try_again(self, instance: Instance, now: float, delay: float) -> None:
        if instance.status is not Status.WAITING_FOR_RUNNER:
            self._lifecycle.set(instance, Status.WAITING_FOR_RUNNER, now)
        if delay > 0:
            self._timers.set(instance, Due.RETRY, now + delay)
        else:
            self.make(instance, now)
        self._lifecycle.on_idle(instance.pipeline, now)

    def _close(self, attempt: Attempt, status: Status, now: float) -> None:
        attempt.status = status
        attempt.ended_at = now
        self._leases.withdraw(attempt)
        self._timers.stop(attempt)

    def _broken_expression(self, attempt: Attempt, now: float) -> str | None:
        """Return why a field has no value, though nobody has taken the attempt yet."""
        if not attempt.instance.component.has_expressions:
            return None
        taken = strings(at_actualStartTime=self._calendar.stamp(now), hostname="unknown")
        try:
            ObjectScope(attempt.id, attempt.pipeline, self._calendar, taken).evaluated()
        except ExpressionError as error:
            return str(error)
        return None
