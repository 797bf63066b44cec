"""`aiodp demo`: forty tasks at once, on a local service that fails."""

from aiodp.cli._demo.command import demo

__all__ = ["demo"]
