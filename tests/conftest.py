from __future__ import annotations

import gc
import os
import signal
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, settings

from acceptance.commands import Commands
from acceptance.descriptions import read_descriptions_once
from acceptance.support import kept_environment

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

TESTS: Final = Path(__file__).parent
WAITING: Final = ("slow", "acceptance", "contract", "unit/shell", "unit/runner")
FOLDERS: Final = (*WAITING, "virtual", "campaign")
"""Those whose tests wait for real time, the longest first, and those which compute for long."""
WORKER: Final = os.environ.get("PYTEST_XDIST_WORKER", "")
WORKERS: Final = os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")

# No example may fail because the machine is slow.
untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fixed", untimed, derandomize=True)
settings.register_profile("explore", untimed, print_blob=True)
settings.load_profile("fixed")

read_descriptions_once()


def pytest_configure(config: pytest.Config) -> None:
    """Let pytest-xdist hand out the files in the order of the tests."""
    config.option.loadscopereorder = False
    if WORKER:
        sys.dont_write_bytecode = False  # what it compiles is for all processes


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Let each process of pytest-xdist collect another part of a folder first.

    Each of them collects all tests, but what one has compiled, the others need not.
    """
    report = yield
    if WORKER and isinstance(collector, pytest.Dir) and (found := report.result):
        first = len(found) * int(WORKER.removeprefix("gw")) // int(WORKERS)
        report.result = found[first:] + found[:first]
    return report


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Look for no garbage among the modules and tests that are collected: they stay to the end.

    After these are left out, few objects are old, so that Python would look at all others often.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()
        gc.set_threshold(20_000, 20, 100)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the folder `slow` as such, and let the files with most slow tests begin.

    In several processes the longest file must not be the last one to begin, and a test that waits
    leaves the processor to one that computes.
    """
    for item in items:
        if item.path.parent == TESTS / "slow":
            item.add_marker(pytest.mark.slow)
    if WORKER:
        slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
        files = {item.path for item in items}
        turns = {path: (-slow[path], _turn(path), path) for path in files}
        items.sort(key=lambda item: turns[item.path])


@pytest.fixture(scope="session", autouse=True)
def _heard_signals() -> Iterator[None]:
    """Shells start background jobs with SIGINT ignored, `nohup` SIGHUP; children inherit that."""
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    hangup = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGHUP, hangup)


@pytest.fixture(scope="session")
def commands() -> Iterator[Commands]:
    """Starts `aiodp` and scripts, without the time that a new one takes for its imports."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))  # all its workers share one
    with closing(Commands(f"aiodp-commands-{run}", kept_environment())) as running:
        yield running


def _turn(file: Path) -> int:
    folder = file.parent.relative_to(TESTS).as_posix()
    return FOLDERS.index(folder) if folder in FOLDERS else len(FOLDERS)
