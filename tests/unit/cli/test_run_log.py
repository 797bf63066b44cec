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

from aiodp.cli._run.background import Aside, Sideline
from aiodp.cli._run.formatters import EXTRAS, JsonLines, TaskRunnerLines, TextLines
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
    """What people want to see first."""
    line = TextLines().format(record())
    local = datetime.fromtimestamp(AT, UTC).astimezone()
    assert line == f"{local:%Y-%m-%d %H:%M:%S} INFO     hello"


def test_a_line_of_json_has_always_the_same_keys():
    """What the record tells, and null for what it does not."""
    told = json.loads(JsonLines().format(record(task="t", seconds=1.5, foreign=object())))
    assert set(told) == {"time", "level", "message", *EXTRAS}
    assert told["time"] == "2017-08-13T14:43:36.891+00:00"
    assert (told["task"], told["seconds"], told["error"]) == ("t", 1.5, None)


@pytest.mark.parametrize("form", [TextLines, TaskRunnerLines, JsonLines])
@pytest.mark.parametrize("text", ["a\nb\rc", "\x1b[2J\x9b2J", "\u2028\udc80\x85", "tab\tnul\0"])
def test_a_record_is_one_printable_line(form, text):
    """Whatever a command wrote: no second line, and no code for the terminal."""
    line = form().format(record(text, pipeline=text))
    assert line.isprintable()
    assert line.encode()


@pytest.mark.parametrize("form", [TextLines, TaskRunnerLines, JsonLines])
def test_secrets_are_hidden_wherever_they_stand(form):
    """In a message, in an extra field, and in a traceback."""
    lines = form(["well-hidden", ""])
    assert "well-hidden" not in lines.format(record("it is well-hidden here", error="well-hidden"))
    line = lines.format(with_error())
    assert "ValueError" in line
    assert "***" in line
    assert "well-hidden" not in line


def test_extras_that_json_cannot_write_cost_no_line():
    """A handler's module may log anything."""
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
    return {one.name for one in (tmp_path / "logs").iterdir()}


def test_each_hour_has_a_file(files, tmp_path):
    """Named by the hour in UTC, with the lines of that hour."""
    for hours in (0, 0, 1):
        files.handle(record(f"hour {hours}", AT + hours * HOUR))
    first = tmp_path / "logs" / "Task Runner.log.2017-08-13-14"
    assert first.read_text() == "hour 0\nhour 0\n"
    assert files.path == tmp_path / "logs" / "Task Runner.log.2017-08-13-15"
    assert files.path.read_text() == "hour 1\n"


def test_a_clock_that_leaps_ahead_and_back_costs_no_line(files):
    """An hour that is begun once more is added to its gzipped file."""
    for text in ("before", "after"):
        files.handle(record(text, AT))
        files.turn(AT + 9 * HOUR)
    [packed] = files.path.parent.glob("*.gz")
    assert gzip.decompress(packed.read_bytes()) == b"before\nafter\n"


def test_a_file_that_was_removed_is_made_anew(files):
    """By a cleaner of logs, say: what comes then is not written to nowhere."""
    made = files.path
    files.emit(record("first", created=time.time()))
    made.unlink()
    files.emit(record("second", created=time.time()))
    assert made.read_text().count("\n") == 1
    assert "second" in made.read_text()


def test_the_file_of_this_hour_is_there_from_the_start(files):
    """What is printed at the start can be opened."""
    assert files.path.exists()
    assert re.fullmatch(r"Task Runner\.log\.\d{4}-\d\d-\d\d-\d\d", files.path.name)


def test_files_are_appended_to(files, tmp_path):
    """By the runner that is started next, and by one beside it."""
    files.handle(record("one"))
    other = HourlyLog(tmp_path)
    other.handle(record("two"))
    other.close()
    files.handle(record("three"))
    assert files.path.read_text() == "one\ntwo\nthree\n"


