"""Logging without repetitions."""

from __future__ import annotations

import logging

import anyio
import pytest

from aiodp._log import OncePer

pytestmark = pytest.mark.anyio


async def test_a_message_that_goes_on_is_logged_once(caplog):
    """Again after an interval without it, and for each key by itself."""
    once = OncePer(60.0)
    for second in range(300):
        once.log(logging.WARNING, "room", "no room at %d", second, second=second)
        await anyio.sleep(1)
    assert [record.getMessage() for record in caplog.records] == ["no room at 0"]
    assert caplog.records[0].second == 0
    once.log(logging.ERROR, "other", "another message")
    assert caplog.records[-1].levelno == logging.ERROR
    await anyio.sleep(59)
    once.log(logging.WARNING, "room", "still too early")
    await anyio.sleep(61)
    once.log(logging.WARNING, "room", "no room again")
    assert [record.getMessage() for record in caplog.records[1:]] == [
        "another message",
        "no room again",
    ]
