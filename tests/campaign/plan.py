"""What a seed decides before its run begins."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final, Literal

from aiodp import Quota

WORKER_GROUP: Final = "workers"
RETRIES: Final = 2
_FORMS: Final[tuple[Literal["runner", "reporter"], ...]] = ("runner", "reporter")
_CLIENTS_EVERY: Final = 20
"""Of so many runs of a kind one has real clients; the others have their transport replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The parameters of one run; durations in seconds."""

    seed: int
    backend: Literal["asyncio", "trio"]
    form: Literal["runner", "reporter"]
    """Whether the processes are task runners, or own loops of polls around a reporter."""
    clients: bool
    lease: float
    service_lease: float
    margin: float
    interval: float
    service_quotas: bool
    quota: Quota | None
    latency: float
    """The longest way to the service, or back, when nothing is wrong."""
    processes: int
    concurrency: int
    activities: int
    disturbances: int
    suspends: bool
    """Whether the machine may be suspended; looking out for that takes time in each second."""

    @classmethod
    def of(cls, seed: int) -> Plan:
        """Return the plan of a seed."""
        rng = random.Random(f"plan {seed}")
        lease = rng.choice([60.0, 300.0, 900.0])
        return cls(
            seed=seed,
            backend="trio" if seed % 2 else "asyncio",
            form=_FORMS[seed // 2 % 2],
            clients=seed // 4 % _CLIENTS_EVERY == 0,
            lease=lease,
            service_lease=lease * rng.choice([1, 1, 3]),
            margin=rng.choice([1.0, 10.0]),
            interval=min(60.0, lease / rng.choice([3, 4])),
            service_quotas=rng.random() < 0.5,
            quota=rng.choice([None, Quota(), Quota(rate=1.0, burst=20)]),
            latency=rng.choice([0.0, 0.05, 0.5]),
            processes=rng.choice([1, 2, 3]),
            concurrency=rng.choice([2, 4]),
            activities=rng.choice([6, 12]),
            disturbances=rng.choice([6, 12, 18]),
            suspends=rng.random() < 0.2,
        )

    @property
    def attempt_timeout(self) -> float:
        """How long a call may take."""
        return min(10.0, self.lease / 6)

    @property
    def third(self) -> float:
        """How long the service must be reachable for a report or a status to arrive."""
        return self.lease / 3

    def dice(self, *what: object) -> random.Random:
        """Return random numbers of one part of the run, on which no other part has an effect."""
        return random.Random(f"{self.seed} {what}")
