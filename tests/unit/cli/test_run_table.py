"""The table of `aiodp run`: the samples of the tasks, and how they are drawn."""

from __future__ import annotations

import io
import logging
import re
from types import MappingProxyType, SimpleNamespace
from typing import Any

import anyio
import pytest
from rich.console import Console

from aiodp import LeaseState, Ref, RunnerStatistics
from aiodp._core.fields import PendingFields
from aiodp._types import RunEnd
from aiodp.cli._run.table import Frame, Row, Screen, TaskSampler


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


def row(number: int) -> Row:
    return Row(
        attempt=f"@Copy{number:03}_2026-01-01T00:00:00_Attempt=1",
        type="ShellCommandActivity",
        state="held",
        age=12.3,
        lease_left=45.6,
        fields="attemptStatus=running [bold]",
    )


def drawn(rows: int, *, width: int, height: int) -> str:
    file = io.StringIO()
    console = Console(
        file=file, force_terminal=True, width=width, height=height, _environ={"TERM": "xterm"}
    )
    screen = Screen(console)
    assert screen.is_possible
    screen.start()
    screen.show(Frame(rows=tuple(map(row, range(rows))), totals={"polls": 7, "lost": 2}))
    screen.close()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue())


def test_a_row_has_all_of_a_task():
    """Attempt, type, state, age, lease and fields in a line, the totals above them."""
    text = drawn(1, width=160, height=24)
    assert "aiodp run  7 polls, 2 lost" in text
    cells = r"@Copy000_2026-01-01T00:00:00_Attempt=1 +ShellCommandActivity +held +12 s +46 s +"
    assert re.search(rf"{cells}attemptStatus=running \[bold\]", text)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 8), (200, 50)])
def test_a_table_fits_the_terminal(width, height):
    """The number of rows that do not fit is shown."""
    text = drawn(100, width=width, height=height)
    # The last drawing stays on the terminal: each one ends with its last line.
    lines = text.rpartition("aiodp run")[2].splitlines()
    assert len(lines) <= height - 1
    assert max(map(len, text.replace("\r", "\n").splitlines())) <= width
    assert f"and {100 - (height - 5)} more" in text


def test_log_lines_stand_above_the_table():
    """A line is written once, as it is, and the table is drawn below it again."""
    file = io.StringIO()
    screen = Screen(Console(file=file, force_terminal=True, width=80, _environ={"TERM": "xterm"}))
    screen.start()
    screen.show(Frame(rows=(row(1),), totals={"polls": 7}))
    line = "[red]" + "x" * 100
    screen.handle(logging.LogRecord("aiodp", logging.ERROR, "", 1, line, None, None))
    screen.close()
    text = file.getvalue()
    assert text.count(line) == 1
    assert "@Copy001" in text.partition(line)[2]


def test_no_table_without_a_terminal():
    """Not in a file, nor on a terminal that cannot move its cursor."""
    assert not Screen(Console(file=io.StringIO(), _environ={})).is_possible
    dumb = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    assert not Screen(dumb).is_possible
