"""How many tasks run at once, in all and of one type."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import anyio


class Slot:
    """The right to run, of which there are as many as the semaphore says."""

    def __init__(self, slots: anyio.Semaphore) -> None:
        self._slots = slots
        self._held = False

    async def take(self) -> None:
        """Wait for it."""
        await self._slots.acquire()
        self._held = True

    def release(self) -> None:
        """Give it back, if it is held."""
        if self._held:
            self._held = False
            self._slots.release()
