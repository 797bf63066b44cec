"""Processes of the command `aiodp` and of scripts, forked from one that has imported aiodp."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import IO, TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVER: Final = "acceptance.command_server"
FOLDER: Final = Path(__file__).parents[1]
TRIES: Final = 10
"""How often a server may be found at its end, or be started."""
MODES: Final = {"stdin": "w", "stdout": "r", "stderr": "r"}
"""How the other end of each stream is opened."""


class Commands:
    """Starts processes, until it is closed."""

    def __init__(self, name: str, environment: Mapping[str, str]) -> None:
        """Use the server of this name, and start it if there is none."""
        self._requests = _open_server(name, environment)

    def close(self) -> None:
        """Start nothing more; the server ends after all have done this."""
        self._requests.close()

    def start(
        self,
        *arguments: object,
        env: Mapping[str, str],
        script: Path | None = None,
        cwd: Path | None = None,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        text: bool = True,
    ) -> Command:
        """Start `aiodp`, or a script, with these arguments; the rest is as `Popen` has it.

        Warnings are errors.
        """
        assert not [name for name in env.keys() - os.environ if name.startswith("PYTHON")]
        args = [str(script or "aiodp"), *map(str, arguments)]
        message = {"arguments": args, "env": dict(env), "cwd": str(cwd or Path.cwd())}
        streams = zip(MODES, (stdin, stdout, stderr), strict=True)
        ends = {name: _open(name, stream, text=text) for name, stream in streams}
        report, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        descriptors = [theirs.fileno(), *(descriptor for _, descriptor in ends.values())]
        socket.send_fds(self._requests, [json.dumps(message).encode()], descriptors)
        theirs.close()
        for descriptor in descriptors[1:]:
            os.close(descriptor)
        return Command(args, report, **{name: file for name, (file, _) in ends.items()})

    def run(
        self,
        *arguments: object,
        env: Mapping[str, str],
        script: Path | None = None,
        cwd: Path | None = None,
        stdin: str = "",
        timeout: float,
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end, and until nobody holds its output any more."""
        pipe = subprocess.PIPE
        with self.start(
            *arguments, env=env, script=script, cwd=cwd, stdin=pipe, stdout=pipe, stderr=pipe
        ) as process:
            try:
                out, err = process.communicate(stdin, timeout=timeout)
            finally:
                process.kill()
        return subprocess.CompletedProcess(process.args, process.wait(), out, err)


class Command:
    """A process, with what tests use of `subprocess.Popen`."""

    def __init__(self, args: list[str], report: socket.socket, **files: IO[Any] | None) -> None:
        self.args = args
        self.returncode: int | None = None
        self.stdin, self.stdout, self.stderr = (files[name] for name in MODES)
        self._report = report
        self.pid = int(report.recv(32))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in filter(None, (self.stdin, self.stdout, self.stderr)):
            with suppress(BrokenPipeError):
                file.close()
        self.wait()
        self._report.close()

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self._report.settimeout(timeout)
            try:
                status = self._report.recv(32)
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(self.args, timeout or 0) from None
            self.returncode = os.waitstatus_to_exitcode(int(status))
        return self.returncode

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has ended, which is not reported yet
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(9)

    def communicate(self, text: str = "", timeout: float | None = None) -> tuple[Any, Any]:
        """Write and close the input, and return all that the process has written at its end."""
        reading = [_read(self.stdout), _read(self.stderr)]
        if self.stdin:
            with suppress(BrokenPipeError):
                self.stdin.write(text)
                self.stdin.close()
        try:
            out, err = (result.result(timeout) for result in reading)
        except TimeoutError:
            raise subprocess.TimeoutExpired(self.args, timeout or 0) from None
        self.wait(timeout)
        return out, err


def _open_server(name: str, environment: Mapping[str, str]) -> socket.socket:
    for _ in range(TRIES):
        if (connection := _connect(name)) is not None:
            return connection
        _start_server(name, environment)
    raise RuntimeError("no command server lives: see what it has written to stderr")


def _connect(name: str) -> socket.socket | None:
    """Return a connection to the server of this name, if there is one that is not about to end."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with suppress(ConnectionError):
        connection.connect(f"\0{name}")
        if connection.recv(32):
            return connection
    connection.close()
    return None


def _start_server(name: str, environment: Mapping[str, str]) -> None:
    """Start the server, unless somebody else does; one may connect to it at once."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        try:
            listener.bind(f"\0{name}")
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return
        listener.listen(100)
        number = listener.fileno()
        command = [sys.executable, "-X", "utf8", "-W", "error", "-m", SERVER, str(number)]
        subprocess.run(
            command,
            check=True,
            cwd=FOLDER,
            pass_fds=[number],
            env=environment,
            stdin=subprocess.DEVNULL,
        )


def _open(name: str, stream: int | None, *, text: bool) -> tuple[IO[Any] | None, int]:
    """Return our end of a stream, if it is a pipe, and a descriptor for the process."""
    if stream != subprocess.PIPE:
        return None, os.dup(list(MODES).index(name) if stream is None else stream)
    theirs, ours = os.pipe() if name == "stdin" else os.pipe()[::-1]
    return os.fdopen(ours, MODES[name] if text else f"{MODES[name]}b"), theirs


def _read(file: IO[Any] | None) -> Future[Any]:
    """Read a stream to its end, in a thread."""
    result: Future[Any] = Future()
    if file is None or file.closed:
        result.set_result(None)
    else:
        Thread(target=lambda: result.set_result(file.read()), daemon=True).start()
    return result
