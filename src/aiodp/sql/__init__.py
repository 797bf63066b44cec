"""Copies data between S3 and SQL databases, and runs SQL, as AWS's Task Runner does.

`SqlHandler` is a handler for a `TaskRunner`. It needs the extra `sql`. docs/sql.md says what it
does where the service's documentation leaves that open.
"""

from aiodp.sql._handler import SqlHandler

__all__ = ["SqlHandler"]
