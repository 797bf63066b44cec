"""The databases of a definition: where they are, and who is to connect."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from aiodp._redaction import remember
from aiodp.shell._definition import referred_objects
from aiodp.shell._errors import bad_definition
from aiodp.sql._jdbc import Engine, JdbcUrl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiodp._core.objects import PipelineObject
    from aiodp._runner.task import Task
    from aiodp.sql._endpoints import Endpoints

_JDBC: Final = "JdbcDatabase"
_RDS: Final = "RdsDatabase"
_REDSHIFT: Final = "RedshiftDatabase"
_PASSWORD: Final = "*password"  # noqa: S105 - the name of a field


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A database, and the account that connects to it."""

    id: str
    engine: Engine
    host: str
    port: int
    name: str | None
    username: str | None
    password: str | None = field(repr=False)
    properties: Mapping[str, str] = field(repr=False)
    """Those of its JDBC URL, and its `jdbcProperties`."""

    def __str__(self) -> str:
        return f"{self.id} ({self.engine.value}://{self.host}:{self.port}/{self.name or ''})"


async def referred_database(task: Task, holder: PipelineObject, endpoints: Endpoints) -> Database:
    """Return the database to which the field `database` of an object refers.

    Raises `TaskFailed` for what is none, and if its address cannot be had; `CallFailed` if the
    service does not answer when it is asked for the object.
    """
    objects = await referred_objects(task, "database", holder)
    if len(objects) != 1:
        raise bad_definition(
            f"{holder.id} must have one database, a reference to a {_JDBC}, {_RDS} or {_REDSHIFT}, "
            f"but has {len(objects)}"
        )
    [found] = objects
    return database_at(found, await _url(found, endpoints))


def database_at(item: PipelineObject, url: JdbcUrl) -> Database:
    """Return the database at an address, with the account that an object has for it.

    Raises `TaskFailed` (`BadDefinition`).
    """
    properties = {**url.properties, **dict(_properties(item))}
    user, password = properties.pop("user", None), properties.pop("password", None)
    password = text_of(item, _PASSWORD) or text_of(item, "password") or password
    remember(password)
    return Database(
        id=item.id,
        engine=url.engine,
        host=url.host,
        port=url.port,
        name=text_of(item, "databaseName") or url.database,
        username=text_of(item, "username") or user,
        password=password,
        properties=properties,
    )


def read_url(item: PipelineObject) -> JdbcUrl | None:
    """Return the `connectionString` of an object, None if it has none; raise `TaskFailed`."""
    text = text_of(item, "connectionString")
    if not text:
        return None
    try:
        return JdbcUrl.parse(text)
    except ValueError as error:
        raise bad_definition(f"{item.id}: its connectionString {error}") from error


def text_of(item: PipelineObject, key: str) -> str | None:
    """Return the only value of a field, None if it has none; raise `TaskFailed` if it has more."""
    try:
        return item.text(key, None)
    except ValueError as error:
        raise bad_definition(str(error)) from error


async def _url(item: PipelineObject, endpoints: Endpoints) -> JdbcUrl:
    url, region = read_url(item), text_of(item, "region")
    if item.type == _RDS and (instance := text_of(item, "rdsInstanceId")):
        return await endpoints.rds(instance, region)
    if item.type == _REDSHIFT and (cluster := text_of(item, "clusterId")):
        if url is not None:
            raise bad_definition(f"{item.id} must not have both a clusterId and a connectionString")
        return await endpoints.redshift(cluster, region)
    if item.type not in (_JDBC, _REDSHIFT) or url is None:
        raise bad_definition(_missing(item))
    is_redshift = item.type == _REDSHIFT  # which may have a URL of PostgreSQL's driver
    return replace(url, engine=Engine.REDSHIFT) if is_redshift else url


def _missing(item: PipelineObject) -> str:
    needed = {
        _JDBC: "a connectionString",
        _RDS: "an rdsInstanceId",
        _REDSHIFT: "a clusterId or a connectionString",
    }
    if item.type in needed:
        return f"{item.id} must have {needed[item.type]}"
    return f"{item.id} is a {item.type or 'object without a type'}, not a {', '.join(needed)}"


def _properties(item: PipelineObject) -> list[tuple[str, str]]:
    pairs = [text.partition("=") for text in item.texts("jdbcProperties")]
    if not all(equals for _, equals, _ in pairs):
        raise bad_definition(f"{item.id}: jdbcProperties must be of the form NAME=VALUE")
    return [(name.strip(), value.strip()) for name, _, value in pairs]
