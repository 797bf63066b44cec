"""Polls of a worker group without work while another one's work waits: mostly a name misspelt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from aiodp.emulator._model.service import Service

PATIENCE: Final = 7.0
"""Real seconds for which polls may be in vain: more than a poll of the fixture's is held.

A worker which polls several groups in turn comes to another one meanwhile.
"""


class Patience:
    """How long waits and polls go on while polls are in vain; `clock` gives real seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since = clock()
        self._polled: frozenset[str] = frozenset()

    def is_over(self, service: Service) -> bool:
        """Return whether polls have been in vain for too long, and no other group was polled."""
        polled = service.model.worker_api.polls.groups
        if polled != self._polled or not polls_in_vain(service):
            self._polled, self._since = polled, self._clock()
        return self._clock() - self._since >= PATIENCE


def polls_in_vain(service: Service) -> list[str]:
    """Return a line for each polled group for which no work has ever been, but for others."""
    return list(_lines(service, service.model.worker_api.polls.in_vain))


def polls_without_work(service: Service) -> list[str]:
    """Return the same also for polls which are still held, or which were abandoned."""
    polls = service.model.worker_api.polls
    return list(_lines(service, dict.fromkeys(sorted(polls.groups), polls.unpolled)))


def _lines(service: Service, polls: Mapping[str, Collection[str]]) -> Iterator[str]:
    known = _groups(service) if any(polls.values()) else set()
    for group, others in polls.items():
        waiting = {other: _count(service, other) for other in sorted(others)}
        said = ", ".join(f"{other!r} has {number}" for other, number in waiting.items() if number)
        if said and group not in known:
            yield f"nothing waits in {group!r}; {said}"


def _groups(service: Service) -> set[str | None]:
    """Return the worker groups of all runs, those included which do not wait for a poll yet."""
    read = service.model.context.reader.worker_group
    pipelines = service.model.catalog.pipelines.values()
    return {read(instance) for each in pipelines for instance in each.instances.values()}


def _count(service: Service, worker_group: str) -> int:
    leases = service.model.leases
    return sum(map(leases.rules.may_run, leases.queues[worker_group]))
