"""A command with a session of its own, which is ended as a whole."""

from __future__ import annotations

import os
import signal
import subprocess
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

import anyio

from aiodp._concurrency import bare_group

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anyio.abc import Process

KILL_MARGIN: Final = 0.25
"""Seconds before its deadline at which the command of a lost task is killed at the latest."""
_START_TIMEOUT: Final = 60.0
"""Seconds that the system may take to make a process, while nothing can interrupt that."""
_DEATH_TIMEOUT: Final = 5.0
"""Seconds that a killed process may take to vanish; one that hangs in the kernel takes for ever."""
_BURIAL_TIMEOUT: Final = 1.0
"""Seconds in which the rest of a killed group vanishes; for ever, if init does not wait for it."""
_POLL: Final = 0.02
"""Seconds between two looks at a session whose leader is gone."""

_OVER: Final = "over"
_GUARD: Final = f"""\
read -r group || exit 0
[ "$group" = {_OVER} ] && exit 0
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
"""What a shell does beside us: it reads a session, and ends it if no other line follows.

After its name, which may hold anything, a process's `stat` has its state, and the ids of its
parent, its group and its session. What was being forked is met by the second KILL.
"""
_ANNOUNCED: Final = ("/bin/sh", "-c", 'echo "$$" >&0 && exec "$@" </dev/null', "aiodp-start")
"""Tells the guard, to which its input leads, of its own group before it becomes the command."""


class _Flag(Protocol):
    def is_set(self) -> bool: ...


class HeldTask(Protocol):
    """A task as far as the end of its command depends on it."""

    @property
    def canceled(self) -> _Flag:
        """Whether the service has cancelled it."""
        ...

    @property
    def deadline(self) -> float:
        """The time at which the service may give it to somebody else."""
        ...


def time_to_stop(task: HeldTask, grace: float, now: float) -> float:
    """Return the grace, cut short if the service may soon give the task to somebody else.

    The service gives a cancelled task to nobody, so its command has all of the grace.
    """
    if task.canceled.is_set():
        return grace
    return max(0.0, min(grace, task.deadline - now - KILL_MARGIN))


def describe_exit(returncode: int) -> str:
    """Return "exit code n", or for -n "killed by" the name of signal n."""
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:  # a real-time signal has no name
        return f"killed by signal {-returncode}"


class Command:
    """A command that runs in a session of its own.

    In a mere process group of its own it would be stopped as soon as it read from the terminal; and
    `timeout`, or a shell with job control, makes groups of its own for what it starts.

    What is not given is inherited; the outputs are file descriptors. Should this process die before
    `close`, a guard ends the group, SIGKILL following SIGTERM after `grace` seconds. A command
    without our input tells the guard of its group before anything of it runs. One that inherits it
    is told of by us, and lives on if we are killed in that very moment.
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
        self._guard: subprocess.Popen[str] | None = None
        self._process: Process | None = None

    @classmethod
    async def start(cls, command: Sequence[str], *, grace: float) -> Self:
        """Return a command that runs. Raises `OSError` if it cannot; then nothing runs."""
        started = cls(command, grace=grace)
        try:
            await started.begin()
        except BaseException:
            started.close()
            raise
        return started

    async def begin(self) -> None:
        """Start it; raise `OSError` if it cannot be.

        It may run if this is cancelled: then `stop` it. In any case `close` it.
        """
        self._guard = _start_guard(self._grace)
        # An event loop that is interrupted here would kill the process, but nobody would know its
        # group: so nothing interrupts it.
        async with bare_group() as group:
            group.start_soon(self._begin, self._guard, name="aiodp command start")
        if self._process is None:
            raise TimeoutError("the system does not start the command")

    async def _begin(self, guard: subprocess.Popen[str]) -> None:
        announced = () if self._inherits_input else _ANNOUNCED
        with anyio.move_on_after(_START_TIMEOUT, shield=True):
            self._process = await anyio.open_process(
                (*announced, *self._argv),
                stdin=None if self._inherits_input else guard.stdin,
                start_new_session=True,
                **self._settings,
            )
            if self._inherits_input:
                _tell(guard, str(self._process.pid))

    def close(self) -> None:
        """Send the guard home; kill what is left of a command that has not ended by itself."""
        if self.lives:
            self.signal(signal.SIGKILL)
        if self._guard is not None:
            _end_guard(self._guard)

    @property
    def returncode(self) -> int | None:
        """Its exit code, -n if signal n ended it, None while it runs or if it never did."""
        return None if self._process is None else self._process.returncode

    @property
    def lives(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    async def wait(self) -> None:
        """Return once the command itself has ended."""
        if self._process is not None:
            await self._process.wait()

    def signal(self, number: int) -> bool:
        """Send a signal to all of the session; return whether anybody got it."""
        if self._process is None:
            return False
        groups = _groups(self._process.pid)
        met = [group for group in groups if _send(group, number)]
        if number == signal.SIGKILL:  # what was being forked meanwhile
            met += [group for group in _groups(self._process.pid) - groups if _send(group, number)]
        return bool(met)

    async def stop(self, grace: float) -> None:
        """End the whole session: SIGTERM, then SIGKILL after `grace` seconds.

        Returns once all of it has ended, or cannot be ended.
        """
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)  # a stopped process would not hear
        with anyio.move_on_after(grace) as scope:
            await self._vanished()
        if scope.cancelled_caught:
            self.signal(signal.SIGKILL)
        with anyio.move_on_after(_DEATH_TIMEOUT, shield=True):
            await self.wait()
        with anyio.move_on_after(_BURIAL_TIMEOUT, shield=True):
            await self._vanished()

    async def _vanished(self) -> None:
        await self.wait()
        while self.signal(0):  # noqa: ASYNC110 - no event tells of it
            await anyio.sleep(_POLL)


def _groups(session: int) -> set[int]:
    """Return the process groups of a session, its leader's first group among them."""
    groups = {session}
    with suppress(FileNotFoundError):  # not every system has it; then it is that group alone
        for name in os.listdir("/proc"):  # noqa: PTH208 - names are what is needed, and no paths
            if name.isdecimal():
                with suppress(ProcessLookupError, PermissionError):
                    if os.getsid(int(name)) == session:
                        groups.add(os.getpgid(int(name)))
    return groups


def _send(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # the latter: it runs as somebody else
        return False
    return True


_guards: Final[weakref.WeakSet[subprocess.Popen[str]]] = weakref.WeakSet()


def _forget_guards() -> None:
    """Let a guard see the end of its input though we were forked, by a handler for instance."""
    for guard in _guards:
        if guard.stdin:
            with suppress(OSError):
                guard.stdin.close()


os.register_at_fork(after_in_child=_forget_guards)


def _start_guard(grace: float) -> subprocess.Popen[str]:
    guard = subprocess.Popen(  # noqa: S603 - a constant script and a number
        ["/bin/sh", "-c", _GUARD, "aiodp-guard", f"{grace:.3f}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )
    _guards.add(guard)
    return guard


def _tell(guard: subprocess.Popen[str], line: str) -> None:
    with suppress(BrokenPipeError):  # somebody killed the guard: there is nothing to be done
        if guard.stdin:
            guard.stdin.write(line + "\n")
            guard.stdin.flush()


def _end_guard(guard: subprocess.Popen[str]) -> None:
    """Send it home, and wait for it; one that was stopped must not stop us."""
    _tell(guard, _OVER)
    try:
        guard.communicate(timeout=_DEATH_TIMEOUT)
    except subprocess.TimeoutExpired:
        guard.kill()
        guard.communicate()
