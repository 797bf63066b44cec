"""What expressions may take: of one text, or of all that one call evaluates."""

from __future__ import annotations

from typing import Final

from aiodp.emulator._definition.expressions.errors import ReasonError
from aiodp.emulator._definition.expressions.template import words

MAX_STEPS: Final = 50_000
_STEPS_OF_WORD: Final = 4
MAX_BYTES: Final = 4 * 1024**2


class Work:
    """Counts steps, and the bytes of all texts that are made on the way.

    Reading an expression takes four steps for each of its words, once. All methods raise
    `ReasonError` beyond a limit, before the step is done.
    """

    def __init__(self, steps: int = MAX_STEPS, size: int = MAX_BYTES) -> None:
        self._most = steps, size
        self._steps = 0
        self._bytes = 0
        self._read: set[str] = set()

    def spend(self, steps: int) -> None:
        """Count steps."""
        self._steps += steps
        most, _ = self._most
        if self._steps > most:
            raise ReasonError(f"it takes more than {most} steps")

    def read(self, source: str) -> None:
        """Count the reading of an expression, if it has not been read yet."""
        if source not in self._read:
            self._read.add(source)
            self.spend(_STEPS_OF_WORD * words(source))

    def keep(self, size: int) -> None:
        """Count bytes of a text."""
        self._bytes += size
        _, most = self._most
        if self._bytes > most:
            raise ReasonError(f"it makes texts of more than {most} bytes")
