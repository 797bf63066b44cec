"""The dates of `aiodp emulate`: when its time begins, and what is loaded from the past."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click
import pytest

from aiodp.cli._emulate.command import emulate
from aiodp.cli._emulate.greeting import greeting
from aiodp.cli._emulate.load import LoadError, check_files, load, read_files
from aiodp.cli._emulate.options import Options
from aiodp.cli._params import Timestamp
from aiodp.emulator import Service, Settings

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
PAST = datetime(2013, 9, 1, tzinfo=UTC)
DEFINITION = {
    "objects": [
        {"id": "Default", "scheduleType": "cron", "schedule": {"ref": "Daily"}},
        {
            "id": "Daily",
            "type": "Schedule",
            "period": "1 day",
            "startDateTime": "2013-09-02T00:00:00",
        },
        {"id": "Work", "type": "ShellCommandActivity", "command": "true", "workerGroup": "workers"},
    ]
}


def options(**given: Any) -> Options:
    """The options as they are without being given, but for these."""
    values: dict[str, Any] = {"host": "127.0.0.1", "log_format": "text", "port": 0}
    values |= {"time_scale": 1.0, "allowed_host": (), "load": ()}
    values |= dict.fromkeys(("catch_up", "activate", "ui"), False)
    values |= dict.fromkeys(("epoch", "resource_worker_group", "start", "state"))
    values |= dict.fromkeys(("parameters", "values"))
    return Options(now=NOW, **(values | given))


@pytest.fixture
def file(tmp_path: Path) -> Any:
    """A definition whose schedule begins at a date of the past."""
    path = tmp_path / "daily.json"
    path.write_text(json.dumps(DEFINITION))
    [read] = read_files([path])
    return read


def test_a_start_in_the_past_names_the_options_that_help(file):
    """As in each published definition with a literal date; the message says what to do."""
    message = r"more than 1 day.*: --start TIMESTAMP .* --epoch TIMESTAMP"
    with pytest.raises(LoadError, match=message):
        check_files([file], Settings(epoch=NOW), activate=True)


def test_a_start_skips_what_is_before_it(file):
    """`--start` is the startTimestamp of the activation."""
    service = Service(lambda: 0.0, Settings(epoch=NOW))
    assert load(service, file, activate=True, start=NOW).state == "SCHEDULED"
    [pipeline] = service.perform("ListPipelines")["pipelineIdList"]
    ids = service.perform("QueryObjects", pipelineId=pipeline["id"], sphere="INSTANCE")["ids"]
    described = service.perform("DescribeObjects", pipelineId=pipeline["id"], objectIds=ids)
    fields = [field for item in described["pipelineObjects"] for field in item["fields"]]
    statuses = [field["stringValue"] for field in fields if field["key"] == "@status"]
    assert set(statuses) == {"SKIPPED"}


def test_an_epoch_lets_the_service_begin_in_the_past(file):
    """Then the schedule begins when it is reached."""
    service = Service(lambda: 0.0, Settings(epoch=PAST))
    assert load(service, file, activate=True).state == "SCHEDULED"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"activate": True}, "--activate needs --load."),
        ({"start": NOW}, "--start needs --activate."),
        ({"catch_up": True}, "--catch-up needs an --epoch in the past."),
        (
            {"catch_up": True, "epoch": NOW + timedelta(1)},
            "--catch-up needs an --epoch in the past.",
        ),
        ({"catch_up": True, "epoch": PAST, "state": "file"}, "--catch-up cannot be with --state"),
    ],
)
def test_dates_that_make_no_sense_are_refused(given, said):
    """Before anything is started."""
    with click.Context(emulate), pytest.raises(click.UsageError) as raised:
        options(**given)
    assert raised.value.message.startswith(said)


def test_a_service_that_catches_up_starts_behind():
    """By the seconds from its epoch until now."""
    assert options().behind is None
    assert options(epoch=PAST).behind is None
    assert options(epoch=NOW - timedelta(hours=1), catch_up=True).behind == 3600
    assert options(epoch=PAST).first_date == PAST
    assert options().first_date == NOW


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, None),
        ({"time_scale": 0.5}, None),
        ({"time_scale": 60.0}, "begin with 2026-05-06T07:08:09 UTC, and may run ahead"),
        ({"epoch": PAST}, "begin with 2013-09-01T00:00:00 UTC, and never run ahead"),
        ({"epoch": NOW + timedelta(1)}, "begin with 2026-05-07T07:08:09 UTC, and may run ahead"),
        (
            {"epoch": PAST, "time_scale": 60.0},
            "begin with 2013-09-01T00:00:00 UTC, and may run ahead",
        ),
        (
            {"epoch": PAST, "time_scale": 60.0, "catch_up": True},
            "begin with 2013-09-01T00:00:00 UTC, and never run ahead",
        ),
    ],
)
def test_other_dates_than_the_real_ones_are_told(given, said):
    """Where the endpoint is printed, with what they mean for `list-runs`."""
    text = greeting("http://127.0.0.1:1", [], options(**given))
    assert ("list-runs" in text) == (said is not None)
    assert said is None or said in text
    assert ("--catch-up" in text) == (said is not None and "may" in said)
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2013-09-01", PAST),
        ("2013-09-01T00:00:00", PAST),
        ("2013-09-01T00:00:00Z", PAST),
        ("2013-09-01T02:00:00+02:00", PAST),
    ],
)
def test_a_timestamp_is_in_utc_unless_it_says_otherwise(text, date):
    """As the service's dates are."""
    assert Timestamp().convert(text, None, None) == date


def test_a_timestamp_beyond_the_calendar_is_refused():
    """In UTC it would be before the first year."""
    with pytest.raises(click.BadParameter, match="is not of the form"):
        Timestamp().convert("0001-01-01T00:00:00+02:00", None, None)
