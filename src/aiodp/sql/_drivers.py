"""The engines of SQLAlchemy, and what their drivers are told.

Both drivers speak text. A value that is read is the server's own text of it; one that is sent is a
literal without a type, which the server converts to the type that stands where it is used. So no
value passes through a type of Python that holds less than the database's, or writes it otherwise.
"""

from __future__ import annotations

import ssl
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

from aiodp._log import logger
from aiodp.shell._errors import bad_definition

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
_TRUE: Final = "true"
_TLS_MODES: Final = {
    "disabled": "disable",
    "preferred": "prefer",
    "required": "require",
    "verify_ca": "verify-ca",
    "verify_identity": "verify-full",
}
"""Connector/J's names and those of PostgreSQL, which stand for both here."""
_TLS_PROPERTIES: Final = frozenset(
    {"ssl", "sslmode", "sslfactory", "sslrootcert", "usessl", "requiressl"}
    | {"verifyservercertificate"}
)


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
    mode = _tls_mode(database)
    options: dict[str, Any] = {"poolclass": NullPool, "hide_parameters": True}
    if autocommit:
        options["isolation_level"] = "AUTOCOMMIT"
    if database.engine.is_mysql:
        options["connect_args"] = _mysql_arguments(mode)
    else:
        options["connect_args"] = _postgresql_arguments(database.properties, mode)
        options["use_native_hstore"] = False
    return create_async_engine(url, **options)


def _mysql_arguments(mode: str) -> dict[str, Any]:
    return {
        "charset": "utf8mb4",
        "connect_timeout": _CONNECT_TIMEOUT,
        "conv": {FIELD_TYPE.BIT: _bits, **dict.fromkeys(_BINARY, _text)},
        "ssl": _tls_context(mode),
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
    if mode.startswith("verify"):
        arguments["sslrootcert"] = properties.get("sslrootcert", "system")
    if schema := properties.get("currentSchema"):
        arguments["options"] = "-c search_path=" + schema.replace("\\", r"\\").replace(" ", r"\ ")
    return arguments


def _tls_mode(database: Database) -> str:
    """Return PostgreSQL's name of what the JDBC properties say of TLS; log those not known."""
    known = {name.lower(): value for name, value in database.properties.items()}
    unknown = [
        name
        for name in database.properties
        if name.lower() not in _TLS_PROPERTIES and name != "currentSchema"
    ]
    if unknown:
        logger.warning("%s: these properties are ignored: %s", database, ", ".join(unknown))
    if given := known.get("sslmode"):
        mode = _TLS_MODES.get(given.lower(), given.lower())
        if mode not in (*_TLS_MODES.values(), "allow"):
            raise bad_definition(f"{database.id}: there is no sslmode {given!r:.40}")
        return mode
    return _mode_without_name(known)


def _mode_without_name(known: Mapping[str, str]) -> str:
    if known.get("sslfactory", "").endswith("NonValidatingFactory"):
        return "require"
    if known.get("ssl", "false").lower() in (_TRUE, ""):
        return "verify-full"
    if known.get("usessl", _TRUE).lower() != _TRUE:
        return "disable"
    if known.get("verifyservercertificate", "").lower() == _TRUE:
        return "verify-ca"
    return "require" if known.get("requiressl", "").lower() == _TRUE else "prefer"


def _tls_context(mode: str) -> ssl.SSLContext | None:
    """Return a context for MySQL; the certificate is checked only if the mode says so."""
    if mode == "disable":
        return None
    context = ssl.create_default_context()
    context.check_hostname = mode == "verify-full"
    if not mode.startswith("verify"):
        context.verify_mode = ssl.CERT_NONE
    return context


def _text(value: str | bytes) -> str:
    """Return bytes as text from which they can be had again, by the same error handler."""
    return value.decode(errors="surrogateescape") if isinstance(value, bytes) else value


def _bits(value: bytes) -> str:
    return str(int.from_bytes(value, "big"))
