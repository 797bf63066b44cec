"""Threads of our own, for what must not wait for those that the program's work fills."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from aiodp._aws.threads import Threads

pytestmark = pytest.mark.anyio

HANGS = """
import anyio, threading
from aiodp._aws.threads import Threads

async def main():
    threads = Threads(2, "hanging")
    threads.start(threading.Event().wait)
    threads.close()

anyio.run(main)
"""


@pytest.fixture
def threads():
    return Threads(2, "aiodp test")


@pytest.mark.parametrize("error", [ValueError("no"), asyncio.CancelledError(), SystemExit(1)])
async def test_what_a_thread_raises_is_raised_to_those_who_wait(threads, error):
    """As a provider's error, whatever it is; nobody waits for ever."""

    def fail():
        raise error

    with pytest.raises(type(error)):
        await threads.start(fail).result()


async def test_no_more_threads_run_than_are_allowed(threads):
    """What comes later waits its turn."""
    go_on, begun, done = threading.Event(), threading.Semaphore(0), []

    def work(number):
        begun.release()
        go_on.wait()
        done.append(number)

    jobs = [threads.start(lambda number=number: work(number)) for number in range(4)]
    for _ in range(2):
        begun.acquire()
    names = [thread.name for thread in threading.enumerate() if thread.name == "aiodp test"]
    assert len(names) == 2
    assert not any(job.done for job in jobs)
    go_on.set()
    for job in jobs:
        await job.result()
    assert sorted(done) == [0, 1, 2, 3]


async def test_what_waits_when_they_are_closed_is_not_begun(threads):
    """What runs goes on."""
    go_on, begun, done = threading.Event(), threading.Semaphore(0), []

    def work():
        begun.release()
        return go_on.wait()

    running = [threads.start(work) for _ in range(2)]
    for _ in running:
        begun.acquire()
    threads.start(lambda: done.append("waiting"))
    threads.close()
    go_on.set()
    for job in running:
        assert await job.result()
    assert done == []


async def test_a_thread_that_cannot_be_started_is_told(threads, monkeypatch):
    """The process may have no more; the next work finds room again."""

    def refuse(_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="start new thread"):
            threads.start(int)
    assert await threads.start(int).result() == 0


def test_a_program_ends_though_a_thread_hangs():
    """As a name server that never answers lets it."""
    ended = subprocess.run([sys.executable, "-c", HANGS], timeout=60, check=False)
    assert ended.returncode == 0
