"""JDBC's addresses of databases."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Engine(Enum):
    """A kind of server."""

    POSTGRESQL = "postgresql"
    REDSHIFT = "redshift"
    MYSQL = "mysql"
    """MariaDB as well."""

    @property
    def default_port(self) -> int:
        """The port of a URL that has none."""
        return _PORTS[self]

    @property
    def is_mysql(self) -> bool:
        """Whether it speaks MySQL's protocol; all others speak PostgreSQL's."""
        return self is Engine.MYSQL


_PORTS: Final = {Engine.POSTGRESQL: 5432, Engine.REDSHIFT: 5439, Engine.MYSQL: 3306}
_ENGINES: Final = {engine.value: engine for engine in Engine} | {"mariadb": Engine.MYSQL}
_URL: Final = re.compile(
    r"jdbc:(?P<engine>postgresql|redshift|mysql|mariadb)://"
    r"(?P<host>\[[0-9a-f:.]+\]|[^\s/:?,@()\[\]]+)(?::(?P<port>\d{1,5}))?"
    r"(?:/(?P<database>[^?;]*))?(?:[?;](?P<properties>.*))?",
    re.IGNORECASE | re.DOTALL,
)
_FORMS: Final = (
    "jdbc:mysql:, jdbc:mariadb:, jdbc:postgresql: or jdbc:redshift://HOST[:PORT]/DATABASE"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JdbcUrl:
    """Where a database is. The properties are not shown: a password may be among them."""

    engine: Engine
    host: str
    port: int
    database: str | None
    properties: Mapping[str, str] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> JdbcUrl:
        """Read it; raise `ValueError`, without the text itself, for what is none of these."""
        match = _URL.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"is not of the form {_FORMS}")
        engine = _ENGINES[match["engine"].lower()]
        return cls(
            engine=engine,
            host=match["host"].strip("[]"),
            port=int(match["port"] or engine.default_port),
            database=unquote(match["database"] or "") or None,
            properties=dict(_pairs(match["properties"] or "")),
        )


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for pair in re.split("[&;]", text):
        name, equals, value = pair.partition("=")
        if equals:
            yield unquote(name), unquote(value)
