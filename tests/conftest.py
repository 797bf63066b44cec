"""Tests in real time, with processes and sockets, may be disturbed by what else the machine does.

One that fails is run once more; the summary counts it among the reruns, so that it is not unseen.
Tests in virtual time, and those of pure code, have no such excuse.
"""

from __future__ import annotations

from typing import Final

import pytest

REAL_TIME: Final = frozenset({"acceptance", "contract", "shell", "slow"})
REAL_TIME_MODULES: Final = ("test_demo", "test_threads")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder, name = item.path.parent.name, item.path.name
        if folder in REAL_TIME or name.startswith(REAL_TIME_MODULES):
            item.add_marker(pytest.mark.flaky(reruns=1))
