"""The addresses of hosts, looked up in threads of our own."""

from __future__ import annotations

import logging
import socket
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import anyio

from aiodp._aws.waiting import waiting_for
from aiodp._log import OncePer, error_text

if TYPE_CHECKING:
    from aiodp._aws.threads import Job, Threads

_FRESH: Final = 30.0
"""Seconds for which addresses are used without asking again; AWS's own live for 60."""
_PATIENCE: Final = 2.0
"""Seconds for which new addresses are waited for where old ones are known."""
_LOG_INTERVAL: Final = 300.0

_Key: TypeAlias = tuple[str, int, int]


class Address(NamedTuple):
    """One address of a host."""

    family: int
    proto: int
    host: str
    port: int


class _Known(NamedTuple):
    addresses: list[Address]
    since: float


class Addresses:
    """Looks names up, each once at a time. Where that fails or takes long, the last answer serves.

    A name server that is down for minutes need not cost a lease: an address that does not lead to
    the service any more is found out by the connection, and by its certificate.
    """

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._known: dict[_Key, _Known] = {}
        self._lookups: dict[_Key, Job[list[Address]]] = {}
        self._log = OncePer(_LOG_INTERVAL)

    async def find(self, host: str, port: int, family: int = socket.AF_UNSPEC) -> list[Address]:
        """Return the addresses of a host; raise `OSError` if there never were any."""
        key = (host, port, family)
        known = self._known.get(key)
        if known and anyio.current_time() - known.since < _FRESH:
            return known.addresses
        with waiting_for(f"the address of {host}"):
            if known is None:
                return await self._look_up(key)
            error: OSError = TimeoutError(f"no answer in {_PATIENCE:g} s")
            try:
                with anyio.move_on_after(_PATIENCE):
                    return await self._look_up(key)
            except OSError as failure:
                error = failure
            message = "the address of %s cannot be looked up, the last one is used: %s"
            self._log.log(logging.WARNING, host, message, host, error_text(error), host=host)
            return known.addresses

    async def _look_up(self, key: _Key) -> list[Address]:
        """Wait for the lookup that is under way, or a new one."""
        job = self._lookups.get(key)
        if job is None:
            job = self._lookups[key] = self._threads.start(partial(_look_up, *key))
        try:
            addresses = await job.result()
        except Exception:
            self._end(key, job)
            raise
        self._end(key, job)
        self._known[key] = _Known(addresses, anyio.current_time())
        return addresses

    def _end(self, key: _Key, job: Job[list[Address]]) -> None:
        """Look up anew the next time; one that ended when nobody waited is for who asks next."""
        if self._lookups.get(key) is job:
            del self._lookups[key]


def _look_up(host: str, port: int, family: int) -> list[Address]:
    flags = socket.AI_ADDRCONFIG
    try:
        found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=flags)
    except socket.gaierror as error:  # its own words do not name the host
        raise socket.gaierror(error.errno, f"{error.strerror}: {host}") from None
    return [
        Address(family, proto, str(address[0]), int(address[1]))
        for family, _, proto, _, address in found
    ]
