"""The engines of SQLAlchemy, and what their drivers are told.

Both drivers speak text. A value that is read is the server's own text of it; one that is sent is a
literal without a type, which the server converts to the type that stands where it is used. So no
value passes through a type of Python that holds less than the database's, or writes it otherwise.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from psycopg.adapt import AdaptersMap
from psycopg.types.none import NoneDumper
from psycopg.types.numeric import IntDumper
from psycopg.types.string import StrDumperUnknown, TextLoader
from pymysql.constants import FIELD_TYPE
from sqlalchemy import URL
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg import PGDialectAsync_psycopg
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from aiodp.shell._errors import bad_definition
from aiodp.sql._tls import (
    PROPERTIES,
    ROOT_CERTIFICATE,
    VERIFY_FULL,
    mysql_context,
    tls_mode,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiodp.sql._databases import Database

_CONNECT_TIMEOUT: Final = 20  # s; psycopg takes whole ones
_KEEPALIVE: Final = 60  # s without a word, after which a peer that is gone is noticed
_ANY_TYPE: Final = 0  # psycopg's key for types that have no adapter of their own
_BINARY: Final = (
    *(FIELD_TYPE.TINY_BLOB, FIELD_TYPE.BLOB, FIELD_TYPE.MEDIUM_BLOB, FIELD_TYPE.LONG_BLOB),
    *(FIELD_TYPE.STRING, FIELD_TYPE.VAR_STRING, FIELD_TYPE.VARCHAR, FIELD_TYPE.GEOMETRY),
)
"""MySQL's types whose values may be bytes."""
_SCHEMA: Final = "currentSchema"


class Dialect(PGDialectAsync_psycopg):
    """PostgreSQL's, without the question for a setting that Redshift does not have."""

    supports_statement_cache = True

    def _set_backslash_escapes(self, connection: object) -> None:
        """Ask for nothing: SQLAlchemy calls this for dialects such as this one to replace."""


_MYSQL: Final = "mysql+aiomysql"
_POSTGRESQL: Final = "postgresql+aiodp"
registry.register("postgresql.aiodp", __name__, "Dialect")


def make_engine(database: Database, *, autocommit: bool = False) -> AsyncEngine:
    """Return an engine that keeps no connections; raise `TaskFailed` (`BadDefinition`)."""
    url = URL.create(
        _MYSQL if database.engine.is_mysql else _POSTGRESQL,
        username=database.username,
        password=database.password,
        host=database.host,
        port=database.port,
        database=database.name,
    )
    mode = mode_of(database)
    options: dict[str, Any] = {"poolclass": NullPool, "hide_parameters": True}
    if autocommit:
        options["isolation_level"] = "AUTOCOMMIT"
    if database.engine.is_mysql:
        options["connect_args"] = _mysql_arguments(database.properties, mode)
    else:
        options["connect_args"] = _postgresql_arguments(database.properties, mode)
        options["use_native_hstore"] = False
    return create_async_engine(url, **options)


def mode_of(database: Database) -> str:
    """Return the mode of encryption; raise `TaskFailed` (`BadDefinition`) if there is no such."""
    try:
        return tls_mode(database.properties)
    except ValueError as error:
        raise bad_definition(f"{database.id}: {error}") from error


def ignored_properties(database: Database) -> list[str]:
    """Return the names of the properties that say nothing here."""
    known = PROPERTIES if database.engine.is_mysql else PROPERTIES | {_SCHEMA.lower()}
    return [name for name in database.properties if name.lower() not in known]


def _mysql_arguments(properties: Mapping[str, str], mode: str) -> dict[str, Any]:
    return {
        "charset": "utf8mb4",
        "connect_timeout": _CONNECT_TIMEOUT,
        "conv": {FIELD_TYPE.BIT: _bits, **dict.fromkeys(_BINARY, _text)},
        "ssl": mysql_context(mode, properties.get(ROOT_CERTIFICATE)),
    }


def _postgresql_arguments(properties: Mapping[str, str], mode: str) -> dict[str, Any]:
    adapters = AdaptersMap()
    adapters.register_loader(_ANY_TYPE, TextLoader)
    for kind, dumper in ((str, StrDumperUnknown), (int, IntDumper), (type(None), NoneDumper)):
        adapters.register_dumper(kind, dumper)
    arguments = {
        "client_encoding": "utf8",
        "connect_timeout": _CONNECT_TIMEOUT,
        "context": SimpleNamespace(adapters=adapters, connection=None),
        "keepalives_idle": _KEEPALIVE,
        "prepare_threshold": None,
        "sslmode": mode,
    }
    if root := properties.get(ROOT_CERTIFICATE) or ("system" if mode == VERIFY_FULL else None):
        arguments[ROOT_CERTIFICATE] = root  # which libpq looks for in the user's home otherwise
    if schema := properties.get(_SCHEMA):
        arguments["options"] = "-c search_path=" + schema.replace("\\", r"\\").replace(" ", r"\ ")
    return arguments


def _text(value: str | bytes) -> str:
    """Return bytes as text from which they can be had again, by the same error handler."""
    return value.decode(errors="surrogateescape") if isinstance(value, bytes) else value


def _bits(value: bytes) -> str:
    return str(int.from_bytes(value, "big"))
