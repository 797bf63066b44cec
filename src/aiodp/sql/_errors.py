"""How the work on a database fails; every failure has an `errorId` of its own."""

from __future__ import annotations

from aiodp._errors import TaskFailed


def database_failed(message: str) -> TaskFailed:
    """Return the failure of a task for a reason of its database, in the server's own words."""
    return TaskFailed(message, error_id="DatabaseFailed")


def missing_extra(error: ModuleNotFoundError) -> TaskFailed:
    """Return the failure of a task that needs what is not installed."""
    return TaskFailed(
        f"databases need the module {error.name}; install what is missing: "
        f'pip install "aiodp[sql]"',
        error_id="MissingExtra",
    )


def bad_data(message: str) -> TaskFailed:
    """Return the failure of a task whose data is not of the format that its definition says."""
    return TaskFailed(message, error_id="BadData")
