"""The group of commands. Each is imported when it is used, so it needs its own extras only."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from aiodp import __version__
from aiodp.cli._errors import message_of
from aiodp.cli._output import output_errors
from aiodp.cli._shared import KILLED_BY_SIGNAL, hear_interrupts, hint

_COMMANDS: Final = {
    "demo": "Hold forty tasks at once while a local service fails.",
    "doctor": "Check what a task runner needs, and say what to mend.",
    "emulate": "Serve a local AWS Data Pipeline over HTTP.",
    "hold": "Keep a task alive while a command runs.",
    "poll": "Poll once for a task, and print it.",
    "run": "Work on the tasks of a worker group.",
    "validate": "Check definition files without a server.",
}
"""Command `x` is the function `x` of `aiodp.cli._x`."""
_NEED_POSIX: Final = frozenset({"doctor", "hold", "run"})
"""They end all processes of a command, which needs sessions and signals, or check what does."""


class _Commands(click.Group):
    def make_context(self, *args: Any, **options: Any) -> click.Context:
        with output_errors():  # of a help
            return super().make_context(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        with output_errors():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        if cmd_name in _NEED_POSIX and sys.platform == "win32":
            return _unavailable(cmd_name, "POSIX, such as Linux or macOS; on Windows, use WSL")
        try:
            module = import_module(f"aiodp.cli._{cmd_name}")
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("aiodp"):
                raise
            return _unavailable(cmd_name, f"the module {error.name}; {hint(cmd_name)}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if not (close := get_close_matches(args[0], _COMMANDS)):
                raise
            close_ones = " or ".join(map(repr, close))
            message = f"{error.message} Did you mean {close_ones}?"
            raise click.UsageError(message, ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_COMMANDS.items()))


def _unavailable(name: str, needed: str) -> click.Command:
    """Return a command that fails and says what it needs."""

    def fail() -> NoReturn:
        raise click.ClickException(f"{name} needs {needed}")

    return click.Command(
        name,
        callback=fail,
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )


@click.command(
    cls=_Commands,
    context_settings={
        "auto_envvar_prefix": "AIODP",
        "help_option_names": ["-h", "--help"],
        "max_content_width": 80,
    },
)
@click.version_option(__version__, prog_name="aiodp", message="%(prog)s %(version)s")
def cli() -> None:
    """Run AWS Data Pipeline tasks, keep them alive, and test that without AWS."""
    hear_interrupts()  # what the command needs is imported


def run() -> int:
    """Run the command line and return the exit code; an error is one line on stderr."""
    try:
        result = cli.main(prog_name="aiodp", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        with suppress(OSError):  # stderr may be full, or nobody reads it
            error.show()
        return error.exit_code
    except (click.ClickException, FileNotFoundError) as error:
        return _show(error)
    except click.Abort:
        return KILLED_BY_SIGNAL + signal.SIGINT
    return result if isinstance(result, int) else 0


def _show(error: click.ClickException | FileNotFoundError) -> int:
    missing = error if isinstance(error, FileNotFoundError) else error.__cause__
    if isinstance(missing, FileNotFoundError) and not _has_working_directory():
        error = click.UsageError("the working directory is gone: change to one that exists.")
    if isinstance(error, FileNotFoundError):
        raise error
    with suppress(OSError):  # as above
        click.echo(f"aiodp: {message_of(error)}{_help_pointer(error)}", err=True)
    return error.exit_code


def _has_working_directory() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True


def _help_pointer(error: click.ClickException) -> str:
    """Return a pointer to the help of the command, for wrong usage."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f" See {context.command_path} --help." if context else ""
