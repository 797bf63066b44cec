"""The log of `aiodp emulate`."""

from __future__ import annotations

import logging

import pytest

from aiodp.cli._emulate.log import LogFormat, start_log


@pytest.fixture
def root(monkeypatch):
    """The root logger, which gets its handlers back."""
    logger = logging.getLogger()
    monkeypatch.setattr(logger, "handlers", [])
    return logger


def test_warnings_of_others_have_no_escape_codes(root, capsys):
    """An exception of moto may quote a request: it is one line, also without a log of calls."""
    start_log(LogFormat.OFF)
    error = ValueError("no such\n\x9b31m")
    logging.getLogger("moto").error("failed\u202e", exc_info=error)
    root.info("nothing")
    [line] = capsys.readouterr().err.splitlines()
    assert r"ERROR    failed\u202e\nValueError: no such\n\x9b31m" in line
