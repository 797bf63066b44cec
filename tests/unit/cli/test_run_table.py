"""The table of `aiodp run`: the samples of the tasks, and how they are drawn."""

from __future__ import annotations

import io
import logging
import re
import sys
from dataclasses import replace
from types import MappingProxyType, SimpleNamespace
from typing import Any

import anyio
import pytest
from rich.cells import cell_len
from rich.console import Console

from aiodp import LeaseState, Ref, RunnerStatistics
from aiodp._core.fields import PendingFields
from aiodp._types import RunEnd
from aiodp.cli._run.table import Frame, Screen, TaskSampler
from aiodp.cli._run.table_lines import Row
from aiodp.testing import VirtualTimeLoop


def task(attempt: str, fields: PendingFields | None = None) -> Any:
    """A task that was handed out ten seconds ago, and is held for twenty more."""
    now = anyio.current_time()
    return _Task(
        attempt_id=attempt,
        type="ShellCommandActivity",
        state=LeaseState.HELD,
        assigned_at=now - 10,
        deadline=now + 20,
        _record=SimpleNamespace(fields=fields),
    )


class _Task:
    def __init__(self, **members: Any) -> None:
        self.__dict__.update(members)


def statistics(**ended: int) -> RunnerStatistics:
    reports: Any = None
    counts = {RunEnd[name].value: count for name, count in ended.items()}
    return RunnerStatistics(
        polls=12,
        polls_failed=0,
        polling=0,
        received=0,
        running=0,
        ended=MappingProxyType(counts),
        reports=reports,
    )


@pytest.fixture
def sample():
    """Takes samples of tasks in an event loop, one after each step."""

    def take(*steps: Any) -> list[Frame]:
        sampler = TaskSampler()

        async def run() -> list[Frame]:
            now = statistics(FINISHED=3, FALSE=1, LOST=2)
            return [sampler.sample(tasks(), now) for tasks in steps]

        return anyio.run(run)

    return take


def test_a_row_has_the_age_of_a_task_and_the_time_left_of_its_lease(sample):
    """Both in seconds, by the event loop's clock."""
    [frame] = sample(lambda: [task("@A_Attempt=1")])
    [row] = frame.rows
    assert (row.attempt, row.type, row.state) == ("@A_Attempt=1", "ShellCommandActivity", "held")
    assert 10 <= row.age < 11
    assert 19 < row.lease_left <= 20


def test_what_others_named_has_no_escape_codes(sample):
    """Ids, types and fields come from whoever wrote the definition."""

    def start() -> list[Any]:
        made = task("@A\x9b_Attempt=1")
        made.type = "Shell\x1b[2J\n"
        return [made]

    [frame] = sample(start)
    assert frame.rows[0].attempt == r"@A\x9b_Attempt=1"
    assert frame.rows[0].type == r"Shell\x1b[2J\n"


def test_totals_are_those_of_the_runner(sample):
    """A precondition that does not hold counts as finished."""
    [frame] = sample(list)
    assert frame.totals == {"polls": 12, "finished": 4, "failed": 0, "canceled": 0, "lost": 2}


def test_reported_fields_stay_in_the_row(sample):
    """A field that the service has acknowledged stays, and the newest value is shown."""
    fields = PendingFields()
    held: list[Any] = []

    def start() -> list[Any]:
        held.append(task("@A", fields))
        fields.update({"percent": 1, "node": Ref("N")})
        return held

    def report() -> list[Any]:
        fields.acknowledge(fields.snapshot()[0])
        return held

    def update() -> list[Any]:
        fields.update({"percent": "2\n"})
        return held

    frames = sample(start, report, update, list)
    shown = [[row.fields for row in frame.rows] for frame in frames]
    first = "percent=1 node=N"
    assert shown == [[first], [first], [r"percent=2\n node=N"], []]


