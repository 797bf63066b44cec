"""The upload of the log of `aiodp run` to S3: what is uploaded, when, and when again."""

from __future__ import annotations

import logging
import time
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from aiodp import TaskFailed
from aiodp.cli._run import log_upload
from aiodp.cli._run.background import BackgroundCalls
from aiodp.cli._run.hourly_log import HOUR, HourlyLog
from aiodp.cli._run.log_upload import LogUpload
from aiodp.cli._run.session import Session
from aiodp.testing import virtual_time

if TYPE_CHECKING:
    from pathlib import Path

    from aiodp.shell._uri import S3Uri

ENOUGH = 20.0


class Store:
    """Keeps files, refuses them, or never answers."""

    def __init__(self) -> None:
        self.stored: dict[str, str] = {}
        self.refusing = False
        self.hanging = False

    async def put(self, path: Path, uri: S3Uri) -> None:
        if self.refusing:
            raise TaskFailed(f"{uri} could not be uploaded: no")
        if self.hanging:
            await anyio.sleep_forever()
        self.stored[str(uri)] = await anyio.Path(path).read_text()


@pytest.fixture
def store(monkeypatch):
    """A fake of S3."""
    made = Store()

    @asynccontextmanager
    async def open_store(*_: Any, **__: Any):
        yield made

    monkeypatch.setattr(log_upload, "open_store", open_store)
    return made


@pytest.fixture
def files(tmp_path):
    """The runner's log."""
    log = HourlyLog(tmp_path)
    yield log
    log.close()


@pytest.fixture
def upload(files, store):
    """Uploads once, in at most so many seconds."""
    calls = BackgroundCalls("test")
    session: Any = None
    log_upload = LogUpload(
        files, calls, session, region="r", log_uri="s3://b/x/", taskrunner_id="me"
    )

    def once(seconds: float = ENOUGH) -> None:
        anyio.run(log_upload.run, seconds)

    yield once
    assert calls.close(ENOUGH)


def write(files: HourlyLog, hour: int, message: str) -> str:
    """Log a record of an hour of 1 January 1970; return where it belongs in S3."""
    record = logging.LogRecord("aiodp", logging.INFO, "", 1, message, None, None)
    record.created = hour * HOUR
    files.handle(record)
    return f"s3://b/x/me/Task Runner.log.1970-01-01-{hour:02}"


def test_an_upload_has_the_files_that_have_changed(files, store, upload):
    """Each of them as a whole."""
    first = write(files, 0, "one")
    second = write(files, 1, "two")
    upload()
    assert store.stored == {first: "one\n", second: "two\n"}
    store.stored.clear()
    write(files, 1, "three")
    upload()
    assert store.stored == {second: "two\nthree\n"}
    store.stored.clear()
    upload()
    assert not store.stored


def test_a_refused_file_is_uploaded_the_next_time(files, store, upload, caplog):
    """And the refusal is a warning."""
    address = write(files, 0, "one")
    store.refusing = True
    upload()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"the log was not pushed: {address}" in caplog.text
    store.refusing = False
    upload()
    assert store.stored == {address: "one\n"}


def test_an_upload_ends_in_time(files, store, upload, caplog):
    """S3 does not answer; the rest is uploaded the next time."""
    address = write(files, 0, "one")
    store.hanging = True
    upload(0.05)
    assert "could not be pushed to s3://b/x/me in 0.05 s" in caplog.text
    store.hanging = False
    upload()
    assert store.stored == {address: "one\n"}


def test_the_log_is_uploaded_each_hour(monkeypatch):
    """A little after the hour is over; then old files are gzipped as well."""
    began = 10.5 * HOUR
    rotated, uploaded = [], []

    @virtual_time
    async def pass_hours() -> None:
        start = anyio.current_time()

        def now() -> float:
            return began + anyio.current_time() - start

        async def upload(_: float) -> None:
            uploaded.append(now())

        monkeypatch.setattr(time, "time", now)
        disk = SimpleNamespace(call=lambda _, at: rotated.append(at))
        log = SimpleNamespace(disk=disk, files=SimpleNamespace(rotate=None))
        session: Any = SimpleNamespace(log=log, _upload=SimpleNamespace(run=upload))
        with anyio.move_on_after(2 * HOUR):
            await Session._rotate_hourly(session)

    pass_hours()
    hours = pytest.approx([11 * HOUR + 5, 12 * HOUR + 5], abs=1)
    assert rotated == hours
    assert uploaded == hours
