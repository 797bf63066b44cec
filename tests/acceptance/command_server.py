"""Forks the command `aiodp`, and scripts, for tests: -m acceptance.command_server SOCKET.

It has imported what they need, so that a test does not wait for that each time. The socket with
this file descriptor listens for the processes that run tests. Each of their connections brings one
message for each process to start: its arguments, directory and environment, and with it a socket
for what happens to the process, and its standard streams.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
from typing import Any, Final

import moto.s3.responses  # noqa: F401 - imported for the processes to come

import aiodp.cli._doctor
import aiodp.cli._emulate
import aiodp.cli._hold
import aiodp.cli._main
import aiodp.cli._run  # noqa: F401 - likewise
from acceptance.descriptions import read_descriptions, read_descriptions_once
from aiodp.cli import main
from aiodp.emulator import EmulatorServer  # noqa: F401 - likewise

MESSAGE: Final = 200_000
"""The most bytes of a message."""
PATIENCE: Final = 60.0
"""Seconds to wait for the first connection."""


def serve(listener: socket.socket) -> None:
    """Start processes until nobody asks for them any more; return in each of them."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the watchers
    clients: list[socket.socket] = []
    while ready := select.select([listener, *clients], [], [], None if clients else PATIENCE)[0]:
        for client in ready:
            if client is listener:
                clients.append(listener.accept()[0])
                clients[-1].send(b"accepted")
                continue
            message, descriptors, *_ = socket.recv_fds(client, MESSAGE, 4)
            if message and fork(message, descriptors, [listener, *clients]):
                return
            if not message:
                clients.remove(client)
                client.close()
        if not clients:
            break
    listener.close()
    sys.exit()


def fork(message: bytes, descriptors: list[int], connections: list[socket.socket]) -> bool:
    """Start a process, and one that watches it; return whether this is the process."""
    report, *streams = descriptors
    if os.fork() == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for connection in connections:
            connection.close()
        if (pid := os.fork()) == 0:
            os.close(report)
            become(streams, **json.loads(message))
            return True
        watch(pid, report, streams)
    for descriptor in descriptors:
        os.close(descriptor)
    return False


def watch(pid: int, report: int, streams: list[int]) -> None:
    """Tell the process's id, and how it ends."""
    for descriptor in streams:
        os.close(descriptor)
    os.write(report, str(pid).encode())
    os.write(report, str(os.waitpid(pid, 0)[1]).encode())
    os._exit(0)


def become(streams: list[int], *, arguments: list[str], cwd: str, env: dict[str, str]) -> None:
    """Take over what distinguishes a process that has just been started."""
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.argv[:] = arguments
    sys.stdin = reopen(sys.stdin)
    sys.stdout = reopen(sys.stdout, line_buffering=os.isatty(1))
    sys.stderr = reopen(sys.stderr, line_buffering=True)


def reopen(stream: Any, *, line_buffering: bool = False) -> Any:
    """Return a new stream in place of one of the interpreter's."""
    file = os.fdopen(
        stream.fileno(), stream.mode, encoding=stream.encoding, errors=stream.errors, closefd=False
    )
    file.reconfigure(line_buffering=line_buffering)
    return file


def end(code: int) -> None:
    """End as the interpreter does, but let the system free the memory: of moto's it is much."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    gc.collect()  # what was not closed is said
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    if os.fork():  # it outlives who has started it, as long as others use it
        os._exit(0)
    assert threading.active_count() == 1, "threads are not forked"
    read_descriptions_once()
    read_descriptions()
    gc.freeze()  # so that no collection writes to the memory that all processes share
    serve(socket.socket(fileno=int(sys.argv[1])))
    if sys.argv[0] == "aiodp":
        end(main())
    sys.path.insert(0, os.path.dirname(sys.argv[0]))  # noqa: PTH120 - as the interpreter does
    runpy.run_path(sys.argv[0], run_name="__main__")