@pytest.mark.parametrize(
    ("polling", "ended", "text"),
    [
        (1, False, "waiting for tasks of reports (poll 3, 41 s)"),
        (0, False, "waiting for tasks of reports"),
        (1, True, ""),
    ],
)
def test_what_an_idle_runner_waits_for_is_told(polling, ended, text):
    """The number of the newest poll, and how long it is held; between two polls, and at the end,
    there is none.
    """
    sampler = TaskSampler()
    now = replace(statistics(), polls=3, polling=polling)

    async def run() -> Frame:
        group = "" if ended else "reports"
        sampler.sample([], replace(now, polls=2), group)
        await anyio.sleep(5)
        sampler.sample([], now, group)
        await anyio.sleep(41)
        return sampler.sample([], now, group)

    frame = anyio.run(run, backend_options={"loop_factory": VirtualTimeLoop})
    assert frame.idle == text


def test_a_runner_with_tasks_is_not_idle(sample):
    """The tasks stand there instead."""
    [frame] = sample(lambda: [task("@A")])
    assert frame.idle == ""


FIELDS = "attemptStatus=running [bold]"
LONG_FIELDS = "percentComplete=50 attemptStatus=running lines=1,234,567 note=é中"


def row(number: int, fields: str = FIELDS) -> Row:
    return Row(
        attempt=f"@Copy{number:03}_2026-01-01T00:00:00_Attempt=1",
        type="ShellCommandActivity",
        state="canceled",
        age=12.3,
        lease_left=45.6,
        fields=fields,
    )


def drawn(rows: int, *, width: int, height: int = 24, fields: str = FIELDS, idle: str = "") -> str:
    file = io.StringIO()
    console = Console(
        file=file, force_terminal=True, width=width, height=height, _environ={"TERM": "xterm"}
    )
    screen = Screen(console)
    assert screen.is_possible
    screen.start()
    frame_rows = tuple(row(number, fields) for number in range(rows))
    screen.show(Frame(rows=frame_rows, totals={"polls": 7, "lost": 2}, idle=idle))
    screen.close()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue())


def last_lines(text: str) -> list[str]:
    """Return the lines of the last drawing, which stays on the terminal, without the totals."""
    return [line.rstrip() for line in text.rpartition("aiodp run")[2].splitlines()[1:]]


def test_a_row_has_all_of_a_task():
    """Attempt, type, state, age, lease and fields in a line, the totals above them."""
    text = drawn(1, width=160, height=24)
    assert "aiodp run  7 polls, 2 lost" in text
    cells = r"@Copy000_2026-01-01T00:00:00_Attempt=1 +ShellCommandActivity +canceled +12 s +46 s +"
    assert re.search(rf"{cells}attemptStatus=running \[bold\]", text)


def test_at_80_columns_what_changes_is_whole():
    """The constant ones give way; what is reported is wrapped at words."""
    head, *lines = last_lines(drawn(1, width=80, fields=LONG_FIELDS))
    assert head.split() == ["attempt", "type", "state", "age", "lease", "reported"]
    assert lines == [
        "@Copy000_2026-01-01…  ShellComm…  canceled   12 s   46 s  percentComplete=50",
        f"{'':58}attemptStatus=running",
        f"{'':58}lines=1,234,567",
        f"{'':58}note=é中",
    ]


def test_a_long_word_stands_below():
    """There it is whole, and the others have more room."""
    _, *lines = last_lines(drawn(1, width=80, fields=f"file=s3://{'x' * 40} n=1"))
    assert lines == [
        "@Copy000_2026-01-01T00:00:00_Attempt=1  ShellCommandAct…  canceled   12 s   46 s",
        f"  file=s3://{'x' * 40} n=1",
    ]


def test_at_40_columns_state_age_and_lease_stay():
    """The type is left out, the attempt shortened, and what is reported stands below."""
    head, *lines = last_lines(drawn(1, width=40, fields=LONG_FIELDS))
    assert head.split() == ["attempt", "state", "age", "lease"]
    assert lines == [
        "@Copy000_2026-0…  canceled   12 s   46 s",
        "  percentComplete=50",
        "  attemptStatus=running lines=1,234,567",
        "  note=é中",
    ]


