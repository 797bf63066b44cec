"""Checks whether the functions of `--handler` can be imported."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

import click

from aiodp.cli._doctor.findings import Finding
from aiodp.cli._run.handlers import OTHER_TYPES, load_handlers, own_types

if TYPE_CHECKING:
    from collections.abc import Sequence


def types_done(given: Sequence[str]) -> set[str] | None:
    """Return the types that a task runner with these handlers does, None for all."""
    types = {text.rpartition("=")[0].strip() for text in given}
    return None if OTHER_TYPES in types else types.union(own_types())


def check_handlers(given: Sequence[str]) -> Finding | None:
    """Return the finding, None if there are no handlers. What modules print goes to stderr."""
    if not given:
        return None
    try:
        with redirect_stdout(sys.stderr):
            types = sorted(load_handlers(given))
    except click.UsageError as error:
        return Finding.failed("handlers", error.message, "Correct --handler, or what it names.")
    named = ", ".join(name or "all other types" for name in types)
    return Finding.ok("handlers", f"can be imported, for {named}")
