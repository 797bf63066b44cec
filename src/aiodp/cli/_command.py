"""What all commands have in common: they take no option twice that has one value."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any, Final

import click


class Command(click.Command):
    """A command that refuses an option with one value, or with two forms, if it is given twice."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; raise `click.UsageError`."""
        given = list(args)
        rest = super().parse_args(ctx, args)
        *_, order = self.make_parser(ctx).parse_args(args=given)
        for option, count in Counter(filter(_has_one_value, order)).items():
            if count > 1:
                raise click.UsageError(f"'{option.opts[0]}' is given {count} times, not once.", ctx)
        return rest


def _has_one_value(parameter: Any) -> bool:
    if not isinstance(parameter, click.Option) or parameter.multiple or parameter.count:
        return False
    return not parameter.is_flag or bool(parameter.secondary_opts)


command: Final = partial(click.command, cls=Command)
"""Decorates the function of a command."""
