"""Whether a service outlives its process, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from aiodp.emulator._model.service import Service

if TYPE_CHECKING:
    from aiodp.emulator._clock import LeapingClock
    from aiodp.emulator._model.outside import Outside
    from aiodp.emulator._settings import Settings


class Keeping(Protocol):
    """Where one service is kept. Its methods are called under the service's lock."""

    def begin(
        self, time: LeapingClock, rate: float, settings: Settings, outside: Outside | None
    ) -> Service:
        """Return the service as it was kept, or a new one.

        `time` leaps to where it would be had the service gone on; `rate` is how many of its
        seconds pass in a real one. Raises `ValueError` if what was kept cannot be read.
        """

    def save(self) -> None:
        """Keep what has changed since it was called last; raises `OSError` if it cannot."""

    def renew(self, time: LeapingClock, settings: Settings, outside: Outside | None) -> Service:
        """Return a new service, which is kept instead of the one from `begin`.

        Raises `OSError` if it cannot be kept; the old one still is then.
        """


class InMemory:
    """Nothing is kept."""

    def begin(
        self,
        time: LeapingClock,
        rate: float,  # noqa: ARG002 - the Protocol's signature
        settings: Settings,
        outside: Outside | None,
    ) -> Service:
        """Return a new service."""
        return Service(time, settings, outside)

    def save(self) -> None:
        """Do nothing."""

    def renew(self, time: LeapingClock, settings: Settings, outside: Outside | None) -> Service:
        """Return a new service."""
        return Service(time, settings, outside)
