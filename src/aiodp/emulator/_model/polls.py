"""Which worker groups are polled, and which have work that nobody has ever polled for."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_GROUPS: Final = 1000
"""Polled worker groups which are remembered: a poll may name any."""


class Polls:
    """The worker groups that were polled, of which the latest thousand are remembered.

    `queues` are the attempts that wait, by worker group.
    """

    def __init__(self, queues: Mapping[str, Mapping[Any, None]]) -> None:
        self._queues = queues
        self._polled: OrderedDict[str, float] = OrderedDict()
        self._beside: dict[str, frozenset[str]] = {}

    def begin(self, worker_group: str, now: float) -> frozenset[str]:
        """Note a poll; return the groups with work for which there never was one."""
        self._polled[worker_group] = now
        self._polled.move_to_end(worker_group)
        if len(self._polled) > MAX_GROUPS:
            forgotten, _ = self._polled.popitem(last=False)
            self._beside.pop(forgotten, None)
        return self.unpolled

    def end_empty(self, worker_group: str, unpolled: frozenset[str]) -> None:
        """Note that a poll found no work; `unpolled` is what `begin` returned for it."""
        if worker_group in self._polled:
            self._beside[worker_group] = unpolled

    def last(self, worker_group: str) -> float | None:
        """Return when a group was last polled, in the service's time; `None` for never."""
        return self._polled.get(worker_group)

    @property
    def groups(self) -> frozenset[str]:
        """The groups that were polled."""
        return frozenset(self._polled)

    @property
    def in_vain(self) -> dict[str, frozenset[str]]:
        """The groups whose last poll found nothing while other groups had work, and these others.

        Others are those whose work waited during all of that poll, and for which there has been no
        poll until now.
        """
        unpolled = self.unpolled
        beside = {group: before & unpolled for group, before in self._beside.items()}
        return {group: others for group, others in beside.items() if others}

    @property
    def unpolled(self) -> frozenset[str]:
        """The groups with work for which there never was a poll."""
        waiting = {group for group, queue in self._queues.items() if queue}
        return frozenset(waiting - self._polled.keys())