@pytest.mark.parametrize("width", range(30, 200, 7))
def test_nothing_that_changes_is_cut_at_any_width(width):
    """Nor is a line longer than the terminal."""
    text = drawn(3, width=width, fields=LONG_FIELDS)
    for word in ("canceled", "12 s", "46 s", *LONG_FIELDS.split()):
        assert text.count(word) % 3 == 0
        assert word in text
    assert max(cell_len(line.rstrip()) for line in text.replace("\r", "\n").splitlines()) <= width


def test_totals_are_wrapped_at_words():
    """None of them is cut."""
    text = drawn(0, width=24, idle="waiting for tasks of reports (poll 3, 41 s)")
    assert [line.rstrip() for line in text.rpartition("aiodp run")[2].splitlines()] == [
        "  7 polls, 2",
        "lost",
        "waiting for tasks of",
        "reports (poll 3, 41 s)",
    ]


@pytest.mark.parametrize(
    ("width", "height", "lines"), [(80, 24, 2), (40, 9, 2), (40, 4, 2), (200, 50, 1)]
)
def test_a_table_fits_the_terminal(width, height, lines):
    """The number of rows that do not fit is shown; one row is, in any case."""
    text = drawn(100, width=width, height=height)
    # The last drawing stays on the terminal: each one ends with its last line.
    assert len(text.rpartition("aiodp run")[2].splitlines()) <= max(height - 1, lines + 3)
    assert max(map(len, text.replace("\r", "\n").splitlines())) <= width
    shown = max(1, (height - 5) // lines)
    assert shown == text.rpartition("aiodp run")[2].count("@Copy")
    if height > 5:
        assert f"and {100 - shown} more" in text


def test_log_lines_stand_above_the_table():
    """A line is written once, wrapped at words, and the table is drawn below it again."""
    file = io.StringIO()
    screen = Screen(Console(file=file, force_terminal=True, width=80, _environ={"TERM": "xterm"}))
    screen.start()
    screen.show(Frame(rows=(row(1),), totals={"polls": 7}))
    line = " ".join(["[red]", *(f"word{number:04}" for number in range(30))]) + "\n    more"
    screen.handle(logging.LogRecord("aiodp", logging.ERROR, "", 1, line, None, None))
    screen.close()
    text = file.getvalue()
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    written = [part for part in plain.splitlines() if "word" in part]
    assert [*" ".join(written).split(), "more"] == line.split()
    assert max(map(len, written)) <= 80
    assert all(part.startswith("    word") for part in written[1:])
    assert "    more" in text
    assert "@Copy001" in text.partition("word0029")[2]


def test_what_handlers_print_is_escaped_above_the_table(monkeypatch):
    """Of a terminal; colors stay, and what is printed to a file is left alone."""
    terminal, other = io.StringIO(), io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(sys, "stderr", other)
    file = io.StringIO()
    screen = Screen(Console(file=file, force_terminal=True, width=80, _environ={"TERM": "xterm"}))
    screen.start()
    sys.stdout.write("a\x1b]0;title\x07\x9b31m\u202eb\x08\x1b[31mred\x1b[0m\n")
    sys.stderr.write("\x9b\n")
    screen.close()
    assert r"a\x1b]0;title\x07\x9b31m\u202eb\x08" in file.getvalue()
    assert "\x1b[31mred\x1b[0m" in file.getvalue()
    assert (sys.stdout, other.getvalue()) == (terminal, "\x9b\n")


def test_no_table_without_a_terminal():
    """Not in a file, nor on a terminal that cannot move its cursor."""
    assert not Screen(Console(file=io.StringIO(), _environ={})).is_possible
    dumb = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    assert not Screen(dumb).is_possible
