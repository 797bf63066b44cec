"""Seeded runs of everything against the service, and proof that each promise can be seen broken."""

from __future__ import annotations

import dataclasses
import gc
import math
import random
from collections import Counter

import pytest

from aiodp import ReportKind, StatusNotSet, TaskStatus
from aiodp._core.lease import Lease
from aiodp._core.schedule import Schedule
from aiodp._reporter import leaps
from aiodp._reporter.engine import Engine
from aiodp._reporter.record import TaskRecord
from aiodp._reporter.status import StatusSetter
from campaign.journal import INVARIANTS
from campaign.network import Network
from campaign.simulation import simulate
from virtual.fake_transport import FakeTransport

SEEDS = range(8)
MORE_SEEDS = (range(8, 32), range(1000, 1030), range(1030, 1060))


@pytest.mark.parametrize("seed", SEEDS)
def test_no_promise_is_broken(seed):
    """Whatever fails, each task has one owner, and each cancellation and status arrives."""
    assert simulate(seed).violations == []


@pytest.mark.slow
@pytest.mark.parametrize("seeds", MORE_SEEDS, ids=str)
def test_no_promise_is_broken_in_more_runs(seeds):
    """The same for some more."""
    broken = {seed: violations for seed in seeds if (violations := simulate(seed).violations)}
    assert broken == {}


@pytest.mark.parametrize("seed", [4, 5, 6, 7])
def test_a_seed_replays_exactly(seed, monkeypatch):
    """Two runs of one seed make the same calls at the same times; another seed makes others.

    Whatever else draws random numbers in the process changes nothing.
    """
    first, other = simulate(seed), simulate(seed + 4)
    latency = Network.latency

    def draw(self, *args):
        random.random()
        return latency(self, *args)

    monkeypatch.setattr(Network, "latency", draw)
    second = simulate(seed)
    assert first.log == second.log
    assert first.fingerprint == second.fingerprint != other.fingerprint


@pytest.mark.slow
def test_nothing_is_remembered_when_a_run_is_over():
    """No engine and no record of a task outlives its processes."""
    before = kept()
    for seed in range(4, 12):
        simulate(seed)
    assert kept() - before == Counter()


def kept():
    gc.collect()
    return Counter(kind for kind in map(type, gc.get_objects()) if kind in (Engine, TaskRecord))


# Mutants: each is a fault of the library that breaks one promise.


def one_owner(patch):
    """A failed report moves the deadline."""
    fail = Lease.fail

    def renew(self, error):
        fail(self, error)
        self.renewed_at += self.timing.lease_timeout

    patch.setattr(Lease, "fail", renew)


def one_owner_after_a_suspension(patch):
    """That the machine was suspended is noticed when the next report is due."""
    patch.setattr(leaps, "_LONGEST_SLEEP", math.inf)


def interrupted(patch):
    """The end of a lease does not interrupt the work."""

    def on_change(self):
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    patch.setattr(TaskRecord, "on_change", on_change)


def cancel_heard(patch):
    """A report that is answered `canceled` counts as any other."""
    report = FakeTransport.report

    async def deaf(self, task_id, fields):
        outcome = await report(self, task_id, fields)
        return dataclasses.replace(outcome, canceled=False)

    patch.setattr(FakeTransport, "report", deaf)


def lease_kept(patch):
    """Leases are given up long before they have to be."""

    def lost_at(self):
        return self.deadline - 0.9 * self.timing.lease_timeout

    patch.setattr(Lease, "lost_at", property(lost_at))


def status_once(patch):
    """A status that failed is followed by another one."""
    attempt = StatusSetter._attempt

    async def change(self, record, status, members, failures):
        status = TaskStatus.FAILED if failures else status
        return await attempt(self, record, status, members, failures)

    patch.setattr(StatusSetter, "_attempt", change)


def status_kept(patch):
    """A status is tried once."""

    def give_up(self, record, status, outcome, elapsed):
        raise StatusNotSet("once is enough")

    patch.setattr(StatusSetter, "_give_up_if_due", give_up)


def status_true(patch):
    """Every status is FINISHED."""
    set_status = FakeTransport.set_status

    async def finish(self, task_id, status, error):
        return await set_status(self, task_id, "FINISHED", {})

    patch.setattr(FakeTransport, "set_status", finish)


def silent_end(patch):
    """A report follows the status."""

    def finish(self, record):
        self.schedule.resume(record)

    patch.setattr(Engine, "finish", finish)


def nothing_left(patch):
    """A lease that ends is counted on."""
    on_end = Schedule._on_end

    def count_on(self, registration):
        on_end(self, registration)
        self.held_count += 1

    patch.setattr(Schedule, "_on_end", count_on)


def ends(patch):
    """A reporter never forgets a task, and waits for it when it is closed."""
    patch.setattr(Schedule, "remove", lambda *_: None)


def no_crash(patch):
    """A malformed answer is more than the schedule can record."""
    record_outcome = Schedule.record_outcome

    def fail(self, registration, outcome, **options):
        assert outcome.kind is not ReportKind.MALFORMED
        record_outcome(self, registration, outcome, **options)

    patch.setattr(Schedule, "record_outcome", fail)


MUTANTS = {
    one_owner: ("one owner", 41),
    one_owner_after_a_suspension: ("one owner", 7),
    interrupted: ("interrupted", 20),
    cancel_heard: ("cancel heard", 28),
    lease_kept: ("lease kept", 8),
    status_once: ("status once", 14),
    status_kept: ("status kept", 12),
    status_true: ("status true", 28),
    silent_end: ("silent end", 43),
    nothing_left: ("nothing left", 28),
    ends: ("ends", 20),
    no_crash: ("no crash", 14),
}
"""The promise that each of them breaks, and the seed of a short run in which it does."""


def test_every_promise_has_a_mutant():
    """None of them could hold only because nothing looks."""
    assert {promise for promise, _ in MUTANTS.values()} == INVARIANTS.keys()


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_fault_of_the_library_breaks_its_promise(mutant, monkeypatch):
    """Within a few seeds the campaign finds the fault that a mutant has."""
    promise, first = MUTANTS[mutant]
    mutant(monkeypatch)
    seeds = (first, *range(4, 80))
    assert any(
        broken.invariant == promise for seed in seeds for broken in simulate(seed).violations
    )
