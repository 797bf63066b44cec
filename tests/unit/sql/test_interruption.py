"""Work of a server that is interrupted here, on asyncio and on trio, in virtual time."""

from __future__ import annotations

import anyio
import pytest
from anyio import wait_all_tasks_blocked
from trio.testing import MockClock

from aiodp.sql._interruption import _INTERVAL, _TIMEOUT, run_on_server
from aiodp.testing import VirtualTimeLoop

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    if request.param == "trio":
        return "trio", {"clock": MockClock(autojump_threshold=0)}
    return "asyncio", {"loop_factory": VirtualTimeLoop}


class Server:
    """It works until it is asked to end, so many times."""

    def __init__(self, *, needed=1, refused=0):
        self.asked = 0
        self._left = needed
        self._refused = refused
        self._ended = anyio.Event()

    async def work(self):
        await self._ended.wait()
        raise RuntimeError("canceled by request")

    async def cancel(self):
        self.asked += 1
        if self.asked <= self._refused:
            raise OSError("nobody answers")
        self._left -= 1
        if not self._left:
            self._ended.set()


async def interrupt(server):
    """Interrupt work once it has begun; return the seconds until it was over."""
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(run_on_server, server.work, server.cancel)
            await wait_all_tasks_blocked()
            interrupted_at = anyio.current_time()
            scope.cancel()
    assert scope.cancelled_caught
    return anyio.current_time() - interrupted_at


async def test_what_is_not_interrupted_goes_through():
    """A result, and an exception, which is not in a group."""

    async def work():
        return 7

    async def fail():
        raise KeyError("x")

    server = Server()
    assert await run_on_server(work, server.cancel) == 7
    with pytest.raises(KeyError):
        await run_on_server(fail, server.cancel)
    assert server.asked == 0


async def test_the_server_is_asked_to_end_it():
    """Once, if that helps; what the work raises then is no failure, but the interruption."""
    server = Server()
    await interrupt(server)
    assert server.asked == 1


@pytest.mark.parametrize("given", [{"needed": 3}, {"refused": 2}])
async def test_it_is_asked_again(given):
    """A request may have come before the statement, or not at all."""
    server = Server(**given)
    await interrupt(server)
    assert server.asked == 3


async def test_a_server_that_does_not_end_it_is_given_up():
    """The connection is closed then, and whoever interrupted does not wait for ever."""
    server = Server(needed=1_000_000)
    assert await interrupt(server) == pytest.approx(_TIMEOUT)
    assert server.asked == pytest.approx(_TIMEOUT / _INTERVAL, abs=1)
