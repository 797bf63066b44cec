"""`aiodp emulate`: serves the local service until a signal stops it."""

from __future__ import annotations

import math
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from aiodp._core.text import printable
from aiodp.cli._command import command
from aiodp.cli._emulate.greeting import greeting
from aiodp.cli._emulate.load import check_files, load, read_files
from aiodp.cli._emulate.log import LogFormat, start_log
from aiodp.cli._emulate.options import Options
from aiodp.cli._params import Timestamp, option
from aiodp.cli._shared import hint
from aiodp.emulator import ServiceClock, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiodp.cli._emulate.load import DefinitionFile
    from aiodp.emulator import EmulatorServer

_STOPPING: Final = (signal.SIGINT, signal.SIGTERM)
_MAX_GROUP_LENGTH: Final = 1024  # the API reference of PollForTask

_FILE: Final = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


def _finite(_: click.Context, __: click.Parameter, value: float) -> float:
    if not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a finite number above 0.")
    return value


def _worker_group(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is not None and not 1 <= len(value) <= _MAX_GROUP_LENGTH:
        shown = "an empty name" if not value else f"a name of {len(value)} characters"
        raise click.BadParameter(f"{shown} is not within 1 to {_MAX_GROUP_LENGTH} characters.")
    return value


@command()
@option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; any other than the default lets other machines in.",
)
@option(
    "--allowed-host",
    multiple=True,
    metavar="NAME",
    help="Further name under which clients reach it, if it has a dot; may be repeated.",
)
@option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="PORT",
    show_default=True,
    help="Port to listen on; 0 takes any free one.",
)
@option(
    "--time-scale",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    metavar="FACTOR",
    show_default=True,
    callback=_finite,
    help="How fast the service runs: at 60 one of its minutes lasts a second.",
)
@option(
    "--epoch",
    type=Timestamp(),
    metavar="TIMESTAMP",
    help="Date with which the service's time begins, in UTC; without it, now.",
)
@option(
    "--catch-up",
    is_flag=True,
    help="Go on in real time when the service's date has reached the real one, and never be ahead "
    "of it; needs --epoch.",
)
@option(
    "--resource-worker-group",
    metavar="NAME",
    callback=_worker_group,
    help="Worker group that gets the tasks of activities which run on a resource.",
)
@option(
    "--load",
    type=_FILE,
    multiple=True,
    metavar="FILE",
    help="Definition file to make a pipeline of, which gets the file's name; may be repeated, in "
    "the environment variable with a colon between.",
)
@option(
    "--parameters",
    type=_FILE,
    metavar="FILE",
    help="File with the parameters of what is loaded, instead of those in the definitions: "
    '{"parameters": [...]}.',
)
@option(
    "--values",
    type=_FILE,
    metavar="FILE",
    help='File with values for the parameters of what is loaded: {"myName": "value", ...}.',
)
@option(
    "--activate",
    is_flag=True,
    help="Activate what is loaded.",
)
@option(
    "--start",
    type=Timestamp(),
    metavar="TIMESTAMP",
    help="Skip what is scheduled before this date, in UTC; needs --activate.",
)
@option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="File that keeps pipelines, attempts and leases through a restart.",
)
@option(
    "--ui",
    is_flag=True,
    help="Serve a page which shows pipelines, owners and leases.",
)
@option(
    "--log-format",
    type=click.Choice([log_format.value for log_format in LogFormat]),
    default=LogFormat.TEXT.value,
    show_default=True,
    help="Form of the line on stderr for each call.",
)
def emulate(**given: Any) -> int:
    """Serve a local AWS Data Pipeline over HTTP, with the rest of moto beside it.

    It keeps the real rules: long polls, the two minutes in which a task must be
    acknowledged, leases, cancellation, retries and the published quotas. Without
    --state nothing is kept when it stops; Ctrl-C and SIGTERM stop it.
    """
    options = Options(**given)
    if sys.platform != "win32":
        # Blocked before any thread is started, so that only `sigwait` receives them.
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    settings = Settings(
        resource_worker_group=options.resource_worker_group, epoch=options.first_date
    )
    files = _read_files(options, settings)
    server = _server(options, settings)
    start_log(LogFormat(options.log_format))
    _serve(server, files, options)
    return 0


def _serve(server: EmulatorServer, files: Sequence[DefinitionFile], options: Options) -> None:
    try:
        server.start()
    except (OSError, ValueError) as error:  # about the port, or the file of --state
        text = getattr(error, "strerror", None)
        raise click.ClickException(text or str(error)) from error
    try:
        service = server.service()
        loaded = [
            load(service, file, activate=options.activate, start=options.start) for file in files
        ]
        click.echo(greeting(server.endpoint, loaded, options))
        _wait_for_signal()
    finally:
        server.stop()
    with suppress(OSError):  # whoever read it has gone before, at the same Ctrl-C
        click.echo("aiodp emulate: stopped.")


def _wait_for_signal() -> None:
    if sys.platform == "win32":
        with suppress(KeyboardInterrupt):
            while True:  # Ctrl-C ends a sleep there, and no wait for an event
                time.sleep(1)
    else:
        signal.sigwait(_STOPPING)


def _server(options: Options, settings: Settings) -> EmulatorServer:
    try:
        from aiodp.emulator import EmulatorServer  # noqa: PLC0415 - it needs moto, an extra
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"emulate needs the module {error.name}; {hint('emulate')}"
        ) from error
    try:
        return EmulatorServer(
            options.host,
            options.port,
            clock=ServiceClock(options.time_scale, behind=options.behind),
            settings=settings,
            state=options.state,
            ui=options.ui,
            allowed_hosts=options.allowed_host,
        )
    except ValueError as error:  # about an allowed host; the rest is checked already
        raise click.BadParameter(
            f"{error}.", click.get_current_context(), param_hint="--allowed-host"
        ) from error


def _read_files(options: Options, settings: Settings) -> list[DefinitionFile]:
    """Read the files of --load; raise for a file that the service refuses, before it is started."""
    files = read_files(options.load, options.parameters, options.values)
    for warning in check_files(files, settings, activate=options.activate, start=options.start):
        click.echo(f"aiodp: warning: {printable(warning)}", err=True)
    return files
