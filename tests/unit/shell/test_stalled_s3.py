"""An S3 that accepts connections and then does not go on: a transfer fails in bounded time."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import anyio
import pytest
from aiobotocore.config import AioConfig
from aiobotocore.httpxsession import HttpxSession
from aiobotocore.session import get_session

from aiodp import TaskFailed
from aiodp.shell import _pace, _s3
from aiodp.shell._s3 import open_store
from aiodp.shell._uri import S3Uri
from aiodp.testing import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.anyio
URI = S3Uri(bucket="bucket", key="key")
HEAD = b'HTTP/1.1 200 OK\r\nETag: "1"\r\nContent-Length: %d\r\n\r\n'
LOADER = get_session().get_component("data_loader")
"""The description of S3 is read from disk once, not once for each test."""
asyncio_only = pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)


class StalledS3:
    """Answers each request of a connection by a function, which gets what was read of it."""

    def __init__(self, answer: Callable[[socket.socket, threading.Event], None]) -> None:
        self.requests = 0
        self._answer = answer
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _accept(self) -> None:
        threads = []
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threads.append(threading.Thread(target=self._serve, args=[connection]))
                threads[-1].start()
        for thread in threads:
            thread.join()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(0.02)
            head = b""
            while b"\r\n\r\n" not in head and not self._over.is_set():
                with suppress(TimeoutError):
                    head += connection.recv(65_536)
            self.requests += 1
            self._answer(connection, self._over)


def continue_and_hang(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    over.wait()


def hang(_connection: socket.socket, over: threading.Event) -> None:
    over.wait()


def begin_and_hang(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(HEAD % 1000 + b"begun")
    over.wait()


def drip(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(HEAD % 100_000)
    while not over.wait(0.05):
        connection.sendall(b"x")


@contextmanager
def served(answer: Callable[[socket.socket, threading.Event], None]) -> Iterator[StalledS3]:
    server = StalledS3(answer)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(autouse=True)
def limits(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setattr(_pace, "ANSWER_TIMEOUT", 0.3)


@pytest.fixture
def session(anyio_backend_name):
    session = get_session()
    session.register_component("data_loader", LOADER)
    if anyio_backend_name == "trio":
        session.set_default_client_config(AioConfig(http_session_cls=HttpxSession))
    return session


async def failure(session, server, work) -> str:
    """Return how the work fails, which it must do long before anything else would end it."""
    async with open_store(session, region_name="us-east-1", endpoint_url=server.url) as store:
        with anyio.fail_after(20), pytest.raises(TaskFailed) as caught:
            await work(store)
    assert caught.value.error_id == "StagingFailed"
    return str(caught.value)


async def test_an_upload_that_does_not_go_on_fails(session, tmp_path):
    """Though S3 has said that it continues: it is tried once more, and the task fails."""
    path = tmp_path / "file"
    path.write_bytes(b"data")
    with served(continue_and_hang) as server:
        message = await failure(session, server, lambda store: store.put(path, URI))
    assert message == "s3://bucket/key could not be uploaded: S3 did not answer in 0 s, 2 times"


@asyncio_only
async def test_an_upload_in_parts_that_does_not_go_on_fails(session, tmp_path, monkeypatch):
    """Its first call, and each part, have their time."""
    monkeypatch.setattr(_s3, "PART_BYTES", 3)
    path = tmp_path / "file"
    path.write_bytes(b"data")
    with served(hang) as server:
        message = await failure(session, server, lambda store: store.put(path, URI))
    assert "S3 did not answer in 0 s" in message


@pytest.mark.parametrize(
    "anyio_backend", [("asyncio", {"loop_factory": VirtualTimeLoop})], indirect=True
)
async def test_a_large_part_has_more_time_than_a_small_one(monkeypatch):
    """A minute, and a second for each 16 KiB."""
    monkeypatch.undo()
    tried = []

    async def never():
        tried.append(anyio.current_time())
        await anyio.sleep_forever()

    with pytest.raises(_pace.StalledError, match="did not answer in 572 s, 2 times"):
        await _pace.in_time(never, size=8 * 1024 * 1024)
    assert tried[1] - tried[0] == 572


@pytest.mark.slow
@asyncio_only
@pytest.mark.parametrize("answer", [begin_and_hang, drip])
async def test_a_body_that_does_not_go_on_fails(session, tmp_path, answer):
    """Also one whose bytes come too slowly for it ever to end."""
    with served(answer) as server:
        message = await failure(session, server, lambda store: store.get(URI, tmp_path / "file"))
    assert message.startswith("s3://bucket/key could not be downloaded: S3 ")


@pytest.mark.slow
@asyncio_only
async def test_what_is_not_answered_at_all_fails(session, tmp_path):
    """A download, the list of an input directory, and the precondition Exists."""

    async def list_all(store):
        async for _ in store.keys(URI):
            pass

    with served(hang) as server:
        for work in (
            list_all,
            lambda store: store.first_key(URI),
            lambda store: store.get(URI, tmp_path / "file"),
        ):
            assert "S3 did not answer in 0 s" in await failure(session, server, work)
