"""The door to logging; logging without repetitions, and of errors whose text cannot be had.

Every record of the package goes through `SafeLogger`, for the handlers and filters of the program
may raise, and what observes a task must not decide about it.
"""

from __future__ import annotations

import logging
import math
import sys
import traceback
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Protocol

import anyio

from aiodp._core.text import printable
from aiodp._redaction import redact

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_MAX_TRACEBACK: Final = 20_000  # characters
_MAX_FRAMES: Final = 50  # of each traceback, those nearest to the error


class Subject(Protocol):
    """What records are about."""

    @property
    def extra(self) -> dict[str, object]:
        """What they say of it."""
        ...


subject: Final[ContextVar[Subject | None]] = ContextVar("aiodp.subject", default=None)
"""The task whose work logs, in whatever part of the package; records that name one are of that."""


class SafeLogger(logging.LoggerAdapter[logging.Logger]):
    """Logs without secrets, and never raises what a handler or filter raises.

    That is written to stderr, once for each type of exception, as `logging.raiseExceptions` says.
    """

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__(logger)
        self._shown: set[type[BaseException]] = set()

    def process(
        self, msg: object, kwargs: MutableMapping[str, Any]
    ) -> tuple[object, MutableMapping[str, Any]]:
        """Return both, the latter without secrets, and with what is logged about."""
        extra = kwargs.get("extra") or {}
        if "task" not in extra and (about := subject.get()) is not None:
            extra = {**about.extra, **extra}
        kwargs["extra"] = {name: _redacted(value) for name, value in extra.items()}
        return msg, kwargs

    def log(
        self, level: int, msg: object, *args: object, stacklevel: int = 1, **kwargs: Any
    ) -> None:
        """Log a message, as all other methods do by this one."""
        try:
            shown = map(_redacted, args)
            super().log(level, msg, *shown, stacklevel=stacklevel + 1, **kwargs)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - rich exits at a broken pipe
            self.show(error)

    def show(self, error: BaseException) -> None:
        """Show what a handler has raised, unless the like was shown before."""
        if not logging.raiseExceptions or type(error) in self._shown:
            return
        self._shown.add(type(error))
        with suppress(Exception):  # stderr may be closed, and __str__ may raise
            name = type(error).__name__
            sys.stderr.write(
                f"a record of aiodp's log was not handled (each {name} is shown once):\n"
            )
            text = redact("".join(traceback.format_exception(error)))
            sys.stderr.write(printable(text, keep="\n"))


def _redacted(value: object) -> object:
    if isinstance(value, BaseException):
        return _encodable(redact(error_text(value)))
    return _encodable(redact(value)) if type(value) is str else value


def _encodable(text: str) -> str:
    """Return the text with lone surrogates escaped, for a file or a socket refuses them."""
    return text.encode(errors="backslashreplace").decode()


class _Tracebacks(logging.Filter):
    """Writes the tracebacks of records in bounded length, and without secrets."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Write that of the record, which handlers show as it is; return True."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and not record.exc_text:
            record.exc_text = f"{type.__repr__(type(error))}, whose traceback cannot be had"
            with suppress(Exception):  # of a __cause__ or __notes__ that raises
                lines = traceback.format_exception(error, limit=-_MAX_FRAMES)
                text = _encodable(redact("".join(lines)).rstrip())
                record.exc_text = without_middle(text, _MAX_TRACEBACK)
        return True


def logger_of(name: str) -> SafeLogger:
    """Return the logger of a part of the package."""
    logger = logging.getLogger(name)
    logger.addFilter(_Tracebacks())
    return SafeLogger(logger)


logger = logger_of("aiodp")


class _Guard(logging.Filter):
    """Passes the records of a foreign logger on, so that what its handlers raise ends here."""

    def __init__(self, guarded: logging.Logger) -> None:
        super().__init__()
        self._guarded = guarded

    def filter(self, record: logging.LogRecord) -> bool:
        """Pass it on; return False, for nobody else is to do so."""
        try:
            self._guarded.callHandlers(record)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as for records of ours
            logger.show(error)
        return False


def guard_records_of(*names: str) -> None:
    """Let nothing out that handlers raise for records of foreign loggers on which a lease hangs."""
    for guarded in map(logging.getLogger, names):
        if not any(isinstance(known, _Guard) for known in guarded.filters):
            guarded.addFilter(_Guard(guarded))


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


def without_middle(text: str, limit: int) -> str:
    """Return about so many characters of a text at most: its beginning and its end."""
    half = limit // 2
    return text if len(text) <= limit else f"{text[:half]}…{text[-half:]}"


def error_text(error: BaseException | None) -> str:
    """Return an exception's text, else its name; the text of a foreign one may not be had."""
    try:
        return str(error) or repr(error)
    except Exception:  # noqa: BLE001 - whatever a user's class raises
        return f"{type.__repr__(type(error))}, whose text cannot be had"
