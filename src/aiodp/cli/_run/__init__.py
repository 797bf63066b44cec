"""`aiodp run`: work on the tasks of a worker group."""

from aiodp.cli._run.command import run

__all__ = ["run"]
