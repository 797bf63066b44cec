"""Names are looked up once at a time, and old addresses serve while that fails."""

from __future__ import annotations

import socket

import anyio
import pytest

from aiodp._aws.addresses import Address, Addresses
from aiodp._aws.errors import TIMED_OUT
from aiodp._aws.waiting import answer_within

pytestmark = pytest.mark.anyio

FIRST = [Address(socket.AF_INET, 6, "192.0.2.1", 443)]
SECOND = [Address(socket.AF_INET, 6, "192.0.2.2", 443)]
FAILED = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


class Lookup:
    """Takes virtual time, as a thread would take real time."""

    def __init__(self, answer, delay):
        self._answer = answer
        self._over_at = anyio.current_time() + delay

    @property
    def done(self):
        return anyio.current_time() >= self._over_at

    async def result(self):
        await anyio.sleep(max(0.0, self._over_at - anyio.current_time()))
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


class NameServer:
    """Answers as it is told, and counts the questions."""

    def __init__(self):
        self.answer = FIRST
        self.delay = 0.0
        self.asked = 0

    def start(self, _work):
        self.asked += 1
        return Lookup(self.answer, self.delay)


@pytest.fixture
def server():
    return NameServer()


@pytest.fixture
def addresses(server):
    return Addresses(server)


async def find(addresses):
    return await addresses.find("example", 443)


async def test_many_ask_once(addresses, server):
    """A hundred reports at once are one lookup, which serves for half a minute."""
    server.delay = 1.0
    async with anyio.create_task_group() as group:
        for _ in range(100):
            group.start_soon(find, addresses)
    await anyio.sleep(28)
    assert await find(addresses) == FIRST
    assert server.asked == 1


async def test_a_host_that_moves_is_found(addresses, server):
    """Addresses are asked for again after half a minute."""
    await find(addresses)
    server.answer = SECOND
    await anyio.sleep(31)
    assert await find(addresses) == SECOND


async def test_a_name_server_that_is_down_costs_no_lease(addresses, server, caplog):
    """For two minutes the last addresses serve; the log says it once. Then new ones do."""
    await find(addresses)
    server.answer = FAILED
    for _ in range(12):
        await anyio.sleep(10)
        assert await find(addresses) == FIRST
    server.answer = SECOND
    assert await find(addresses) == SECOND
    assert caplog.text.count("the address of example cannot be looked up") == 1
    assert "Temporary failure" in caplog.text


async def test_a_lookup_that_hangs_is_not_waited_for_where_an_address_is_known(addresses, server):
    """Two seconds; it goes on meanwhile, and nobody starts another one beside it."""
    await find(addresses)
    server.delay = 100.0
    await anyio.sleep(31)
    for _ in range(10):
        began = anyio.current_time()
        assert await find(addresses) == FIRST
        assert anyio.current_time() - began == pytest.approx(2)
    assert server.asked == 2


async def test_an_attempt_that_is_cut_off_does_not_stop_the_lookup(addresses, server):
    """A first lookup of 25 s serves the third attempt of 10 s; the others say what they lacked."""
    server.delay = 25.0
    outcomes = [await answer_within(10, find(addresses)) for _ in range(3)]
    assert outcomes[2] == FIRST
    assert server.asked == 1
    for outcome in outcomes[:2]:
        assert outcome.kind is TIMED_OUT.kind
        assert "after 10.0 s it waited for the address of example" in str(outcome.error)


async def test_a_name_that_was_never_known_is_an_error(addresses, server):
    """There is nothing to use instead."""
    server.answer = FAILED
    with pytest.raises(socket.gaierror):
        await find(addresses)


async def test_a_lookup_that_ends_between_two_attempts_is_not_made_again(addresses, server):
    """A first lookup of 34 s, attempts of 10 s, and growing pauses: nobody waits when it ends."""
    server.delay = 34.0
    for pause in (1, 2, 3):
        await answer_within(10, find(addresses))
        await anyio.sleep(pause)
    assert await answer_within(10, find(addresses)) == FIRST
    assert server.asked == 1
    await anyio.sleep(31)
    with anyio.move_on_after(1):
        await find(addresses)
    assert server.asked == 2
