"""``aiodp emulate``: the local service on a port, until it is told to stop."""

from __future__ import annotations

import math
import signal
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from aiodp.cli import HINT

if TYPE_CHECKING:
    from aiodp.emulator import EmulatorServer

_STOPPING: Final = (signal.SIGINT, signal.SIGTERM)
_LONGEST_GROUP: Final = 1024  # the API reference of PollForTask


def _finite(_: click.Context, __: click.Parameter, value: float) -> float:
    if not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a finite number above 0.")
    return value


def _group(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is not None and not 1 <= len(value) <= _LONGEST_GROUP:
        shown = "an empty name" if not value else f"a name of {len(value)} characters"
        raise click.BadParameter(f"{shown} is not within 1 to {_LONGEST_GROUP} characters.")
    return value


@click.command()
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    show_envvar=True,
    help="Address to listen on; any other than the default lets other machines in.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="PORT",
    show_default=True,
    show_envvar=True,
    help="Port to listen on; 0 takes any free one.",
)
@click.option(
    "--time-scale",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    metavar="FACTOR",
    show_default=True,
    show_envvar=True,
    callback=_finite,
    help="How fast the service runs: at 60 one of its minutes lasts a second.",
)
@click.option(
    "--resource-worker-group",
    metavar="NAME",
    show_envvar=True,
    callback=_group,
    help="Worker group that gets the tasks which run on an Ec2Resource; without it they wait.",
)
def emulate(host: str, port: int, time_scale: float, resource_worker_group: str | None) -> int:
    """Serve a local AWS Data Pipeline over HTTP, with the rest of moto beside it.

    It keeps the real rules: long polls, the two minutes in which a task must be
    acknowledged, leases, cancellation, retries and the published quotas. Nothing
    is kept when it stops; Ctrl-C and SIGTERM stop it.
    """
    # Blocked before any thread exists, so that none but sigwait gets them.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    server = _server(host, port, time_scale, resource_worker_group)
    try:
        server.start()
    except OSError as error:
        raise click.ClickException(error.strerror or str(error)) from error
    try:
        click.echo(_greeting(server.endpoint, time_scale))
        signal.sigwait(_STOPPING)
    finally:
        server.stop()
    click.echo("aiodp emulate: stopped.")
    return 0


def _server(host: str, port: int, time_scale: float, group: str | None) -> EmulatorServer:
    try:
        from aiodp.emulator import EmulatorServer, Settings  # noqa: PLC0415  # moto is an extra
    except ModuleNotFoundError as error:
        raise click.ClickException(f"emulate needs the module {error.name}; {HINT}") from error
    settings = Settings(resource_worker_group=group, epoch=datetime.now(UTC))
    return EmulatorServer(host, port, time_scale=time_scale, settings=settings)


def _greeting(endpoint: str, time_scale: float) -> str:
    minute = f"{60 / time_scale:.3g} s"
    return f"""\
Serving AWS Data Pipeline, and the rest of moto, on {endpoint}
Point an AWS client at it:

    export AWS_ENDPOINT_URL={endpoint}
    export AWS_ACCESS_KEY_ID=testing
    export AWS_SECRET_ACCESS_KEY=testing
    export AWS_DEFAULT_REGION=us-east-1

A minute of the service lasts {minute}.{_hint(time_scale)}Ctrl-C stops it.
"""


def _hint(time_scale: float) -> str:
    if time_scale == 1:
        return " "
    options = f"**aiodp.testing.scaled({time_scale:g})"
    return f" Reporters must keep up:\n\n    ProgressReporter(..., {options})\n\n"
