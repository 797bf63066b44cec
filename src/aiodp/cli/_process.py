"""A command with a process group of its own, which is ended as a whole."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

import anyio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyio.abc import Process

_DEATH_TIMEOUT: Final = 5.0
"""Seconds that a killed process may take to vanish; one that hangs in the kernel takes for ever."""
_POLL: Final = 0.02
"""Seconds between two looks at a group whose leader is gone."""

_GUARD: Final = """\
read -r group || exit 0
read -r _ && exit 0
kill -s TERM -- "-$group"
sleep "$1"
kill -s KILL -- "-$group"
"""
"""What a shell does beside us: it reads a group, and ends it if no other line follows."""


class Command:
    """A command that runs in a session, and so a process group, of its own.

    A session of its own, for in a mere process group of its own it would be stopped as soon as it
    read from the terminal. Input and output are inherited.
    """

    def __init__(self, process: Process, guard: subprocess.Popen[str]) -> None:
        self._process = process
        self._guard = guard

    @classmethod
    async def start(cls, command: Sequence[str], *, grace: float) -> Self:
        """Start it. Raises `OSError` if it cannot be.

        Should this process die before `close`, a guard ends the group, SIGKILL following SIGTERM
        after `grace` seconds.
        """
        guard = _start_guard(grace)
        try:
            process = await anyio.open_process(
                command, stdin=None, stdout=None, stderr=None, start_new_session=True
            )
        except BaseException:
            guard.communicate()
            raise
        _tell(guard, str(process.pid))
        return cls(process, guard)

    def close(self) -> None:
        """Send the guard home; kill what is left of a command that has not ended by itself."""
        if self.returncode is None:
            self.signal(signal.SIGKILL)
        _tell(self._guard, "over")
        self._guard.communicate()

    @property
    def returncode(self) -> int | None:
        """Its exit code, -n if signal n ended it, None while it runs."""
        return self._process.returncode

    async def wait(self) -> None:
        """Return once the command itself has ended."""
        await self._process.wait()

    def signal(self, number: int) -> bool:
        """Send a signal to all of the group; return whether anybody got it."""
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):  # the latter: it runs as somebody else
            return False
        return True

    async def stop(self, grace: float) -> None:
        """End the whole group: SIGTERM, then SIGKILL after `grace` seconds.

        Returns once the command itself has ended, or cannot be ended.
        """
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)  # a stopped process would not hear
        with anyio.move_on_after(grace) as scope:
            await self._vanished()
        if scope.cancelled_caught:
            self.signal(signal.SIGKILL)
        with anyio.move_on_after(_DEATH_TIMEOUT, shield=True):
            await self.wait()

    async def _vanished(self) -> None:
        await self.wait()
        while self.signal(0):  # noqa: ASYNC110 - no event tells of it
            await anyio.sleep(_POLL)


def _start_guard(grace: float) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - a constant script and a number
        ["/bin/sh", "-c", _GUARD, "aiodp-hold-guard", f"{grace:.3f}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )


def _tell(guard: subprocess.Popen[str], line: str) -> None:
    with suppress(BrokenPipeError):  # somebody killed the guard: there is nothing to be done
        if guard.stdin:
            guard.stdin.write(line + "\n")
            guard.stdin.flush()
