"""The log of `aiodp run`: its lines, its files, and the threads that write them."""

from __future__ import annotations

import gzip
import json
import logging
import math
import re
import sys
import threading
import time
from datetime import UTC, datetime

import pytest

from aiodp.cli._formatters import EXTRAS, JsonLines, TaskRunnerLines, TextLines
from aiodp.cli._run.background import BackgroundCalls, QueueHandler
from aiodp.cli._run.hourly_log import HourlyLog

AT = datetime(2017, 8, 13, 14, 43, 36, 891_000, tzinfo=UTC).timestamp()
HOUR = 3600
LONG = 20.0


def record(message: str = "hello", created: float = AT, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("aiodp", logging.INFO, "/x/_poller.py", 1, message, None, None)
    made.created = created
    made.threadName = "some thread"
    made.__dict__.update(extra)
    return made


def with_error() -> logging.LogRecord:
    made = record()
    try:
        int("well-hidden")
    except ValueError:
        made.exc_info = sys.exc_info()
    return made


# Lines


def test_the_files_lines_are_task_runners():
    """13 Aug 2017 14:43:36,891 [INFO] (thread) pipelineId class: text."""
    start = "13 Aug 2017 14:43:36,891 [INFO] (some thread)"
    lines = TaskRunnerLines()
    assert lines.format(record(pipeline="df-1")) == f"{start} df-1 aiodp.poller: hello"
    assert lines.format(record()) == f"{start} - aiodp.poller: hello"


def test_a_line_of_text_has_the_local_time_the_level_and_the_message():
    """In that order."""
    line = TextLines().format(record())
    local = datetime.fromtimestamp(AT, UTC).astimezone()
    assert line == f"{local:%Y-%m-%d %H:%M:%S} INFO     hello"


def test_a_line_of_json_has_always_the_same_keys():
    """The attributes of the record, and null for those that it does not have."""
    line = json.loads(JsonLines().format(record(task="t", seconds=1.5, foreign=object())))
    assert set(line) == {"time", "level", "message", *EXTRAS}
    assert line["time"] == "2017-08-13T14:43:36.891+00:00"
    assert (line["task"], line["seconds"], line["error"]) == ("t", 1.5, None)


@pytest.mark.parametrize("form", [TextLines, TaskRunnerLines, JsonLines])
@pytest.mark.parametrize("text", ["a\nb\rc", "\x1b[2J\x9b2J", "\u2028\udc80\x85", "tab\tnul\0"])
def test_a_record_is_one_printable_line(form, text):
    """Whatever a command wrote, there is no second line, and no code for the terminal."""
    line = form().format(record(text, pipeline=text))
    assert line.isprintable()
    assert line.encode()


def test_on_a_terminal_a_message_has_its_lines():
    """A traceback can be read; what stands in it cannot look like a record of its own."""
    form = TextLines(terminal=True)
    error = ValueError("no\n2017-08-13 14:43:36 INFO \x9b31m all is well\r")
    line = form.format(record("failed\u202e", exc_info=(ValueError, error, None)))
    first, *more = line.split("\n")
    assert first.endswith(r"INFO     failed\u202e")
    assert more == [
        "    ValueError: no",
        r"    2017-08-13 14:43:36 INFO \x9b31m all is well\r",
    ]


@pytest.mark.parametrize("form", [TextLines, TaskRunnerLines, JsonLines])
def test_secrets_are_hidden_wherever_they_occur(form):
    """In a message, in an extra field, and in a traceback."""
    lines = form(["well-hidden", ""])
    assert "well-hidden" not in lines.format(record("it is well-hidden here", error="well-hidden"))
    line = lines.format(with_error())
    assert "ValueError" in line
    assert "***" in line
    assert "well-hidden" not in line


def test_a_record_whose_extras_json_cannot_write_is_written_without_them():
    """A handler's module may log values of any type."""
    line = JsonLines().format(record("here", seconds=math.nan, error={(1,): 2}))
    assert json.loads(line)["message"] == "here"


# Files


@pytest.fixture
def files(tmp_path):
    """The files below a directory, written in the form of the bare message."""
    log = HourlyLog(tmp_path)
    yield log
    log.close()


def names(tmp_path) -> set[str]:
    return {path.name for path in (tmp_path / "logs").iterdir()}


def test_each_hour_has_a_file(files, tmp_path):
    """Named by the hour in UTC, with the lines of that hour."""
    for hours in (0, 0, 1):
        files.handle(record(f"hour {hours}", AT + hours * HOUR))
    first = tmp_path / "logs" / "Task Runner.log.2017-08-13-14"
    assert first.read_text() == "hour 0\nhour 0\n"
    assert files.path == tmp_path / "logs" / "Task Runner.log.2017-08-13-15"
    assert files.path.read_text() == "hour 1\n"


def test_a_clock_that_jumps_ahead_and_back_loses_no_line(files):
    """The lines of an hour that is gzipped already are appended to its file."""
    for text in ("before", "after"):
        files.handle(record(text, AT))
        files.rotate(AT + 9 * HOUR)
    [packed] = files.path.parent.glob("*.gz")
    assert gzip.decompress(packed.read_bytes()) == b"before\nafter\n"


def test_a_file_that_was_removed_is_created_again(files):
    """As by a clean-up of old logs: later lines must not go to the removed file."""
    made = files.path
    files.emit(record("first", created=time.time()))
    made.unlink()
    files.emit(record("second", created=time.time()))
    assert made.read_text().count("\n") == 1
    assert "second" in made.read_text()


def test_the_file_of_this_hour_is_created_at_the_start(files):
    """The path in the first line of the log can be opened."""
    assert files.path.exists()
    assert re.fullmatch(r"Task Runner\.log\.\d{4}-\d\d-\d\d-\d\d", files.path.name)


def test_files_are_appended_to(files, tmp_path):
    """A runner that is started later, or at the same time, overwrites nothing."""
    files.handle(record("one"))
    other = HourlyLog(tmp_path)
    other.handle(record("two"))
    other.close()
    files.handle(record("three"))
    assert files.path.read_text() == "one\ntwo\nthree\n"


def test_old_files_are_gzipped(files, tmp_path):
    """When they are eight hours old, without loss; other files are left alone."""
    other = tmp_path / "logs" / "Task Runner.log.notes"
    other.touch()
    first = files.path.name
    for hours in range(10):
        files.handle(record(f"hour {hours}", AT + hours * HOUR))
    assert names(tmp_path) == {
        first,
        other.name,
        *("Task Runner.log.2017-08-13-14.gz", "Task Runner.log.2017-08-13-15.gz"),
        *(f"Task Runner.log.2017-08-13-{hour}" for hour in range(16, 24)),
    }
    with gzip.open(tmp_path / "logs" / "Task Runner.log.2017-08-13-15.gz", "rt") as packed:
        assert packed.read() == "hour 1\n"


def test_the_files_of_a_runner_that_logs_nothing_are_gzipped(files, tmp_path):
    """The last file too is closed and gzipped; a later line goes to a new file."""
    files.handle(record("one"))
    files.rotate(AT + 8 * HOUR)
    assert "Task Runner.log.2017-08-13-14.gz" in names(tmp_path)
    files.handle(record("two", AT + 8 * HOUR))
    assert files.path.read_text() == "two\n"


def test_changed_files_are_returned_until_they_are_uploaded(files, tmp_path):
    """An upload takes the changed files; if it fails, it gives them back."""
    files.handle(record("one"))
    files.handle(record("two", AT + HOUR))
    changed = ["Task Runner.log.2017-08-13-14", "Task Runner.log.2017-08-13-15"]
    assert files.take_changed() == changed
    assert files.take_changed() == []
    files.add_changed(changed[:1])
    assert files.take_changed() == changed[:1]
    files.rotate(AT + 8 * HOUR)
    assert files.find(changed[0]) == tmp_path / "logs" / f"{changed[0]}.gz"
    assert files.find("gone") is None


def test_a_line_that_cannot_be_written_is_dropped(files, tmp_path, capsys):
    """Without an exception, which would fail a task; later lines are written."""
    (tmp_path / "logs" / "Task Runner.log.2017-08-13-14").mkdir()
    files.handle(record("refused"))
    files.handle(record("kept", AT + HOUR))
    assert files.path.read_text() == "kept\n"
    assert capsys.readouterr().err == ""


# Threads


class Slow(logging.Handler):
    """Waits until it may write."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()
        self.waiting = threading.Event()
        self.written: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.waiting.set()
        assert self.released.wait(LONG)
        self.written.append(record.getMessage())


def test_a_handler_that_blocks_delays_nobody():
    """Records wait in the queue; when it is full they are dropped, and their number is logged."""
    slow, calls = Slow(), BackgroundCalls("test", max_waiting=2)
    handler = QueueHandler(slow, calls)
    handler.handle(record("0"))
    assert slow.waiting.wait(LONG)
    for number in range(1, 6):
        handler.handle(record(str(number)))
    assert not calls.flush(0.01)
    assert not calls.close(0.01)
    slow.released.set()
    assert calls.flush(LONG)
    handler.handle(record("6"))
    assert calls.close(LONG)
    assert slow.written[:3] == ["0", "1", "2"]
    assert slow.written[3:] == ["3 lines were dropped, for they could not be written", "6"]


def test_a_message_is_formatted_when_it_is_logged():
    """Its arguments may change before it is written."""
    slow, calls = Slow(), BackgroundCalls("test")
    values = [1]
    made = record("%s")
    made.args = (values,)
    QueueHandler(slow, calls).handle(made)
    values.append(2)
    slow.released.set()
    assert calls.close(LONG)
    assert slow.written == ["[1]"]


def test_a_message_that_does_not_fit_its_arguments_is_written_with_them():
    """A wrong logging call in a handler's module does not fail its task."""
    slow, calls = Slow(), BackgroundCalls("test")
    made = record("%d things")
    made.args = ("many",)
    QueueHandler(slow, calls).handle(made)
    slow.released.set()
    assert calls.close(LONG)
    assert slow.written == ["%d things ('many',)"]


@pytest.mark.parametrize("error", [OSError, SystemExit])
def test_a_call_that_raises_does_not_end_the_thread(error):
    """The next call is made."""

    def fail() -> None:
        raise error

    done, calls = threading.Event(), BackgroundCalls("test")
    calls.call(fail)
    calls.call(done.set)
    assert calls.close(LONG)
    assert done.is_set()
