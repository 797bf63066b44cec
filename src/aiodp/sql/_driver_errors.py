"""What the drivers raise, in the server's own words."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import psycopg
import pymysql
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from aiodp._log import error_text
from aiodp.sql._errors import database_failed

if TYPE_CHECKING:
    from collections.abc import Iterator

_ERRORS: Final = (SQLAlchemyError, psycopg.Error, pymysql.MySQLError, OSError, UnicodeError)
"""What SQLAlchemy and the drivers raise: of the server, the connection, or a value to be sent."""


@contextmanager
def database_errors(where: object) -> Iterator[None]:
    """Raise what a driver raises as a `TaskFailed` (`DatabaseFailed`) that names the database."""
    try:
        yield
    except _ERRORS as error:
        raise database_failed(f"{where}: {_describe(error)}") from error


def _describe(error: BaseException) -> str:
    """Return what the server says, without SQLAlchemy's words around it."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        error = error.orig
    if isinstance(error, pymysql.MySQLError) and len(error.args) > 1:
        code, text = error.args[:2]
        cause = f": {error_text(error.__cause__)}" if isinstance(error.__cause__, OSError) else ""
        return f"{text}{cause} (error {code})"
    if isinstance(error, psycopg.Error) and error.sqlstate:
        return f"{str(error).strip()} (SQLSTATE {error.sqlstate})"
    return error_text(error).strip()
