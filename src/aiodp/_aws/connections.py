"""Connections that share nothing with the program's work: names, threads, file descriptors."""

from __future__ import annotations

import errno
import inspect
import socket
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

from aiobotocore import httpsession
from aiobotocore.config import AioConfig
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.httpxsession import HttpxSession
from aiohttp.abc import AbstractResolver, ResolveResult

from aiodp._aws.addresses import Addresses
from aiodp._aws.threads import Threads
from aiodp._aws.waiting import AN_ANSWER, now_waiting_for

if TYPE_CHECKING:
    from aiobotocore.session import AioSession
    from botocore.config import Config

_THREADS: Final = 2  # one lookup that hangs, of a proxy's name, does not stop the others
_NUMERIC: Final = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
_CONNECTOR: Final[Any] = getattr(httpsession, "_ProxySSLTCPConnector", None)
_MAKES_CONNECTORS: Final = _CONNECTOR is not None and inspect.iscoroutinefunction(
    getattr(AIOHTTPSession, "_create_connector", None)
)
"""Whether this aiobotocore reads certificates in the executor that the program's work fills."""


class Connections:
    """What the clients of a reporter, or of a runner, need to reach the service."""

    def __init__(self) -> None:
        self.threads = Threads(_THREADS, "aiodp connections")
        self.addresses = Addresses(self.threads)
        self._reserve = SocketReserve()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.threads.close()
        self._reserve.close()

    def config(
        self, session: AioSession, given: Config | None, needed: AioConfig, keep_alive: float | None
    ) -> AioConfig:
        """Return the user's configuration under what a client of ours needs.

        `keep_alive` is for how many seconds an idle connection is kept; None for the usual time.
        A resolver, a factory of sockets and an HTTP library of the user's own stay.
        """
        merged = AioConfig()
        for config in (session.get_default_client_config(), given, needed):
            merged = merged.merge(config) if config else merged
        arguments: dict[str, Any] = dict(merged.connector_args)
        kind: Any = merged.http_session_cls
        if keep_alive is not None:
            arguments["keepalive_timeout"] = keep_alive
        if isinstance(kind, type) and issubclass(kind, AIOHTTPSession):
            own: dict[str, Any] = {"socket_factory": self._reserve.make}
            if "resolver" not in arguments:
                own |= {"resolver": _Resolver(self.addresses), "use_dns_cache": False}
            arguments = own | arguments
        if base := _SESSIONS.get(kind):
            kind = type(base.__name__, (base,), {"connections": self})
        return merged.merge(AioConfig(connector_args=arguments, http_session_cls=kind))


class SocketReserve:
    """Keeps a socket back for when the process may open no more files: one is enough to report."""

    def __init__(self) -> None:
        self._spare: socket.socket | None = None
        self._refill()

    def make(self, address: tuple[Any, ...]) -> socket.socket:
        """Make a socket for an address as `getaddrinfo` returns it."""
        family, kind, protocol = address[:3]
        try:
            made = socket.socket(family, kind, protocol)
        except OSError as error:
            spare, self._spare = self._spare, None
            if spare is None or error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            if spare.family == family:
                return spare
            spare.close()
            return socket.socket(family, kind, protocol)
        self._refill()
        return made

    def close(self) -> None:
        """Keep nothing back any more."""
        if self._spare is not None:
            self._spare.close()

    def _refill(self) -> None:
        if self._spare is None:
            try:
                self._spare = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            except OSError:  # there is none to be had now
                self._spare = None


class _Resolver(AbstractResolver):
    """Aiohttp's way to ask for addresses."""

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=found.host,
                port=found.port,
                family=found.family,
                proto=found.proto,
                flags=_NUMERIC,
            )
            for found in await self._addresses.find(host, port, family)
        ]

    async def close(self) -> None:
        """Do nothing: the addresses belong to several clients."""


class _AiohttpSession(AIOHTTPSession):  # type: ignore[misc]
    """Reads certificates in threads of our own, and says when it waits for a connection."""

    connections: Connections

    async def _create_connector(self, proxy_url: str | None) -> Any:
        job = self.connections.threads.start(partial(self._build_ssl_contexts, proxy_url))
        endpoint, proxy = await job.result()
        connector = _CONNECTOR(
            limit=self._max_pool_connections,
            ssl=endpoint,
            proxy_ssl_context=proxy,
            **self._connector_args,
        )
        connector.connect = _telling(connector.connect)
        return connector


def _telling(connect: Any) -> Any:
    async def connect_and_tell(request: Any, *args: Any, **options: Any) -> Any:
        now_waiting_for(f"a connection{_destination(request)}")
        connection = await connect(request, *args, **options)
        now_waiting_for(AN_ANSWER)
        return connection

    return connect_and_tell


def _destination(request: Any) -> str:
    """Return whereto a request of aiohttp goes, as far as this version of it says that."""
    host = getattr(getattr(request, "url", None), "host", None)
    proxy = getattr(getattr(request, "proxy", None), "host", None)
    return (f" to {host}" if host else "") + (f" by way of the proxy {proxy}" if proxy else "")


class _HttpxSession(HttpxSession):  # type: ignore[misc]
    """Asks for addresses in threads of our own, and says when it waits for a connection."""

    connections: Connections

    def _make_async_client(self) -> Any:
        client = super()._make_async_client()
        mounts = getattr(client, "_mounts", {}).values()
        for transport in (getattr(client, "_transport", None), *mounts):
            pool = getattr(transport, "_pool", None)
            if (backend := getattr(pool, "_network_backend", None)) is not None:
                own = _Backend(backend, self.connections.addresses)
                vars(pool)["_network_backend"] = own
        return client


class _Backend:
    """Httpcore's way to connect; what is not named here is as it was."""

    def __init__(self, backend: Any, addresses: Addresses) -> None:
        self._backend = backend
        self._addresses = addresses

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        **options: Any,
    ) -> Any:
        """Connect to the first address of a host that takes a connection in its share of time."""
        failure: Exception | None = None
        addresses = await self._addresses.find(host, port)
        share = None if timeout is None else timeout / max(1, len(addresses))
        for found in addresses:
            now_waiting_for(f"a connection to {host}")
            try:
                stream = await self._backend.connect_tcp(
                    found.host, found.port, timeout=share, **options
                )
            except Exception as error:  # noqa: BLE001 - the last one is raised
                failure = error
            else:
                now_waiting_for(AN_ANSWER)
                return stream
        raise failure or OSError(f"{host} has no address")


_SESSIONS: Final[dict[Any, Any]] = {
    **({AIOHTTPSession: _AiohttpSession} if _MAKES_CONNECTORS else {}),
    HttpxSession: _HttpxSession,
}
"""What stands in for the sessions of aiobotocore; those that users wrote stay as they are."""
