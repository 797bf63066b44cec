"""Where a service is saved, if it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from aiodp.emulator._model.service import Service

if TYPE_CHECKING:
    from aiodp.emulator._clock import JumpingClock
    from aiodp.emulator._model.outside import Outside
    from aiodp.emulator._settings import Settings


class Persistence(Protocol):
    """Where one service is saved. Its methods are called under the service's lock."""

    def begin(
        self, time: JumpingClock, rate: float, settings: Settings, outside: Outside | None
    ) -> Service:
        """Return the service as it was saved, or a new one.

        `time` jumps to where it would be if the service had not stopped; `rate` is how many of its
        seconds pass in a real one. Raises `ValueError` if what was saved cannot be read.
        """

    def save(self) -> None:
        """Save what has changed since the last call; raises `OSError` if that fails."""

    def renew(self, time: JumpingClock, settings: Settings, outside: Outside | None) -> Service:
        """Return a new service, which is saved in the place of the one from `begin`.

        Raises `OSError` if that fails; the old one is still saved then.
        """


class InMemory:
    """Nothing is saved: the service ends with the process."""

    def begin(
        self,
        time: JumpingClock,
        rate: float,  # noqa: ARG002 - the Protocol's signature
        settings: Settings,
        outside: Outside | None,
    ) -> Service:
        """Return a new service."""
        return Service(time, settings, outside)

    def save(self) -> None:
        """Do nothing."""

    def renew(self, time: JumpingClock, settings: Settings, outside: Outside | None) -> Service:
        """Return a new service."""
        return Service(time, settings, outside)
