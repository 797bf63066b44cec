"""What the options of several commands have in common."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

if TYPE_CHECKING:
    from collections.abc import Callable


class Seconds(click.ParamType[float]):
    """A number of seconds above 0, or of at least 0."""

    name = "seconds"

    def __init__(self, *, zero: bool = False) -> None:
        self._zero = zero

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the value; raise `click.BadParameter`."""
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and (number > 0 or (self._zero and number == 0))):
            least = "of at least 0" if self._zero else "above 0"
            self.fail(f"{value!r:.40} is not a number of seconds {least}.", param, ctx)
        return number


class Url(click.ParamType[str]):
    """An address of HTTP."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the value; raise `click.BadParameter`."""
        try:
            parts = urlsplit(value)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:  # a port that is no number, a broken IPv6 address
            good = False
        if not good:
            self.fail(f"{value!r:.60} is not of the form http[s]://HOST[:PORT].", param, ctx)
        return str(value)


def option(*names: str, **settings: Any) -> Callable[[Any], Any]:
    """Decorate a command with an option whose environment variable is shown."""
    return click.option(*names, show_envvar=True, **settings)
