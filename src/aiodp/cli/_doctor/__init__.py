"""`aiodp doctor`: check what a task runner needs."""

from aiodp.cli._doctor.command import doctor

__all__ = ["doctor"]
