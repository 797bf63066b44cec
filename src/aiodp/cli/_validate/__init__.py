"""`aiodp validate`: check definition files without a server."""

from aiodp.cli._validate.command import validate

__all__ = ["validate"]
