"""Commands, all processes of which end when their task does."""

from aiodp._process.command import Command
from aiodp._process.exits import KILL_MARGIN, describe_exit, time_to_stop

__all__ = ["KILL_MARGIN", "Command", "describe_exit", "time_to_stop"]
