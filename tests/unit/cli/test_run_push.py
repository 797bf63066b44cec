"""The log of `aiodp run` on its way to S3: what goes, what is tried again, and when."""

from __future__ import annotations

import logging
import time
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from aiodp import TaskFailed
from aiodp.cli._run import log_upload as _run_push
from aiodp.cli._run.background import Sideline
from aiodp.cli._run.hourly_log import HOUR, HourlyLog
from aiodp.cli._run.log_upload import LogPush
from aiodp.cli._run.session import Work
from aiodp.testing import virtual_time

if TYPE_CHECKING:
    from pathlib import Path

    from aiodp.shell._uri import S3Uri

ENOUGH = 20.0


class Store:
    """Takes files, refuses them, or never answers."""

    def __init__(self) -> None:
        self.taken: dict[str, str] = {}
        self.refusing = False
        self.hanging = False

    async def put(self, path: Path, uri: S3Uri) -> None:
        if self.refusing:
            raise TaskFailed(f"{uri} could not be uploaded: no")
        if self.hanging:
            await anyio.sleep_forever()
        self.taken[str(uri)] = await anyio.Path(path).read_text()


@pytest.fixture
def store(monkeypatch):
    """What stands in for S3."""
    made = Store()

    @asynccontextmanager
    async def open_store(*_: Any, **__: Any):
        yield made

    monkeypatch.setattr(_run_push, "open_store", open_store)
    return made


@pytest.fixture
def files(tmp_path):
    """The runner's log."""
    log = HourlyLog(tmp_path)
    yield log
    log.close()


@pytest.fixture
def push(files, store):
    """Pushes once, in so many seconds."""
    sideline = Sideline("test")
    session: Any = None
    one = LogPush(files, sideline, session, region="r", log_uri="s3://b/x/", taskrunner_id="me")

    def once(seconds: float = ENOUGH) -> None:
        anyio.run(one.push, seconds)

    yield once
    assert sideline.close(ENOUGH)


def write(files: HourlyLog, hour: int, message: str) -> str:
    """Log a record of an hour of 1 January 1970; return where it belongs in S3."""
    record = logging.LogRecord("aiodp", logging.INFO, "", 1, message, None, None)
    record.created = hour * HOUR
    files.handle(record)
    return f"s3://b/x/me/Task Runner.log.1970-01-01-{hour:02}"


def test_what_is_new_goes_each_time(files, store, push):
    """Each file as a whole, and none that nothing was added to."""
    first = write(files, 0, "one")
    second = write(files, 1, "two")
    push()
    assert store.taken == {first: "one\n", second: "two\n"}
    store.taken.clear()
    write(files, 1, "three")
    push()
    assert store.taken == {second: "two\nthree\n"}
    store.taken.clear()
    push()
    assert not store.taken


def test_what_is_refused_goes_with_the_next_push(files, store, push, caplog):
    """And it is a warning."""
    address = write(files, 0, "one")
    store.refusing = True
    push()
    assert [one.levelname for one in caplog.records] == ["WARNING"]
    assert f"the log was not pushed: {address}" in caplog.text
    store.refusing = False
    push()
    assert store.taken == {address: "one\n"}


def test_a_push_ends_in_time(files, store, push, caplog):
    """S3 does not answer; what is left goes with the next push."""
    address = write(files, 0, "one")
    store.hanging = True
    push(0.05)
    assert "could not be pushed to s3://b/x/me in 0.05 s" in caplog.text
    store.hanging = False
    push()
    assert store.taken == {address: "one\n"}


def test_each_hour_is_pushed(monkeypatch):
    """A little after it is over, when the files of old hours are gzipped, too."""
    began = 10.5 * HOUR
    turned, pushed = [], []

    @virtual_time
    async def pass_hours() -> None:
        start = anyio.current_time()

        def now() -> float:
            return began + anyio.current_time() - start

        async def push(_: float) -> None:
            pushed.append(now())

        monkeypatch.setattr(time, "time", now)
        disk = SimpleNamespace(call=lambda _, at: turned.append(at))
        log = SimpleNamespace(disk=disk, files=SimpleNamespace(turn=None))
        work: Any = SimpleNamespace(log=log, _push=SimpleNamespace(push=push))
        with anyio.move_on_after(2 * HOUR):
            await Work._each_hour(work)

    pass_hours()
    hours = pytest.approx([11 * HOUR + 5, 12 * HOUR + 5], abs=1)
    assert turned == hours
    assert pushed == hours
