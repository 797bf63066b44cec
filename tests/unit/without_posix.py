"""Uses the library and the local service in a Python that lacks what Windows lacks.

What others need is imported before it is hidden, and what aiodp needs after that.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from importlib import import_module

OTHERS = (
    "aiobotocore.httpsession anyio.to_thread anyio._backends._asyncio boto3 click click.testing "
    "moto.server moto.s3 pytest rich.console subprocess tempfile"
)
MODULES = "fcntl grp posix pty pwd resource termios tty"
OF_OS = (
    "chown fork fork_exec geteuid getpgid getsid getuid killpg mkfifo O_CLOEXEC O_NOFOLLOW "
    "register_at_fork set_blocking setsid uname WNOHANG"
)
OF_SIGNAL = (
    "SIGALRM SIGCHLD SIGCONT SIGHUP SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGTSTP SIGUSR1 SIGUSR2 "
    "pthread_sigmask setitimer sigwait SIG_BLOCK SIG_SETMASK"
)
OF_SOCKET = "MSG_DONTWAIT"
OF_TIME = "CLOCK_BOOTTIME CLOCK_MONOTONIC clock_gettime"


def write(*words: object) -> None:
    """Tell the test, which reads the output."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")


def hide() -> None:
    """Let what Windows lacks be missing here."""
    for name in MODULES.split():
        sys.modules[name] = None  # type: ignore[assignment]  # an import raises then
    for module, names in ((os, OF_OS), (signal, OF_SIGNAL), (socket, OF_SOCKET), (time, OF_TIME)):
        for name in names.split():
            vars(module).pop(name, None)
    sys.platform = "win32"


def fail_commands() -> None:
    """Print what is said by that which cannot work."""
    from click.testing import CliRunner  # noqa: PLC0415 - all that aiodp needs comes after `hide`

    from aiodp.cli._main import cli  # noqa: PLC0415

    for command in ("doctor", "hold", "run"):
        result = CliRunner().invoke(cli, [command, "--anything"])
        write(f"{command}:", result.output.strip().removeprefix("Error: "))
    try:
        import_module("aiodp.shell")
    except ImportError as error:
        write(error)


async def work(endpoint: str) -> None:
    """Do one task with a reporter, and one with a runner."""
    from aiobotocore.session import get_session  # noqa: PLC0415

    import aiodp  # noqa: PLC0415

    os.environ |= dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "testing")
    options = {"region_name": "us-east-1", "endpoint_url": endpoint}
    session = get_session()
    async with session.create_client("datapipeline", **options) as client:
        answer = await client.poll_for_task(workerGroup="workers")
    async with (
        aiodp.ProgressReporter(session, **options) as reporter,  # type: ignore[arg-type]
        reporter.track(answer["taskObject"]["taskId"]) as task,
    ):
        await task.report()
        await task.set_status(aiodp.TaskStatus.FINISHED)
    write("FINISHED by the reporter")

    async def handler(task: aiodp.Task) -> None:
        await task.report()

    runner = aiodp.TaskRunner(session, worker_group="workers", handler=handler, **options)  # type: ignore[arg-type]
    await runner.run(max_tasks=1)
    write(*runner.statistics().ended, "by the runner")


def main() -> None:
    """Hide it, and work."""
    for name in OTHERS.split():
        import_module(name)
    hide()
    import asyncio  # noqa: PLC0415

    from aiodp.testing import ServerKit  # noqa: PLC0415

    for name in ("aiodp.cli._validate", "aiodp.cli._poll", "aiodp.cli._emulate", "pytest_aiodp"):
        import_module(name)
    fail_commands()
    with ServerKit() as server:
        for _ in range(2):
            server.activity()
        asyncio.run(work(server.endpoint))


if __name__ == "__main__":
    main()
