"""What goes wrong with expressions: within one, and as the user of the service reads it."""

from __future__ import annotations

from typing import Final

_MAX_SHOWN_LENGTH: Final = 80


class ReasonError(Exception):
    """Why an expression has no value; callers of the package get `ExpressionError` instead."""


class ExpressionError(ValueError):
    """An expression has no value: broken syntax, an unknown name, a wrong type, a cycle, a limit.

    `expression` is its source, shortened, `reason` a sentence without a full stop.
    """

    def __init__(self, expression: str, reason: str) -> None:
        self.expression = shortened(expression)
        self.reason = reason
        super().__init__(f"Cannot evaluate {self.expression}: {reason}")


def shortened(text: str) -> str:
    """Return the text, cut to what a message can show."""
    return text if len(text) <= _MAX_SHOWN_LENGTH else f"{text[: _MAX_SHOWN_LENGTH - 1]}…"
