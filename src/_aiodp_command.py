"""The command `aiodp`, outside the package: so signals are heard while that is imported."""

from __future__ import annotations

import os
import signal
import sys

_KILLED_BY_SIGNAL = 128


def main() -> int:
    """Run the command line and return the exit code."""
    if sys.platform != "win32" and os.getpid() == 1:
        child = _fork()
        if child:
            return _serve_as_init(child)
    # Until `aiodp.cli` has imported all, Ctrl-C would be a traceback out of some import.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from aiodp.cli import main as run  # noqa: PLC0415 - that is what takes the time

    return run()


# Process 1, as in a container, hears no signal that it has no handler for, and has to wait for all
# processes whose parents have ended. So it is one that does nothing else.

if sys.platform != "win32":

    def _fork() -> int:
        """Return the id of a child, and 0 in it; from now on no signal is lost here."""
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # if it is ignored, no child leaves a code
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        child = os.fork()
        if not child:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return child

    def _serve_as_init(child: int) -> int:
        """Pass signals on to the child, and return its exit code when it has ended."""
        while True:
            number = signal.sigwait(signal.valid_signals())
            if number != signal.SIGCHLD:
                os.kill(child, number)
                continue
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == child:
                    code = os.waitstatus_to_exitcode(ended[1])
                    return code if code >= 0 else _KILLED_BY_SIGNAL - code
