"""A command in a session of its own, all processes of which are ended with it."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any, Final, Self

import anyio

from aiodp._concurrency import bare_group
from aiodp._process.guard import ANNOUNCED, Guard
from aiodp._process.session import is_running, send_to_session

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from anyio.abc import Process

_START_TIMEOUT: Final = 60.0
"""Seconds that the system may take to make a process, while nothing can interrupt that."""
_KILL_TIMEOUT: Final = 5.0
"""Seconds to wait for the processes that were killed; one that hangs in the kernel never ends."""
_POLL_INTERVAL: Final = 0.02
"""Seconds between two looks at a session whose leader has ended."""


class Command:
    """A command that runs in a session of its own.

    A process group would not do: its processes are stopped as soon as they read from the terminal,
    and `timeout`, or a shell with job control, moves what it starts into further groups.

    What is not given is inherited; `stdout` and `stderr` are file descriptors. If this process
    dies before `close`, the guard ends the session: SIGTERM, then SIGKILL after `grace` seconds.
    A command that does not inherit the input writes its id to the guard before it runs. For one
    that does, this process writes it afterwards; killed in between, it leaves the command running.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        grace: float,
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        inherits_input: bool = True,
    ) -> None:
        self._argv = command
        self._grace = grace
        self._inherits_input = inherits_input
        self._settings: dict[str, Any] = {
            "cwd": cwd,
            "env": env,
            "stdout": stdout,
            "stderr": stderr,
        }
        self._guard: Guard | None = None
        self._process: Process | None = None

    @classmethod
    async def start(cls, command: Sequence[str], *, grace: float) -> Self:
        """Return a command that runs. Raises `OSError` if it cannot be started; then none runs."""
        started = cls(command, grace=grace)
        try:
            await started.begin()
        except BaseException:
            started.close()
            raise
        return started

    async def begin(self) -> None:
        """Start it; raise `OSError` if it cannot be started.

        It may run if this is cancelled, so it has to be stopped then, and closed in any case.
        """
        self._guard = Guard(self._grace)
        # An event loop that is interrupted while it starts a process kills that process alone, and
        # does not say its id, so that its session could not be ended. So nothing interrupts it.
        async with bare_group() as group:
            group.start_soon(self._open_process, self._guard, name="aiodp command start")
        if self._process is None:
            raise TimeoutError("the system does not start the command")

    async def _open_process(self, guard: Guard) -> None:
        announced = () if self._inherits_input else ANNOUNCED
        with anyio.move_on_after(_START_TIMEOUT, shield=True):
            self._process = await anyio.open_process(
                (*announced, *self._argv),
                stdin=None if self._inherits_input else guard.input,
                start_new_session=True,
                **self._settings,
            )
            if self._inherits_input:
                guard.watch(self._process.pid)

    @property
    def returncode(self) -> int | None:
        """Its exit code, -n if signal n ended it, None while it runs or if it never did."""
        return None if self._process is None else self._process.returncode

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    async def wait(self) -> None:
        """Return once the command itself has ended."""
        if self._process is not None:
            await self._process.wait()

    def signal(self, number: int) -> None:
        """Send a signal to all processes of the session."""
        if self._process is not None:
            send_to_session(self._process.pid, number)

    async def stop(self, grace: float) -> None:
        """End the whole session: SIGTERM, then SIGKILL after `grace` seconds.

        Returns once all of it has ended, or cannot be ended.
        """
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)  # a process that is stopped would not get the SIGTERM
        with anyio.move_on_after(grace) as scope:
            await self._wait_session_exit()
        if scope.cancelled_caught:
            self.signal(signal.SIGKILL)
        with anyio.move_on_after(_KILL_TIMEOUT, shield=True):
            await self._wait_session_exit()

    async def _wait_session_exit(self) -> None:
        await self.wait()
        if self._process is not None:
            while is_running(self._process.pid):  # noqa: ASYNC110 - there is no event
                await anyio.sleep(_POLL_INTERVAL)

    def close(self) -> None:
        """Tell the guard to exit; kill what is left of a command that has not ended by itself."""
        if self.is_running:
            self.signal(signal.SIGKILL)
        if self._guard is not None:
            self._guard.exit()
