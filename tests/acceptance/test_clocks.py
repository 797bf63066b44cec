"""The service in process, in real time."""

from __future__ import annotations

import asyncio

from aiobotocore.session import get_session

from aiodp.emulator import ServiceClock
from aiodp.testing import MemoryService, Settings


def test_a_fast_clock_of_the_service():
    """A service whose clock is a faster one holds a poll for as long as that clock says."""

    async def main() -> float:
        memory = MemoryService(clock=ServiceClock(900), settings=Settings(quotas=None))
        async with memory.attach(get_session()).create_client("datapipeline") as client:
            began = memory.now
            assert "taskObject" not in await client.poll_for_task(workerGroup="workers")
            return memory.now - began

    assert 90 <= asyncio.run(main()) < 900
