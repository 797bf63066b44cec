"""A text of several statements on a driver's connection, whose rows are dropped as they come.

The drivers' own calls hold all rows of a query in memory, and nobody asks for those of a script.
"""

from __future__ import annotations

from typing import Any, Final

import aiomysql
import anyio
import psycopg
from psycopg.pq import ExecStatus, error_message

_FAILURES: Final = (ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE)


async def execute_postgresql(driver: Any, script: str) -> None:
    """Execute it by libpq, as its manual says ("Asynchronous Command Processing").

    Raises an exception of psycopg.
    """
    connection = driver.pgconn
    connection.send_query(script.encode())
    connection.set_single_row_mode()
    while connection.flush():
        await anyio.wait_writable(connection.socket)
    failure = None
    while (result := await _next_result(connection)) is not None:
        if result.status == ExecStatus.COPY_IN:
            raise psycopg.NotSupportedError("a script has no data for COPY FROM STDIN")
        if result.status == ExecStatus.COPY_OUT:
            await _drop_copy(connection)
        if result.status in _FAILURES:
            failure = _error_of(result)
        result.clear()
    if failure is not None:
        raise failure


async def execute_mysql(driver: Any, script: str) -> None:
    """Execute it; raise an exception of pymysql."""
    cursor = await driver.cursor(_Cursor)  # which ends with the connection
    await cursor.execute(script)
    while await cursor.drop_result():  # which raises what a later statement has met
        pass


async def _drop_copy(connection: Any) -> None:
    while (length := connection.get_copy_data(1)[0]) >= 0:
        if not length:
            await anyio.wait_readable(connection.socket)
            connection.consume_input()


async def _next_result(connection: Any) -> Any:
    while connection.is_busy():
        await anyio.wait_readable(connection.socket)
        connection.consume_input()
    return connection.get_result()


def _error_of(result: Any) -> psycopg.Error:
    state = result.error_field(psycopg.pq.DiagnosticField.SQLSTATE)
    text = error_message(result)
    return psycopg.DatabaseError(f"{text} (SQLSTATE {state.decode()})" if state else text)


class _Cursor(aiomysql.SSCursor):
    async def drop_result(self) -> bool:
        """Go to the next result, if there is one; aiomysql's `nextset` would hold its rows."""
        await self._result._finish_unbuffered_query()  # noqa: SLF001 - aiomysql has no other way
        if not self._result.has_next:
            return False
        await self._connection._read_query_result(unbuffered=True)  # noqa: SLF001 - as above
        await self._do_get_result()
        return True

    async def _show_warnings(self, _: object) -> None:
        """Ask for no warnings, which would be written to stderr."""
