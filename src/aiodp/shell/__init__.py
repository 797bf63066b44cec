"""Runs the shell commands of Data Pipeline's tasks, as AWS's Task Runner does.

`ShellHandler` is a handler for a `TaskRunner`. docs/shell.md says what it does where the service's
documentation leaves that open.
"""

from aiodp.shell._errors import CommandFailed
from aiodp.shell._handler import ShellHandler

__all__ = ["CommandFailed", "ShellHandler"]
