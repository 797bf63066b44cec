"""What observes never decides: handlers and filters of logging, and metrics, that raise."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import anyio
import pytest

import aiodp
from aiodp import LeaseLost, ProgressReporter, otel
from aiodp._log import SafeLogger, logger
from aiodp.testing import Fault, FaultKind
from virtual.runner_kit import attempts, running

pytestmark = pytest.mark.anyio

SHIPPER_IS_DOWN = "the log shipper is down"
SOURCE = Path(aiodp.__file__).parent


class RaisingHandler(logging.Handler):
    """Raises at every record, as a shipper may whose server is down."""

    def emit(self, _record):
        raise ConnectionError(SHIPPER_IS_DOWN)


class RaisingFilter(logging.Filter):
    """Raises at every record."""

    def filter(self, _record):
        raise ConnectionError(SHIPPER_IS_DOWN)


class Exiting(logging.Handler):
    """Ends the program at every record, as rich does when it writes to a closed pipe."""

    def emit(self, _record):
        raise SystemExit(1)


@pytest.fixture(params=[RaisingHandler, Exiting, RaisingFilter])
def broken_logging(request):
    """Logging of the program that raises at every record of the package, of all levels."""
    observer = request.param()
    plain = logging.getLogger("aiodp")
    is_filter = isinstance(observer, logging.Filter)
    add = plain.addFilter if is_filter else plain.addHandler
    remove = plain.removeFilter if is_filter else plain.removeHandler
    level = plain.level
    plain.setLevel(logging.DEBUG)
    add(observer)
    try:
        yield
    finally:
        remove(observer)
        plain.setLevel(level)


@pytest.mark.usefixtures("broken_logging")
async def test_no_task_fails_because_its_log_line_does(kit, runner):
    """Each is worked on and FINISHED, and `run` returns; also one whose handler fails."""
    pipelines = [kit.activity() for _ in range(3)]

    async def work(task):
        await anyio.sleep(400)
        if task.pipeline_id == pipelines[2].id:
            raise ValueError("of the work")

    async with running(runner(work, max_concurrency=3)) as one:
        with anyio.move_on_after(1000):
            while sum(one.statistics().ended.values()) < 3:
                await anyio.sleep(5)
    ended = [attempts(kit, pipeline)[0]["@status"] for pipeline in pipelines]
    assert ended == ["FINISHED", "FINISHED", "FAILED"]
    assert attempts(kit, pipelines[2])[0]["errorId"] == "ValueError"


@pytest.mark.usefixtures("broken_logging")
async def test_no_lease_is_lost_because_a_log_line_is(service, reporter):
    """Faults are logged, and a lease that is lost; the others stay, and the reporter ends well."""
    async with reporter() as opened, anyio.create_task_group() as group:

        async def lose():
            with pytest.raises(LeaseLost):
                await opened.run(*service.assign(), anyio.sleep_forever, lease_timeout=60)

        group.start_soon(lose)
        async with opened.track(*service.assign()) as task:
            await anyio.sleep(1)
            service.faults.add(Fault(kind=FaultKind.RESET, duration=100))
            await anyio.sleep(600)
            assert not task.ended.is_set()
            assert await task.report() is False


@pytest.fixture
def broken_root():
    """A root logger at INFO, whose only handler raises."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    root.handlers = [RaisingHandler()]
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.handlers = handlers
        root.setLevel(level)


@pytest.mark.usefixtures("broken_root")
async def test_no_client_is_kept_from_opening_by_what_botocore_logs(
    new_session, service, monkeypatch
):
    """It logs where it has found the credentials, and later if they could not be renewed."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    session = service.attach(new_session())
    async with ProgressReporter(session) as opened, opened.track(*service.assign()) as task:
        logging.getLogger("aiobotocore.credentials").warning("not renewed")
        await anyio.sleep(600)
        assert not task.ended.is_set()


def test_what_a_handler_raises_is_shown_once(capsys, monkeypatch):
    """As logging itself shows it: on stderr, unless `logging.raiseExceptions` is off."""
    plain = logging.getLogger("aiodp.observed")
    monkeypatch.setattr(plain, "propagate", False)
    safe = SafeLogger(plain)
    observer = RaisingHandler()
    plain.addHandler(observer)
    try:
        monkeypatch.setattr(logging, "raiseExceptions", False)
        safe.warning("nobody hears this")
        assert capsys.readouterr().err == ""
        monkeypatch.setattr(logging, "raiseExceptions", True)
        for _ in range(3):
            safe.warning("nobody hears this")
    finally:
        plain.removeHandler(observer)
    shown = capsys.readouterr().err
    assert shown.count(SHIPPER_IS_DOWN) == 1
    assert "a record of aiodp's log was not handled (each ConnectionError is shown once):" in shown


def test_a_record_tells_where_it_was_logged(caplog):
    """Not the module that all records pass through; `stacklevel` is counted from there."""

    def warn():
        logger.warning("%s", "of the caller", stacklevel=2)

    logger.warning("%s happened", "it", extra={"task": "abc"})
    warn()
    first, second = caplog.records
    assert (first.module, first.funcName) == ("test_observers", second.funcName)
    assert first.getMessage() == "it happened"
    assert first.task == "abc"


CONFIGURE = {
    "_log.py",
    "cli/_demo/command.py",
    "cli/_doctor/command.py",
    "cli/_emulate/log.py",
    "cli/_hold/command.py",
    "cli/_poll/command.py",
    "cli/_run/log.py",
}
"""The files that may use loggers of `logging`: the door, and where commands add handlers."""


def test_all_records_pass_the_same_door():
    """No other file makes a logger, or logs by the functions of `logging`."""
    direct = re.compile(r"\blogging\.(getLogger|log|debug|info|warning|error|exception|critical)\(")
    users = {path for path in SOURCE.rglob("*.py") if direct.search(path.read_text())}
    assert {path.relative_to(SOURCE).as_posix() for path in users} <= CONFIGURE


class RaisingMeter:
    """Makes instruments that raise, at first when they are made."""

    def __init__(self):
        self.asked = 0

    def create_gauge(self, *_):
        self.asked += 1
        if self.asked == 1:
            raise RuntimeError("the exporter is not there yet")
        return self

    create_counter = create_gauge

    def add(self, *_):
        raise RuntimeError("the exporter is down")

    def __getattr__(self, name):
        return self.add  # `set` of a gauge


async def test_metrics_that_cannot_be_recorded_end_nothing(service, reporter, caplog):
    """They are logged once, and tried again."""
    meter: Any = RaisingMeter()
    async with reporter() as opened, anyio.create_task_group() as group:

        async def record():
            await otel.record(opened, every=5, meter=meter)

        group.start_soon(record)
        async with opened.track(*service.assign()) as task:
            await anyio.sleep(300)
            assert not task.ended.is_set()
        group.cancel_scope.cancel()
    assert meter.asked > 2
    messages = [record.getMessage() for record in caplog.records]
    assert messages == ["metrics were not recorded: RuntimeError: the exporter is not there yet"]
