"""The processes of a session, as the system shows them."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_THREADS: Final = 16
"""Where `/proc/<id>/stat` has the number of threads, counted from what follows the state."""


def send_to_session(session: int, number: int) -> None:
    """Send a signal to all processes of a session which may be sent one."""
    groups = _groups(session)
    for group in groups:
        _send(group, number)
    if number == signal.SIGKILL:  # a process may have been forked meanwhile
        for group in _groups(session) - groups:
            _send(group, number)


def _groups(session: int) -> set[int]:
    """Return the process groups of a session, its leader's first group among them."""
    groups = {session}
    for process in _processes(session):
        with suppress(ProcessLookupError, PermissionError):
            groups.add(os.getpgid(process))
    return groups


def is_running(session: int) -> bool:
    """Return whether any of its processes runs that we may signal.

    A process that has ended stays in the system as a zombie until its parent waits for it. In a
    container that may be never, for its first process is often no init.
    """
    processes = set(_processes(session))
    if any(_may_signal(process) and not _is_zombie(process) for process in processes):
        return True
    if not processes:
        return _send(session, 0)
    return bool(set(_processes(session)) - processes)  # forked by one that has ended since


def _processes(session: int) -> Iterator[int]:
    """Yield the ids of its processes; none of them on a system without `/proc`, such as macOS."""
    with suppress(FileNotFoundError):
        for name in os.listdir("/proc"):  # noqa: PTH208 - names are what is needed, and no paths
            if name.isdecimal() and _session_of(int(name)) == session:
                yield int(name)


def _session_of(process: int) -> int | None:
    try:
        return os.getsid(process)
    except (ProcessLookupError, PermissionError):
        return None


def _is_zombie(process: int) -> bool:
    """Return whether it has ended, with all threads: the first one may end before the others."""
    try:
        stat = Path(f"/proc/{process}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return True
    state, *numbers = stat.rpartition(b")")[2].split()
    return state == b"Z" and int(numbers[_THREADS]) <= 1


def _may_signal(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, PermissionError):  # the latter: it runs as another user
        return False
    return True


def _send(group: int, number: int) -> bool:
    """Send a signal to a process group; return whether any process of it may be sent one."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # the latter: it runs as another user
        return False
    return True
