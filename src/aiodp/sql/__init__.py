"""Copies data between S3 and SQL databases, and runs SQL, as AWS's Task Runner does.

`CopyHandler` and `SqlHandler` are handlers for a `TaskRunner`. Databases need the extra `sql`.
docs/sql.md says what they do where the service's documentation leaves that open.
"""

from aiodp.sql._copy_handler import CopyHandler
from aiodp.sql._handler import SqlHandler

__all__ = ["CopyHandler", "SqlHandler"]
