"""The state file: one SQLite database for the services of all accounts and regions."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, Final

from aiodp._files import open_private
from aiodp.emulator._store.tables import APPLICATION, FORMAT, KNOWN, SERVICES, TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SETUP: Final = (
    "PRAGMA locking_mode = EXCLUSIVE",  # until the connection, or the process, ends
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",  # a commit outlives the process; the last ones not the machine
)

_ERRNO: Final = {
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,  # what it keeps beside the file
    sqlite3.SQLITE_READONLY: errno.EACCES,
    sqlite3.SQLITE_FULL: errno.ENOSPC,
}


class Store:
    """An open state file, which no other process can open until it is closed.

    `time_of_day` gives the seconds since 1970.

    Raises `OSError`, whose `strerror` names the file, if it cannot be opened, and `ValueError`
    if it is another kind of file or of another version.
    """

    def __init__(
        self, path: str | os.PathLike[str], time_of_day: Callable[[], float] = time.time
    ) -> None:
        self.time_of_day = time_of_day
        if not os.fspath(path):  # which would be the current directory
            raise OSError(errno.ENOENT, "the state file has an empty name")
        self.path = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links
        self._lock = RLock()
        self._prepare()
        with self._explained():
            # None: transactions are begun by hand. No timeout: another server keeps it for long.
            self._connection = sqlite3.connect(
                self.path, timeout=0, isolation_level=None, check_same_thread=False
            )
        try:
            self._open()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the file, which others can open then."""
        with self._lock, self._explained():
            self._connection.close()

    def known(self) -> list[tuple[str, str]]:
        """Return the account and region of each service in it."""
        return [(account, region) for account, region in self.read(KNOWN)]

    def read(self, statement: str, *values: object) -> list[Any]:
        """Return the rows which a statement finds."""
        with self._lock, self._explained():
            return self._connection.execute(statement, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Let all changes within the block be made, or none."""
        with self._lock, self._explained():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _prepare(self) -> None:
        """Make the file for this user alone, unless there is something in it already.

        SQLite would let others read a new one. Of one that it cannot write it would leave files
        beside it which have its mode, and could not use them later. One that is there is not
        opened here: to close it would end the lock of another server in this process.
        """
        target = Path(os.path.realpath(self.path))
        try:
            with suppress(FileExistsError):
                open_private(target, "xb").close()
            status = target.stat()
            if stat.S_ISREG(status.st_mode) and status.st_size == 0:
                target.chmod(0o600)
        except OSError as error:
            raise self._os_error(error.errno or errno.EIO, error.strerror or "") from error
        if target.is_dir():
            raise self._os_error(errno.EISDIR, "it is a directory")
        if not target.is_file():
            raise self._os_error(errno.EINVAL, "it is no file")
        if not os.access(target, os.R_OK | os.W_OK, effective_ids=True):
            raise self._os_error(errno.EACCES, os.strerror(errno.EACCES))

    def _open(self) -> None:
        with self._explained():
            self._check(self._pragma("application_id"), self._pragma("user_version"))
            for statement in _SETUP:
                self._connection.execute(statement)
        with self.transaction() as connection:  # from here on no other process can write
            self._check(self._pragma("application_id"), self._pragma("user_version"))
            if self._is_new():
                for statement in (SERVICES, *(table.create for table in TABLES)):
                    connection.execute(statement)
            # In an old file they are set already; setting them shows that it can be written.
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {FORMAT}")

    def _check(self, application: int, version: int) -> None:
        if application != APPLICATION and not self._is_new():
            raise ValueError(f"{self.path} is a database of something else, not a state file")
        if application == APPLICATION and version != FORMAT:
            raise ValueError(
                f"the state file {self.path} has format {version}, but this version of aiodp has "
                f"format {FORMAT}; use another file, or the version which wrote this one"
            )

    def _is_new(self) -> bool:
        return not self._connection.execute("SELECT 1 FROM sqlite_master").fetchone()

    def _pragma(self, name: str) -> int:
        [value] = self._connection.execute(f"PRAGMA {name}").fetchone()
        return int(value)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Raise SQLite's errors as the built-in ones, with the file's name."""
        try:
            yield
        except sqlite3.Error as error:
            primary = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without its extension
            if primary == sqlite3.SQLITE_NOTADB:
                raise ValueError(f"{self.path} is not a state file: {error}") from error
            if primary == sqlite3.SQLITE_BUSY:
                raise self._os_error(errno.EBUSY, "another server uses it") from error
            number = _ERRNO.get(primary, errno.EIO)
            raise self._os_error(number, str(error)) from error

    def _os_error(self, number: int, reason: str) -> OSError:
        return OSError(number, f"the state file {self.path} cannot be used: {reason}")
