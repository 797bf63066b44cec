"""The functions that `--handler [TYPE=]PACKAGE.MODULE:FUNCTION` names."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from functools import reduce
from typing import TYPE_CHECKING, Any, Final

import click

from aiodp import TaskFailed
from aiodp._runner.handlers import check_handler
from aiodp.shell import ShellHandler
from aiodp.sql import CopyHandler, SqlHandler

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aiodp import Task, TaskRunner
    from aiodp._runner.handlers import Handler

OTHER_TYPES: Final = ""
"""Stands for all types that have no handler of their own."""
_UNSUPPORTED: Final = "UnsupportedType"
_SQL_MODULES: Final = ("sqlalchemy", "psycopg", "aiomysql")


def load_handlers(given: Iterable[str]) -> dict[str, Handler]:
    """Import the handlers, by type; raise `click.UsageError` for one that cannot be used.

    The current directory is searched first, as `python -m` does.
    """
    handlers: dict[str, Handler] = {}
    for text in given:
        _add_current_directory()
        type_name, equals, path = text.rpartition("=")
        type_name = type_name.strip()
        if equals and not type_name:
            raise _bad_handler(text, "names no type before the =")
        if type_name in handlers:
            raise _bad_handler(text, f"is the second one for {type_name or 'all other types'}")
        handlers[type_name] = _load(text, path.strip())
    return handlers


def register(runner: TaskRunner, handlers: Mapping[str, Handler]) -> None:
    """Register the handlers that have a type."""
    for type_name, handler in handlers.items():
        if type_name != OTHER_TYPES:
            runner.activity(type_name)(handler)


def with_own(
    given: Mapping[str, Handler],
    own: Iterable[ShellHandler | SqlHandler | CopyHandler],
    *,
    leave: bool,
) -> dict[str, Handler]:
    """Return the handlers with those of this package, and one that fails what none takes."""
    handlers = dict(given)
    if OTHER_TYPES not in handlers:
        handlers = {name: handler for handler in own for name in handler.types} | handlers
        if not leave:
            handlers[OTHER_TYPES] = fail_unsupported
    return handlers


def own_types() -> tuple[str, ...]:
    """Return the types that are done without a `--handler`."""
    sql = (*SqlHandler.types, *CopyHandler.types) if has_sql() else ()
    return (*ShellHandler.types, *sql)


def has_sql() -> bool:
    """Return whether the extra `sql` is installed."""
    return all(importlib.util.find_spec(name) for name in _SQL_MODULES)


def types_text(handlers: Mapping[str, Handler], *, leave: bool) -> str:
    """Return which types a runner with these handlers does, and what becomes of others."""
    names = ", ".join(name for name in handlers if name != OTHER_TYPES)
    rest = handlers.get(OTHER_TYPES)
    if leave:
        return f"{names}; others are left to other runners"
    if rest is fail_unsupported:
        return f"{names}; others fail"
    return f"{names}; others too" if names else "all"


async def fail_unsupported(task: Task) -> None:
    """Fail a task whose type nothing takes, with a message about `--handler`."""
    type_name = task.type or "objects without a type"
    if task.type in (*SqlHandler.types, *CopyHandler.types):
        raise TaskFailed(
            f"aiodp run cannot do {type_name}; install what is missing: "
            f'pip install "aiodp[cli,sql]", or give it --handler '
            f"{type_name}=PACKAGE.MODULE:FUNCTION",
            error_id=_UNSUPPORTED,
        )
    raise TaskFailed(
        f"aiodp run cannot do {type_name} by itself; give it --handler "
        f"{task.type or 'TYPE'}=PACKAGE.MODULE:FUNCTION, or leave it to other runners with "
        f"--unsupported leave",
        error_id=_UNSUPPORTED,
    )


def _add_current_directory() -> None:
    here = os.getcwd()  # noqa: PTH109 - sys.path takes text
    if here not in sys.path:
        sys.path.insert(0, here)


def _load(text: str, path: str) -> Handler:
    module_name, colon, name = path.partition(":")
    if not colon or not name or not all(map(str.isidentifier, module_name.split("."))):
        raise _bad_handler(text, "is not of the form [TYPE=]PACKAGE.MODULE:FUNCTION")
    module = _import(text, module_name)
    try:
        handler: Any = reduce(getattr, name.split("."), module)
    except AttributeError:
        raise _bad_handler(text, f"module {module_name} has no {name}") from None
    if not callable(handler):
        raise _bad_handler(text, f"is no function, but {type(handler).__name__}")
    try:
        check_handler(handler)
    except TypeError as error:
        raise _bad_handler(text, str(error)) from None
    return handler  # type: ignore[no-any-return]


def _import(text: str, name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise _bad_handler(text, f"there is no module {error.name}") from error
    except (Exception, SystemExit) as error:
        what = f"{type(error).__name__}: {error}"
        raise _bad_handler(text, f"importing {name} raises {what:.200}") from error


def _bad_handler(text: str, what: str) -> click.BadParameter:
    context = click.get_current_context()
    message = f"{text!r:.120}: {' '.join(what.split())}."
    return click.BadParameter(message, ctx=context, param_hint="'--handler'")
