"""Objects of S3 that are read and written piece by piece, against a client in memory."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Self

import anyio
import anyio.lowlevel
import pytest

from aiodp import TaskFailed
from aiodp.shell import _object_writer
from aiodp.shell._download import BrokenDownloadError, Download
from aiodp.shell._object_writer import open_writer
from aiodp.shell._pace import ANSWER_TIMEOUT, Pace, StalledBodyError
from aiodp.shell._uri import S3Uri
from aiodp.testing import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio
URI = S3Uri(bucket="bucket", key="key")
PART = 10
virtual_time = pytest.mark.parametrize(
    "anyio_backend", [("asyncio", {"loop_factory": VirtualTimeLoop})], indirect=True
)


class Body:
    """A body that breaks off after some bytes, if it is to."""

    def __init__(self, data: bytes, breaks_after: int) -> None:
        self._data = data
        self._left = breaks_after

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def read(self, size: int) -> bytes:
        if self._left <= 0:
            raise OSError("the connection broke")
        size = min(size, self._left)
        chunk, self._data = self._data[:size], self._data[size:]
        self._left -= len(chunk)
        return chunk


class S3:
    """A client of S3: whole objects, and uploads in parts of which nothing is seen."""

    def __init__(self, **objects: bytes) -> None:
        self.objects = objects
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.requested: list[str] = []
        self.breaks_after: list[int] = []
        self.parts = 0
        self.most_at_once = 0
        self.on_part: Callable[[int], Any] = lambda _: anyio.lowlevel.checkpoint()
        self._at_once = 0

    async def get_object(self, **request: str) -> dict[str, Any]:
        """Answer with what comes from the offset."""
        self.requested.append(request.get("Range", ""))
        data = self.objects[request["Key"]]
        if request.get("IfMatch", str(data)) != str(data):
            raise RuntimeError("PreconditionFailed")
        start = int(request.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        breaks_after = self.breaks_after.pop(0) if self.breaks_after else len(data) + 1
        part = {"ContentRange": "bytes"} if "Range" in request else {}
        return {"ETag": str(data), "Body": Body(data[start:], breaks_after), **part}

    async def put_object(self, **request: Any) -> None:
        self.objects[request["Key"]] = request["Body"]

    async def create_multipart_upload(self, **_: str) -> dict[str, str]:
        self.uploads["id"] = {}
        return {"UploadId": "id"}

    async def upload_part(self, **request: Any) -> dict[str, str]:
        self.parts += 1
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        await self.on_part(request["PartNumber"])
        self.uploads["id"][request["PartNumber"]] = request["Body"]
        self._at_once -= 1
        return {"ETag": str(request["PartNumber"])}

    async def complete_multipart_upload(self, **request: Any) -> None:
        parts = self.uploads.pop(request["UploadId"])
        listed = request["MultipartUpload"]["Parts"]
        self.objects[request["Key"]] = b"".join(parts[part["PartNumber"]] for part in listed)

    async def abort_multipart_upload(self, **request: str) -> None:
        del self.uploads[request["UploadId"]]


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(_object_writer, "PART_BYTES", PART)


async def downloaded(client: S3, *, then: Callable[[], object] = bool) -> bytes:
    """Return the object; do something after each chunk."""
    data = b""
    async with aclosing(Download(client, URI).chunks()) as chunks:
        async for chunk in chunks:
            data += chunk
            then()
    return data


async def uploaded(client: S3, *, then: Callable[[], Any] = anyio.lowlevel.checkpoint) -> None:
    """Write a part and do something before the end."""
    async with open_writer(client, URI, anyio.Semaphore(2)) as writer:
        await writer.write(bytes(PART))
        await then()


async def fail(*_: object) -> None:
    raise RuntimeError("SlowDown")


async def test_a_download_goes_on_where_it_broke():
    """What has come is not asked for again."""
    client = S3(key=b"0123456789")
    client.breaks_after = [4, 3]
    assert await downloaded(client) == b"0123456789"
    assert client.requested == ["", "bytes=4-", "bytes=7-"]


async def test_a_download_that_breaks_all_the_time_fails(monkeypatch):
    """The third time, unless so much has come meanwhile that it goes on."""
    client = S3(key=b"0123456789")
    client.breaks_after = [1, 1, 1]
    with pytest.raises(BrokenDownloadError, match="the connection broke"):
        await downloaded(client)
    assert len(client.requested) == 3

    monkeypatch.setattr("aiodp.shell._download._PROGRESS_BYTES", 2)
    client.breaks_after = [1] * 9
    assert await downloaded(client) == b"0123456789"


async def test_a_download_does_not_go_on_in_another_object():
    """Which has replaced the first one meanwhile, or which begins anew."""
    client = S3(key=b"0123456789")
    client.breaks_after = [4]
    with pytest.raises(RuntimeError, match="PreconditionFailed"):
        await downloaded(client, then=lambda: client.objects.update(key=b"another"))
    whole = client.get_object

    async def without_range(**request: str) -> dict[str, Any]:
        answer = await whole(**request)
        answer.pop("ContentRange", None)
        return answer

    client.breaks_after = [4]
    client.get_object = without_range  # type: ignore[method-assign]
    with pytest.raises(BrokenDownloadError, match="did not go on where the connection broke"):
        await downloaded(client)


@virtual_time
async def test_the_pace_is_that_of_s3_and_not_of_the_reader():
    """Somebody who takes an hour for a chunk loses no download, but S3 may not take it."""
    pace = Pace()

    async def quick() -> bytes:
        return b"x"

    async def slow() -> bytes:
        await anyio.sleep(ANSWER_TIMEOUT - 1)
        return b"x"

    assert await pace.next_chunk(quick) == b"x"
    await anyio.sleep(3600)
    assert await pace.next_chunk(slow) == b"x"
    with pytest.raises(StalledBodyError, match="S3 sent only 3 bytes in 118 s"):
        await pace.next_chunk(slow)


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, 3 * PART, 3 * PART + 1])
async def test_an_object_appears_when_it_is_whole(size):
    """A small one by one call, a larger one in parts."""
    client = S3()
    data = bytes(range(size))
    async with open_writer(client, URI, anyio.Semaphore(2)) as writer:
        for start in range(0, size, 3):
            await writer.write(data[start : start + 3])
        assert client.objects == {}
    assert client.objects == {"key": data}
    assert client.uploads == {}


async def test_a_slow_s3_holds_up_the_writer():
    """Two parts are on their way, and one is filled; no more is in memory."""
    client = S3()
    go = anyio.Event()
    client.on_part = lambda _: go.wait()
    async with open_writer(client, URI, anyio.Semaphore(2)) as writer:
        await writer.write(bytes(PART))
        await writer.write(bytes(PART))
        with anyio.move_on_after(0.01) as scope:
            await writer.write(bytes(PART))
        assert scope.cancelled_caught
        go.set()
    assert client.most_at_once == 2
    assert len(client.objects["key"]) == 3 * PART


async def test_parts_grow_so_that_their_number_is_enough(monkeypatch):
    """S3 takes 10,000 of them."""
    monkeypatch.setattr(_object_writer, "MAX_PARTS", 20)
    client = S3()
    async with open_writer(client, URI, anyio.Semaphore(2)) as writer:
        for _ in range(6 * PART):
            await writer.write(b"x")
    assert (len(client.objects["key"]), client.parts) == (6 * PART, 4)


async def test_nothing_is_seen_of_what_was_not_finished():
    """An error of the block, and one of S3, aborts the upload; each comes out as it is."""
    client = S3()
    with pytest.raises(RuntimeError, match="SlowDown"):
        await uploaded(client, then=fail)
    client.on_part = fail
    with pytest.raises(TaskFailed, match=r"s3://bucket/key could not be uploaded: .*SlowDown"):
        await uploaded(client, then=anyio.sleep_forever)
    assert not client.objects
    assert not client.uploads


async def test_a_canceled_upload_is_aborted():
    """Also while its last part is on its way."""
    client = S3()
    begun = anyio.Event()

    async def hang(_: int) -> None:
        begun.set()
        await anyio.sleep_forever()

    client.on_part = hang
    async with anyio.create_task_group() as group:
        group.start_soon(uploaded, client)
        await begun.wait()
        group.cancel_scope.cancel()
    assert not client.objects
    assert not client.uploads
