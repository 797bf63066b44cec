"""`aiodp poll`: poll once for a task, and print it."""

from aiodp.cli._poll.command import poll

__all__ = ["poll"]
