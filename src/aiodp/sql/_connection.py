"""One connection to a database, whose work ends at the server when it is interrupted here."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar, TypeVarTuple

import anyio
import psycopg
import pymysql
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from aiodp._log import error_text, logger
from aiodp.sql._drivers import ignored_properties, make_engine, mode_of
from aiodp.sql._errors import database_failed
from aiodp.sql._interruption import run_on_server
from aiodp.sql._tls import must_be_encrypted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from sqlalchemy import Connection, CursorResult
    from sqlalchemy.ext.asyncio import AsyncConnection

    from aiodp.sql._databases import Database
    from aiodp.sql._rows import Row

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

_ERRORS: Final = (SQLAlchemyError, psycopg.Error, pymysql.MySQLError, OSError, UnicodeError)
"""What SQLAlchemy and the drivers raise: of the server, the connection, or a value to be sent."""
_CANCEL_TIMEOUT: Final = 2.0
"""Seconds for one request to cancel."""
_CLOSE_TIMEOUT: Final = 3.0
_POSTGRESQL_9: Final = 90_000
"""As libpq gives a server's version."""


class DatabaseConnection:
    """An open connection. What it is asked raises `TaskFailed` with the server's message."""

    def __init__(self, database: Database, connection: AsyncConnection, driver: Any) -> None:
        self.database = database
        self.driver = driver
        """The connection of psycopg or aiomysql."""
        self._connection = connection
        # aiomysql does not wait for the end of TLS, so its sockets would outlive the event loop.
        self._writer = driver._writer if database.engine.is_mysql else None  # noqa: SLF001 - as said

    async def run(self, work: Callable[[Connection, *_Ts], _T], *args: *_Ts) -> _T:
        """Call a function of SQLAlchemy's connection."""

        def call(connection: Connection) -> _T:
            return work(connection, *args)

        return await self.run_coroutine(partial(self._connection.run_sync, call))

    async def run_coroutine(self, work: Callable[[], Awaitable[_T]]) -> _T:
        """Await what works on the connection."""
        with _database_errors(self.database):
            return await run_on_server(work, self._cancel)

    async def check_encryption(self) -> None:
        """Raise `TaskFailed` if it is not encrypted and must be: aiomysql would not."""
        if self.database.engine.is_mysql and must_be_encrypted(mode_of(self.database)):
            [[_, cipher]] = await self.run(_all, "SHOW STATUS LIKE 'Ssl_cipher'")
            if not cipher:
                raise database_failed(f"{self.database}: the server does not encrypt connections")

    @asynccontextmanager
    async def streamed(
        self, statement: str
    ) -> AsyncIterator[Callable[[int], Awaitable[list[Row]]]]:
        """Yield a function that returns so many more rows of a query, which the server holds."""
        result = await self.run(_select, statement)
        try:
            yield partial(self.run, partial(_fetch, result))
        except BaseException:
            await self.break_off()
            raise
        finally:
            await _bounded(partial(self._connection.run_sync, _close, result))

    async def break_off(self) -> None:
        """Close it without a word, whatever the server is sending."""
        if self._writer is not None:
            with suppress(AttributeError):  # Python 3.11.2's, where the transport is closed already
                self._writer.transport.abort()
            self.driver.close()  # SQLAlchemy would wait for a server that is not listening
        await _bounded(self._connection.invalidate)

    async def close(self) -> None:
        """Close it, and wait for that."""
        await _bounded(self._connection.close)
        if self._writer is not None:
            await _bounded(self._writer.wait_closed)

    @property
    def can_copy(self) -> bool:
        """Whether it takes rows by `COPY`: PostgreSQL does, and Redshift, which is 8.0.2, not."""
        if self.database.engine.is_mysql:
            return False
        return bool(self.driver.info.server_version >= _POSTGRESQL_9)

    async def commit(self) -> None:
        """Commit the transaction, whoever has begun it: SQLAlchemy, or what used the driver."""
        await self.run_coroutine(self.driver.commit)

    async def _cancel(self) -> None:
        """Ask the server to end what it does for this connection."""
        with anyio.move_on_after(_CANCEL_TIMEOUT):
            if self.database.engine.is_mysql:
                await self._kill()
            else:
                await self.driver.cancel_safe(timeout=_CANCEL_TIMEOUT)

    async def _kill(self) -> None:
        # KILL QUERY would end one statement of a script alone, and the server go on to the next.
        engine = make_engine(self.database)
        async with engine.connect() as other:
            await other.execute(text(f"KILL {int(self.driver.thread_id())}"))


@asynccontextmanager
async def connected(
    database: Database, *, autocommit: bool = False
) -> AsyncIterator[DatabaseConnection]:
    """Yield a connection; what is not committed at the end of the block is rolled back.

    Raises `TaskFailed` if it cannot be opened. A block that raises has it broken off, which ends
    whatever it still receives.
    """
    if ignored := ignored_properties(database):
        logger.warning("%s: properties that are ignored: %s", database, ", ".join(ignored))
    with _database_errors(database):
        connection = await make_engine(database, autocommit=autocommit).connect()
    raw = await connection.get_raw_connection()
    opened = DatabaseConnection(database, connection, raw.driver_connection)
    try:
        await opened.check_encryption()
        yield opened
    except BaseException:
        await opened.break_off()
        raise
    finally:
        await opened.close()


async def _bounded(close: Callable[[], Awaitable[object]]) -> None:
    with suppress(Exception), anyio.move_on_after(_CLOSE_TIMEOUT, shield=True):
        await close()


def _all(connection: Connection, statement: str) -> list[Row]:
    return [tuple(row) for row in connection.exec_driver_sql(statement)]


def _select(connection: Connection, statement: str) -> CursorResult[Any]:
    streaming = connection.execution_options(stream_results=True, no_parameters=True)
    return streaming.exec_driver_sql(statement)


def _fetch(result: CursorResult[Any], _: Connection, size: int) -> list[Row]:
    return [tuple(row) for row in result.fetchmany(size)]


def _close(connection: Connection, result: CursorResult[Any]) -> None:
    if not (connection.invalidated and connection.dialect.name == "mysql"):
        result.close()


@contextmanager
def _database_errors(where: object) -> Iterator[None]:
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
