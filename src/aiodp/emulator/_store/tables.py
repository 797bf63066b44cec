"""The tables of a state file, each with the rows of one kind of record of all services."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

APPLICATION: Final = 0x61696F64
"""SQLite's `application_id` of state files: "aiod"."""
FORMAT: Final = 4
"""SQLite's `user_version`: it is raised with each change of a table or of what its rows hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table, whose `keys` are unique within a service, read in the order of insertion.

    A row that replaces an older one has the place of that.
    """

    name: str
    keys: tuple[str, ...]
    others: tuple[str, ...] = ("data",)

    @property
    def create(self) -> str:
        """The statement that makes it."""
        columns = ", ".join(("service INTEGER NOT NULL", *self.keys, *self.others))
        keys = ", ".join(("service", *self.keys))
        return f"CREATE TABLE {self.name} ({columns}, UNIQUE ({keys}))"

    @property
    def put(self) -> str:
        """The statement that puts a row, with the service first."""
        columns = ("service", *self.keys, *self.others)
        marks = ", ".join("?" * len(columns))
        keys = ", ".join(("service", *self.keys))
        changes = ", ".join(f"{column} = excluded.{column}" for column in self.others)
        return (
            f"INSERT INTO {self.name} ({', '.join(columns)}) VALUES ({marks}) "  # noqa: S608 - names of ours
            f"ON CONFLICT ({keys}) DO UPDATE SET {changes}"
        )

    @property
    def read(self) -> str:
        """The statement that reads the rows of a service."""
        columns = ", ".join((*self.keys, *self.others))
        return f"SELECT {columns} FROM {self.name} WHERE service = ? ORDER BY rowid"  # noqa: S608

    @property
    def clear(self) -> str:
        """The statement that removes the rows of a service."""
        return f"DELETE FROM {self.name} WHERE service = ?"  # noqa: S608

    @property
    def forget(self) -> str:
        """The statement that removes the rows of a pipeline."""
        return f"DELETE FROM {self.name} WHERE service = ? AND pipeline = ?"  # noqa: S608


SERVICES: Final = """\
CREATE TABLE services (
    number INTEGER PRIMARY KEY, account NOT NULL, region NOT NULL, life, epoch, origin, now, wall,
    UNIQUE (account, region)
)"""
"""`wall` is the time of day, in seconds since 1970, at the service's time `now`."""
KNOWN: Final = "SELECT account, region FROM services ORDER BY number"
FIND: Final = """\
SELECT number, life, epoch, origin, now, wall FROM services WHERE account = ? AND region = ?"""
INSERT: Final = """\
INSERT INTO services (account, region, life, epoch, origin, now, wall)
VALUES (?, ?, ?, ?, ?, ?, ?)"""
REOPEN: Final = "UPDATE services SET life = ?, now = ?, wall = ? WHERE number = ?"
UPDATE_TIME: Final = "UPDATE services SET now = ?, wall = ? WHERE number = ?"
DELETE: Final = "DELETE FROM services WHERE number = ?"

PIPELINES: Final = Table(name="pipelines", keys=("id",), others=("name", "unique_id", "data"))
DEFINITIONS: Final = Table(name="definitions", keys=("pipeline", "role"))
TIMELINES: Final = Table(name="timelines", keys=("pipeline", "name"))
INSTANCES: Final = Table(name="instances", keys=("pipeline", "id"), others=("component", "data"))
ATTEMPTS: Final = Table(name="attempts", keys=("pipeline", "instance", "number"))
TASKS: Final = Table(name="tasks", keys=("id",), others=("pipeline", "instance", "attempt", "data"))
EVENTS: Final = Table(name="events", keys=("number",))
DROP_EVENTS: Final = "DELETE FROM events WHERE service = ? AND number < ?"
RUNNERS: Final = Table(name="runners", keys=("id",))
CALLS: Final = Table(name="calls", keys=("operation", "outcome"), others=("count",))
DROP_PIPELINE: Final = "DELETE FROM pipelines WHERE service = ? AND id = ?"

OF_PIPELINE: Final = (DEFINITIONS, TIMELINES, INSTANCES, ATTEMPTS, TASKS)
"""The tables with a column `pipeline`."""
TABLES: Final = (
    PIPELINES,
    DEFINITIONS,
    TIMELINES,
    INSTANCES,
    ATTEMPTS,
    TASKS,
    EVENTS,
    RUNNERS,
    CALLS,
)
