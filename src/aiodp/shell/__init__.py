"""Runs the shell commands of Data Pipeline's tasks, as AWS's Task Runner does.

`ShellHandler` is a handler for a `TaskRunner`. docs/shell.md says what it does where the service's
documentation leaves that open.
"""

import sys

if sys.platform == "win32":
    raise ImportError("aiodp.shell needs POSIX, such as Linux or macOS; on Windows, use WSL")

from aiodp.shell._errors import CommandFailed
from aiodp.shell._handler import ShellHandler

__all__ = ["CommandFailed", "ShellHandler"]
