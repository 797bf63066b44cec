"""`aiodp hold`: keep a task alive while a command runs."""

from aiodp.cli._hold.command import hold

__all__ = ["hold"]
