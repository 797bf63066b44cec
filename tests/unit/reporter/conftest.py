"""Fixtures for the reporter's parts."""

from __future__ import annotations

import anyio
import pytest

from aiodp._reporter.record import TaskRecord
from aiodp.testing import MemoryService
from unit.reporter.kit import TIMING


@pytest.fixture
def record():
    """Of a task that is held."""
    record = TaskRecord("task", TIMING, 0.0)
    record.succeed(0.0, 0.0)
    return record


@pytest.fixture
async def service():
    """A Data Pipeline of the test's own."""
    return MemoryService(clock=anyio.current_time)
