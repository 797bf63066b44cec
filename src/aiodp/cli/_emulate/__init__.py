"""`aiodp emulate`: serve a local AWS Data Pipeline over HTTP."""

from aiodp.cli._emulate.command import emulate

__all__ = ["emulate"]
