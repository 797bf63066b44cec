"""What can be done is done, by one worker at a time, whatever objects share across schedules."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unit.emulator.lifecycle_invariants import check_ids
from unit.emulator.lifecycle_kit import Lifecycle
from unit.emulator.lifecycle_objects import (
    Definition,
    Ref,
    activity,
    key_exists,
    node,
    on_resource,
    resource,
    schedule,
    shell_precondition,
    stamp,
)

PERIODS = ("15 minutes", "20 minutes", "30 minutes", "1 hour", "90 minutes")
STEPS = 2000


class Author:
    """Makes a definition with several schedules, which some objects have and others do not."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.definition: Definition = {}
        self._make("S", 3, self._schedule, least=1)
        self._make("P", 2, self._precondition)
        self._make("R", 2, lambda: resource(schedule=self._perhaps("S", 0.6)))
        self._make("D", 2, lambda: self._guarded(node))
        self._make("A", 5, self._activity, least=1)
        objects = list(self.definition.items())
        self.random.shuffle(objects)
        self.definition = dict(objects)

    def _make(self, prefix, most, make, least=0):
        for n in range(self.random.randint(least, most)):
            self.definition[f"{prefix}{n}"] = make()

    def _perhaps(self, prefix, chance):
        """Return a reference to one of those there are, or none."""
        names = [name for name in self.definition if name.startswith(prefix)]
        return Ref(self.random.choice(names)) if names and self.random.random() < chance else None

    def _schedule(self):
        start = stamp(minutes=self.random.choice([0, 0, 0, 10, 30, 60]))
        count = str(self.random.randint(1, 5))
        return schedule(self.random.choice(PERIODS), startDateTime=start, occurrences=count)

    def _precondition(self):
        return self.random.choice([shell_precondition(workerGroup="workers"), key_exists()])

    def _guarded(self, make, *args, **fields):
        fields |= {"schedule": self._perhaps("S", 0.6), "precondition": self._perhaps("P", 0.3)}
        return make(*args, **fields)

    def _activity(self):
        fields = {
            "dependsOn": self._perhaps("A", 0.6),
            "input": self._perhaps("D", 0.4),
            "maxActiveInstances": self.random.choice([None, None, "1"]),
            "scheduleType": self.random.choice(["cron", "cron", "timeseries"]),
        }
        if "A0" not in self.definition and fields["input"] is None:
            fields["output"] = self._perhaps("D", 0.5)
        box = self._perhaps("R", 0.5)
        return (
            self._guarded(activity, **fields)
            if box is None
            else self._guarded(on_resource, box, **fields)
        )


def work(kit: Lifecycle, chance: random.Random) -> None:
    """Do all the work, several tasks at a time, until the pipeline is FINISHED."""
    held = []
    for _ in range(STEPS):
        taken = kit.take()
        if taken is not None:
            kit.report(taken)
            held.append(taken)
        else:
            kit.move(minutes=chance.choice([0.5, 1, 5]))
        if held and chance.random() < 0.5:
            assert kit.end(held.pop(chance.randrange(len(held)))) == {}
        if kit.state() == "FINISHED":
            return


@pytest.mark.parametrize("runs", [40, pytest.param(150, marks=pytest.mark.slow)])
def test_every_pipeline_comes_to_its_end(runs):
    """With workers that succeed each instance is FINISHED."""

    @settings(max_examples=runs, deadline=None)
    @given(seed=st.integers(0, 2**32))
    def run(seed):
        author = Author(seed)
        kit = Lifecycle(resource_worker_group="workers", instance_interval=0.0, max_retries=0)
        kit.outside.objects.add("s3://bucket/ready")
        kit.prepare(author.definition)
        kit.move(minutes=author.random.choice([0, 0, 45]))
        assert kit.activate() == {}
        work(kit, author.random)
        assert set(kit.runs().values()) == {"FINISHED"}, (kit.runs(), author.definition)
        assert kit.state() == "FINISHED"
        check_ids(kit.service, kit.pipeline_id)
        kit.service.audit.assert_single_owner()

    run()
