"""The command line: ``aiodp demo``, ``aiodp emulate`` and ``aiodp hold``."""

from __future__ import annotations

import sys

HINT = 'install what is missing: pip install "aiodp[cli,emulator]"'


def main() -> int:
    """Run the command line and return the exit code."""
    try:
        from aiodp.cli._main import run  # noqa: PLC0415  # click is an extra
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("aiodp"):
            raise
        sys.stderr.write(f"aiodp: no module {error.name}; {HINT}\n")
        return 1
    return run()
