"""How large a definition may be as a whole, whatever single objects may have.

The limits are this service's own; AWS's are those of an object (the Developer Guide, dp-limits),
of which 100 objects stay below. They are checked as a definition is put and as it is activated,
before anything is made of it, so that no definition holds up the calls of other users.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiodp.emulator._errors import invalid

if TYPE_CHECKING:
    from aiodp.emulator._errors import ServiceError

MAX_VALUES: Final = 10_000
"""Values of all fields, inherited ones and those that lists of parameters make included."""
MAX_BYTES: Final = 2 * 1024**2
"""Of these values."""
MAX_WORDS: Final = 10_000
"""Names, values and signs in expressions; one that is written twice counts once."""
MAX_STEPS: Final = 50_000
"""Of the evaluation of all objects, as `Work` counts them."""
MAX_PARAMETER_VALUES: Final = 1_000
"""Values and attributes of all parameters."""


class Size:
    """Counts the values of something, by default of a definition, before they are made."""

    def __init__(
        self,
        values: float = MAX_VALUES,
        size: float = MAX_BYTES,
        *,
        of: str = "pipeline definition",
    ) -> None:
        self._most = values, size
        self._of = of
        self._values = 0
        self._bytes = 0

    def add(self, values: int, size: int) -> None:
        """Count values of so many bytes; raise InvalidRequestException beyond a limit."""
        self._values += values
        self._bytes += size
        most_values, most_bytes = self._most
        if self._values > most_values:
            limit = f"{most_values} values, inherited ones and those of lists included"
            raise too_large(limit, self._of)
        if self._bytes > most_bytes:
            raise too_large(f"{most_bytes} bytes of values, inherited ones included", self._of)


def too_large(limit: str, of: str = "pipeline definition") -> ServiceError:
    """Return the refusal of what is too large, which names the limit."""
    return invalid(f"The {of} is too large: it may have {limit}")
