"""What to say when calls seem to take longer than they may."""

from __future__ import annotations

from typing import Final

UNANSWERED: Final = 3
"""So many calls in a row without an answer are no accident."""


def advice(attempt_timeout: float) -> str:
    """Return what is wrong, and what to set."""
    return (
        f"{UNANSWERED} calls or more in a row were not answered within attempt_timeout "
        f"({attempt_timeout:g} s); if calls take longer than that, set a longer one: "
        f"attempt_timeout= of the library, --attempt-timeout of aiodp run and hold"
    )
