"""A script that a server runs, with its arguments in it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from psycopg.sql import Literal

from aiodp._log import logger
from aiodp.shell._errors import bad_definition
from aiodp.sql._connection import connected
from aiodp.sql._execution import execute_mysql, execute_postgresql
from aiodp.sql._jdbc import Engine
from aiodp.sql._script import count_marks, replace_marks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aiodp.sql._databases import Database


async def run_script(
    database: Database,
    script: str,
    arguments: Sequence[str],
    *,
    queue: str | None,
    check: Callable[[], None],
) -> None:
    """Run all statements of a script, and commit; the rows of its queries are dropped.

    The server gets the script as one request, with the arguments as literals in it, so that it, and
    nobody else, says where a statement ends. PostgreSQL makes that one transaction, unless the
    script has its own. `check` is called before a commit that is made here. Raises `TaskFailed`.
    """
    mysql = database.engine.is_mysql
    marks = count_marks(script, mysql=mysql) if arguments else 0
    if marks != len(arguments):
        raise bad_definition(
            f"the script has {marks} question marks for {len(arguments)} values of scriptArgument"
        )
    async with connected(database, autocommit=not mysql) as connection:
        driver = connection.driver
        if arguments:
            quote = driver.escape if mysql else _quote_by(driver)
            script = replace_marks(script, lambda n: quote(arguments[n]), mysql=mysql)
        if queue and database.engine is Engine.REDSHIFT:
            setting = f"SET query_group TO {_quote_by(driver)(queue)}"
            await connection.run_coroutine(lambda: driver.execute(setting))
        elif queue:
            logger.warning("%s: queue is ignored, which Redshift alone has", database)
        if mysql:
            await connection.run_coroutine(partial(execute_mysql, driver, script))
            check()
            await connection.commit()
        else:
            await connection.run_coroutine(partial(execute_postgresql, driver, script))


def _quote_by(driver: Any) -> Callable[[str], str]:
    return lambda text: Literal(text).as_string(driver)
