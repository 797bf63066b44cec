"""A process that ends a command's session if this process dies first."""

from __future__ import annotations

import os
import subprocess
import weakref
from contextlib import suppress
from typing import IO, Final

_EXIT: Final = "exit"
_SCRIPT: Final = f"""\
read -r group || exit 0
[ "$group" = {_EXIT} ] && exit 0
read -r _ && exit 0
end() {{
  kill -s "$1" -- "-$group"
  for stat in /proc/[0-9]*/stat; do
    read -r line < "$stat" || continue
    set -- "$1" ${{line##*) }}
    [ "$5" = "$group" ] && kill -s "$1" -- "-$4"
  done
}}
end TERM
sleep "$1"
end KILL
end KILL
"""
"""What the guard, a shell, runs.

It reads the id of the command's session, and ends that session if its input ends before another
line. In `/proc/<id>/stat` the state follows the name, which may hold any character, and then come
the ids of the parent, the group and the session. The second KILL is for a process that was forked
during the first.
"""
ANNOUNCED: Final = ("/bin/sh", "-c", 'echo "$$" >&0 && exec "$@" </dev/null', "aiodp-start")
"""Goes before a command whose input leads to the guard.

Writes its own id to the guard, and becomes the command, with an empty input.
"""
_EXIT_TIMEOUT: Final = 5.0
"""Seconds that the guard may take to exit; one that somebody stopped is killed then."""

_inputs: Final[weakref.WeakSet[IO[str]]] = weakref.WeakSet()


def _close_inputs() -> None:
    """Close a forked process's copies of them, or no guard would see that its input has ended."""
    for stream in _inputs:
        with suppress(OSError):
            stream.close()


os.register_at_fork(after_in_child=_close_inputs)


class Guard:
    """The guard of one command; the session gets SIGKILL `grace` seconds after SIGTERM."""

    def __init__(self, grace: float) -> None:
        """Start it; raise `OSError` if it cannot be started."""
        self._process = subprocess.Popen(  # noqa: S603 - a constant script and a number
            ["/bin/sh", "-c", _SCRIPT, "aiodp-guard", f"{grace:.3f}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self.input = self._process.stdin
        _inputs.add(self.input)

    def watch(self, session: int) -> None:
        """Tell it which session to end."""
        self._write_line(str(session))

    def exit(self) -> None:
        """Tell it to exit, and wait for that."""
        self._write_line(_EXIT)
        try:
            self._process.communicate(timeout=_EXIT_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def _write_line(self, line: str) -> None:
        with suppress(BrokenPipeError):  # somebody killed it, which cannot be mended
            self.input.write(line + "\n")
            self.input.flush()
