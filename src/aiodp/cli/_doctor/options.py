"""The options of `aiodp doctor`: those of `aiodp run`, of which it checks some."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

from aiodp._core.text import checked_string
from aiodp.cli._params import with_parameters
from aiodp.cli._run.access import AccessOptions
from aiodp.cli._run.options import OURS
from aiodp.cli._run.task_runner_options import TASK_RUNNERS
from aiodp.shell._uri import S3Uri

if TYPE_CHECKING:
    from collections.abc import Iterator

_HELP: Final = {
    "worker_group": "Worker group of the task runner: who uses it is looked for, it is not polled.",
    "region": "AWS region, unless the AWS configuration names it.",
    "log_uri": "Where the logs of the task runner go: a probe is written there, and deleted.",
    "tasks": "How many tasks shall run at once, in all task runners of the account.",
    "handlers": "Import this function for the tasks of this type, as aiodp run does. Repeatable; "
    "one a line in the environment variable.",
}
"""Of options that do something else here."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Options(AccessOptions):
    """The values of the options, by their names."""

    worker_group: str | None
    log_uri: str | None
    tasks: int
    handlers: tuple[str, ...]

    def log(self) -> S3Uri | None:
        """Return where logs go; raise `click.UsageError` for what is no address in S3."""
        try:
            return None if self.log_uri is None else S3Uri.parse(self.log_uri)
        except ValueError as error:
            message = f"--log-uri: {error}."
            raise click.UsageError(message, click.get_current_context()) from error


def options_of_run() -> Iterator[click.Option]:
    """Yield the options of `aiodp run` as options of `aiodp doctor`.

    Those that `Options` has not are taken, so that one command line does for both, and not used.
    """
    command = click.command()(with_parameters(*TASK_RUNNERS, *OURS)(lambda: None))
    for option in command.params:
        if isinstance(option, click.Option) and option.name is not None:
            known = option.name in Options.__dataclass_fields__
            change = _as_ours if known else _as_unused
            yield change(copy.copy(option), option.name.upper())


def _as_ours(option: click.Option, name: str) -> click.Option:
    """Change an option: none is required, and the variable of `aiodp run` counts as well."""
    option.required = False
    variable = name.removesuffix("S") if option.multiple else name
    option.envvar = [f"AIODP_{command}_{variable}" for command in ("DOCTOR", "RUN")]
    option.help = _HELP.get(name.lower(), option.help)
    if name == "WORKER_GROUP":
        option.callback = _checked_group
    return option


def _as_unused(option: click.Option, _name: str) -> click.Option:
    """Change an option of `aiodp run` of which nothing is checked: its value is read, no more."""
    option.hidden, option.expose_value = True, False
    option.envvar, option.allow_from_autoenv = None, False
    return option


def _checked_group(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        return checked_string("the name", value)
    except ValueError as error:
        raise click.BadParameter(f"{error}.", ctx, param) from error
