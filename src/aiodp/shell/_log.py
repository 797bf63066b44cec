"""What the shell handler logs about a task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiodp._core.text import shorten
from aiodp._log import logger

if TYPE_CHECKING:
    from aiodp._runner.task import Task


def warn(task: Task, message: str) -> None:
    """Log a warning about a task."""
    short = shorten(task.task_id)
    logger.warning("task %s: %s", short, message, stacklevel=2)
