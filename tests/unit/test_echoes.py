"""Signals: once for one cause, and heard whatever fails, in the library, `aiodp run` and `hold`."""

from __future__ import annotations

import signal
from signal import SIGHUP, SIGINT, SIGTERM
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from aiobotocore.session import get_session

from aiodp import TaskRunner
from aiodp._process import echoes
from aiodp._process.echoes import ECHO_WINDOW, Echoes
from aiodp.cli._hold.held_command import HeldCommand
from aiodp.cli._run.signals import Signals
from aiodp.testing import MemoryKit

SOON = ECHO_WINDOW / 2


@pytest.fixture
def at(monkeypatch):
    """Sets the time at which signals come."""

    def at(seconds: float) -> None:
        monkeypatch.setattr(echoes, "system_time", lambda: seconds)

    at(0)
    return at


@pytest.mark.parametrize(
    ("comes", "counts"),
    [
        ([(0, SIGTERM), (0.05, SIGTERM), (0.14, SIGTERM), (0.25, SIGTERM)], [1, 0, 0, 1]),
        ([(0, SIGTERM), (0.01, SIGINT), (0.02, SIGTERM)], [1, 1, 0]),
        ([(0, SIGHUP), (0.5, SIGHUP), (1.6, SIGHUP)], [1, 0, 1]),
        ([(0, SIGTERM), (0.9, SIGHUP), (1.8, SIGHUP), (3, SIGTERM)], [1, 0, 0, 1]),
        ([(0, SIGHUP), (0.01, SIGTERM)], [1, 1]),
    ],
)
def test_a_signal_that_comes_twice_for_one_cause_counts_once(at, comes, counts):
    """As from `timeout`, which sends it to the group as well, and from a closed terminal."""
    told = Echoes()
    for (seconds, number), count in zip(comes, counts, strict=True):
        at(seconds)
        assert told.is_echo(number) is not bool(count)


def test_hold_kills_no_command_because_of_an_echo(at):
    """The command has heard the first one, and cleans up."""
    sent: list[int] = []

    async def signals():
        for seconds in (0, SOON, 1):
            at(seconds)
            yield SIGTERM

    async def main():
        held = HeldCommand(["sleep"], grace=1, set_status=False, say=lambda *_, **__: None)
        command: Any = SimpleNamespace(signal=sent.append)
        held._command = command
        await held._receive(signals())

    anyio.run(main)
    assert sent == [SIGTERM, signal.SIGKILL]


def test_aiodp_run_interrupts_no_task_because_of_an_echo(at):
    """The first one drains, and so does its echo."""
    heard: list[int] = []
    signals = Signals(lambda *_: None, lambda: None, lambda _, count: heard.append(count))
    with signals._wakeup_read, signals._wakeup_write:
        for seconds in (0, SOON, 1):
            at(seconds)
            signals._stop(SIGTERM)
    assert heard == [1, 2]


def test_aiodp_run_hears_signals_where_no_thread_can_be_started(at):
    """The limit of processes is reached: it drains without a limit, and hears the next one."""
    heard: list[int] = []

    def limit_end(*_):
        raise RuntimeError("can't start new thread")

    signals = Signals(lambda _, count: heard.append(count), lambda: None, limit_end)
    loop: Any = SimpleNamespace(call_soon_threadsafe=lambda function, *args: function(*args))
    signals._loop = loop
    with signals._wakeup_read, signals._wakeup_write:
        for seconds in (0, 1):
            at(seconds)
            signals._stop(SIGTERM)
    assert heard == [1, 2]


def test_a_runner_interrupts_no_task_because_of_an_echo(at):
    """As a program of its own under `timeout`; the next runner begins anew."""

    async def work(task):
        signal.raise_signal(SIGTERM)
        at(SOON)
        signal.raise_signal(SIGTERM)
        await anyio.lowlevel.checkpoint()

    async def main():
        kit = MemoryKit()
        kit.activity()
        one = TaskRunner(kit.attach(get_session()), worker_group="workers", handler=work)
        await one.run(once=True)
        assert one.statistics().ended == {"FINISHED": 1}
        assert one._shutdown.step == 1

    anyio.run(main)
    at(0)
    anyio.run(main)
