"""The installed command `aiodp`, outside the package: so Ctrl-C is heard while that is imported."""

from __future__ import annotations

import signal


def main() -> int:
    """Run the command line and return the exit code."""
    # Until `aiodp.cli` has imported all, Ctrl-C would be a traceback out of some import.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from aiodp.cli import main as run  # noqa: PLC0415 - that is what takes the time

    return run()