def test_old_files_are_gzipped(files, tmp_path):
    """Eight hours old and not sooner; nothing is lost, nothing else touched."""
    other = tmp_path / "logs" / "Task Runner.log.notes"
    other.touch()
    begun = files.path.name
    for hours in range(10):
        files.handle(record(f"hour {hours}", AT + hours * HOUR))
    assert names(tmp_path) == {
        begun,
        other.name,
        *("Task Runner.log.2017-08-13-14.gz", "Task Runner.log.2017-08-13-15.gz"),
        *(f"Task Runner.log.2017-08-13-{hour}" for hour in range(16, 24)),
    }
    with gzip.open(tmp_path / "logs" / "Task Runner.log.2017-08-13-15.gz", "rt") as packed:
        assert packed.read() == "hour 1\n"


def test_a_quiet_runners_files_are_gzipped_as_well(files, tmp_path):
    """The file that was written last is closed, and packed in its turn; the next line goes on."""
    files.handle(record("one"))
    files.turn(AT + 8 * HOUR)
    assert "Task Runner.log.2017-08-13-14.gz" in names(tmp_path)
    files.handle(record("two", AT + 8 * HOUR))
    assert files.path.read_text() == "two\n"


def test_what_was_written_is_known_until_it_is_taken(files, tmp_path):
    """So that each push takes what is new, and a failed one takes it again."""
    files.handle(record("one"))
    files.handle(record("two", AT + HOUR))
    changed = ["Task Runner.log.2017-08-13-14", "Task Runner.log.2017-08-13-15"]
    assert files.take_changed() == changed
    assert files.take_changed() == []
    files.give_back(changed[:1])
    assert files.take_changed() == changed[:1]
    files.turn(AT + 8 * HOUR)
    assert files.find(changed[0]) == tmp_path / "logs" / f"{changed[0]}.gz"
    assert files.find("gone") is None


def test_a_disk_that_refuses_costs_nothing(files, tmp_path, capsys):
    """A line is not kept, which no task must pay for; later ones are."""
    (tmp_path / "logs" / "Task Runner.log.2017-08-13-14").mkdir()
    files.handle(record("refused"))
    files.handle(record("kept", AT + HOUR))
    assert files.path.read_text() == "kept\n"
    assert capsys.readouterr().err == ""


# Threads


class Slow(logging.Handler):
    """Writes nothing until it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may = threading.Event()
        self.began = threading.Event()
        self.written: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.began.set()
        assert self.may.wait(LONG)
        self.written.append(record.getMessage())


def test_a_paused_terminal_holds_up_nobody():
    """Lines wait, what finds no room is dropped, and later it is said how many were."""
    slow, sideline = Slow(), Sideline("test", room=2)
    aside = Aside(slow, sideline)
    aside.handle(record("0"))
    assert slow.began.wait(LONG)
    for number in range(1, 6):
        aside.handle(record(str(number)))
    assert not sideline.flush(0.01)
    assert not sideline.close(0.01)
    slow.may.set()
    assert sideline.flush(LONG)
    aside.handle(record("6"))
    assert sideline.close(LONG)
    assert slow.written[:3] == ["0", "1", "2"]
    assert slow.written[3:] == ["3 lines were dropped, for they could not be written", "6"]


def test_a_line_tells_of_the_moment_it_was_logged():
    """Its arguments may have changed when it is written."""
    slow, sideline = Slow(), Sideline("test")
    values = [1]
    made = record("%s")
    made.args = (values,)
    Aside(slow, sideline).handle(made)
    values.append(2)
    slow.may.set()
    assert sideline.close(LONG)
    assert slow.written == ["[1]"]


def test_a_record_that_does_not_fit_its_arguments_is_written_all_the_same():
    """A mistake in a line of a handler's module does not fail its task."""
    slow, sideline = Slow(), Sideline("test")
    made = record("%d things")
    made.args = ("many",)
    Aside(slow, sideline).handle(made)
    slow.may.set()
    assert sideline.close(LONG)
    assert slow.written == ["%d things ('many',)"]


@pytest.mark.parametrize("error", [OSError, SystemExit])
def test_what_fails_in_a_sideline_does_not_end_it(error):
    """The next call is made all the same."""

    def fail() -> None:
        raise error

    done, sideline = threading.Event(), Sideline("test")
    sideline.call(fail)
    sideline.call(done.set)
    assert sideline.close(LONG)
    assert done.is_set()
