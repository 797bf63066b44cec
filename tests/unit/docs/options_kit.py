"""The options of a command, as it has them and as a page of the documentation tells them."""

from __future__ import annotations

import re

import click

Options = dict[str, tuple[set[str], str]]
"""By the first spelling: all spellings, and the environment variable."""


def options_of(command: click.Command, prefix: str) -> Options:
    """Return the options of a command whose environment variables begin with `prefix`."""
    return {
        option.opts[0]: (
            {*option.opts, *option.secondary_opts}
            - {name for name in option.opts if name[1] != "-"},
            _variable(option, prefix),
        )
        for option in command.params
        if isinstance(option, click.Option) and not option.hidden
    }


def documented_options(text: str) -> Options:
    """Return those of the rows `| options | variable | …` of the tables of a text."""
    options: Options = {}
    for cell, variable in re.findall(r"^\| (`--.*?) \| `(AIODP_\w+)` \|", text, re.MULTILINE):
        spelled = re.findall(r"--[A-Za-z-]+", cell)
        options[spelled[0]] = set(spelled), variable
    return options


def _variable(option: click.Option, prefix: str) -> str:
    """Return the variable of an option, the first one if it has several."""
    given = option.envvar or f"{prefix}_{(option.name or '').upper()}"
    return given if isinstance(given, str) else given[0]
