"""Options that several commands have, and the types of others."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import click

from aiodp._reporter.options import scaled

if TYPE_CHECKING:
    from collections.abc import Callable

    from click import ParamType as ParamType  # noqa: PLC0414 - other modules take it from here
else:

    class ParamType(click.ParamType):
        """Click's, which is not generic before 8.4."""

        __class_getitem__ = classmethod(lambda cls, _: cls)


DEFAULT_GRACE: Final = 10.0
"""Seconds from SIGTERM to SIGKILL for the command of a canceled or lost task."""
KILL_TO_DEADLINE: Final = 5.0
"""Seconds from the SIGKILL for a lost task's command to the deadline of its lease."""


_ATTEMPT_TIMEOUT: Final = 10.0
"""Seconds; on a local service it is half a minute of the service's time if that is shorter."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CommonOptions:
    """The values of options that `run` and `hold` have, in real seconds where they are durations.

    The `repr` of these and of what is derived from them shows none, for some are secrets.
    """

    region: str | None
    endpoint_url: str | None
    grace: float | None
    attempt_timeout: float | None
    time_scale: float

    @property
    def command_grace(self) -> float:
        """Seconds from SIGTERM to SIGKILL for a command."""
        return DEFAULT_GRACE / self.time_scale if self.grace is None else self.grace

    @property
    def least_margin(self) -> float:
        """Seconds before its deadline at which a task has to count as lost."""
        return self.command_grace + KILL_TO_DEADLINE / self.time_scale

    @property
    def call_timeout(self) -> float:
        """Seconds that a call may take."""
        usual = min(_ATTEMPT_TIMEOUT, scaled(self.time_scale)["attempt_timeout"])
        return usual if self.attempt_timeout is None else self.attempt_timeout


class Seconds(ParamType[float]):
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
            limit = "of at least 0" if self._zero else "above 0"
            self.fail(f"{value!r:.40} is not a number of seconds {limit}.", param, ctx)
        return number


class Text(ParamType[str]):
    """A text that is not empty: a variable that a script has not set is no wish for the default."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the value; raise `click.BadParameter`."""
        if not value:
            self.fail("it is empty; give a value, or leave it out.", param, ctx)
        return str(value)


class Directory(click.Path):
    """The path of a directory; an empty one would be the current directory."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """Return the path; raise `click.BadParameter`."""
        if not os.fspath(value):
            self.fail("it is empty; give a value, or leave it out.", param, ctx)
        return super().convert(value, param, ctx)


class Url(ParamType[str]):
    """An HTTP URL."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the value; raise `click.BadParameter`."""
        try:
            parts = urlsplit(value)
            valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:  # the port is no number, or the IPv6 address is wrong
            valid = False
        if not valid:
            shown = str(value).rpartition("@")[2]  # without a password
            self.fail(f"{shown!r:.60} is not of the form http[s]://HOST[:PORT].", param, ctx)
        return str(value)


class Timestamp(ParamType[datetime]):
    """A date, or a date and a time; in UTC unless it says otherwise."""

    name = "timestamp"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Return the value; raise `click.BadParameter`."""
        try:
            date = datetime.fromisoformat(value)
            return date.replace(tzinfo=date.tzinfo or UTC).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r:.40} is not of the form 2012-12-31[T23:59:59].", param, ctx)


def option(*names: str, **settings: Any) -> Callable[[Any], Any]:
    """Decorate a command with an option whose environment variable is shown."""
    return click.option(*names, show_envvar=True, **settings)


def with_parameters(*parameters: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Decorate a command with parameters, which its help shows in this order."""

    def decorate(command: Any) -> Any:
        for parameter in reversed(parameters):
            command = parameter(command)
        return command

    return decorate


REGION: Final = option(
    "--region",
    metavar="NAME",
    type=Text(),
    help="AWS region, unless the AWS configuration names it.",
)
ENDPOINT: Final = option(
    *("--endpoint-url", "--endpoint", "endpoint_url"),
    metavar="URL",
    type=Url(),
    help="Another endpoint than the region's.",
)
ATTEMPT_TIMEOUT: Final = option(
    "--attempt-timeout",
    metavar="SECONDS",
    type=Seconds(),
    show_default="10; with --time-scale, 30 divided by it if that is less",
    help="That one call may take, for a slow network; never more than a third of what is left "
    "of the lease.",
)


def time_scale(effect: str = "") -> Callable[[Any], Any]:
    """Return the option for the speed of a local service, whose help tells its effect, too."""
    return option(
        "--time-scale",
        metavar="FACTOR",
        type=Seconds(),
        default=1,
        show_default=True,
        help=f"How fast a local service runs: that of aiodp emulate --time-scale{effect}.",
    )
