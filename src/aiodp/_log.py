"""Logging without repetitions, and of errors whose text cannot be had."""

from __future__ import annotations

import logging
import math

import anyio

logger = logging.getLogger("aiodp")


class OncePer:
    """Logs a message again only after an interval, in seconds, in which it did not come."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._last_seen: dict[str, float] = {}

    def log(self, level: int, key: str, message: str, *args: object, **extra: object) -> None:
        """Log a message; `key` tells which ones are the same."""
        now = anyio.current_time()
        if now - self._last_seen.get(key, -math.inf) > self._interval:
            logger.log(level, message, *args, extra=extra)
        self._last_seen[key] = now


def error_text(error: BaseException | None) -> str:
    """Return an exception's text, else its name; the text of a foreign one may not be had."""
    try:
        return str(error) or repr(error)
    except Exception:  # noqa: BLE001 - whatever a user's class raises
        return f"{type.__repr__(type(error))}, whose text cannot be had"
