from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parent
WAITING: Final = ("slow", "acceptance", "contract", "unit/shell", "unit/runner")
"""Folders whose tests wait for real time, the longest first."""


def pytest_configure(config: pytest.Config) -> None:
    """Let pytest-xdist hand out the files in the order of the tests."""
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the folder `slow` as such, and let those that wait long begin early.

    In several processes the longest file must not be the last one to begin, and a test that waits
    leaves the processor to one that computes.
    """
    for item in items:
        if item.path.parent == TESTS / "slow":
            item.add_marker(pytest.mark.slow)
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    folder = item.path.parent.relative_to(TESTS).as_posix()
    return WAITING.index(folder) if folder in WAITING else len(WAITING)
