"""How the demo's table adapts to the terminal."""

from __future__ import annotations

import io
import re
from types import SimpleNamespace

import anyio
import pytest
from rich.console import Console

from aiodp import LeaseState
from aiodp.cli._demo.event_lines import Marks
from aiodp.cli._demo.task_log import Entry, Stage, TaskLog
from aiodp.cli._demo.views import LiveView, PlainView

pytestmark = pytest.mark.asyncio

ENTRIES = 42


def entry(number: int, stage: Stage = Stage.FINISHED, **more) -> Entry:
    return Entry(
        label=f"{number:02}",
        component=f"Task{number:02}",
        task_id=str(number),
        instance_id=str(number),
        attempt=1,
        assigned_at=0.0,
        stage=stage,
        percent=50,
        **more,
    )


@pytest.fixture
def log() -> TaskLog:
    """Forty tasks finished, one canceled, and the last one held for two more minutes."""
    log = TaskLog(service_clock=lambda: 0.0)
    log.entries = [entry(number) for number in range(1, ENTRIES - 1)]
    log.entries.append(entry(ENTRIES - 1, Stage.CANCELED))
    return log


@pytest.fixture(autouse=True)
def _no_time_passes(monkeypatch):
    monkeypatch.setattr(anyio, "current_time", lambda: 1000.0)


async def drawn(log: TaskLog, width: int, height: int, encoding: str = "utf-8") -> list[str]:
    """Return the lines of the table as a terminal of that size shows them."""
    held = SimpleNamespace(deadline=anyio.current_time() + 4.001, state=LeaseState.HELD)
    log.entries.append(entry(ENTRIES, Stage.HELD, tracked=held))
    console = Console(
        file=io.StringIO(), force_terminal=True, color_system=None, width=width, height=height
    )
    view = LiveView(console, log, Marks.for_encoding(encoding), time_scale=30)
    with console.capture() as capture:
        console.print(view._table())
    return [line.rstrip() for line in capture.get().splitlines()]


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (100, 30), (132, 43), (200, 60), (400, 20)])
async def test_the_table_fits_the_terminal(log, size):
    """Whatever the size, the table is no wider, and leaves the cursor a line."""
    lines = await drawn(log, *size)
    assert max(map(len, lines)) <= size[0]
    assert len(lines) < size[1]


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (132, 43), (200, 60)])
async def test_every_task_is_shown_where_there_is_room(log, size):
    """From 80 by 24 on, each task has its place in the table."""
    text = "\n".join(await drawn(log, *size))
    for number in range(1, ENTRIES + 1):
        assert f"{number:02}    " in text


async def test_the_interesting_tasks_are_shown_where_there_is_not(log):
    """Where few fit, what is held or was canceled is among them; finished ones make room."""
    text = "\n".join(await drawn(log, 40, 12))
    assert re.search(r"42    held .* 50% 120 s", text)
    assert re.search(r"41    canceled .* 50%", text)
    assert text.count("finished") == 2  # one task, and the count of all
    assert "40 finished" in text


@pytest.mark.parametrize(("encoding", "bar"), [("utf-8", "━━━━━──"), ("ascii", "#####..")])
async def test_wide_terminals_get_a_bar(log, encoding, bar):
    """A bar shows the progress where there is room, of characters that the encoding has."""
    text = "\n".join(await drawn(log, 200, 60, encoding))
    assert bar in text


async def test_plain_lines_are_told_once(log):
    """What was printed is not printed again, and nothing is left out at the end."""
    written = io.StringIO()
    console = Console(file=written, force_terminal=False, color_system=None, width=20)
    with PlainView(console, log) as view:
        log.add_text("a line longer than the console is wide")
        view.refresh()
        view.refresh()
        log.add_text("the end")
    lines = written.getvalue().splitlines()
    assert [line.partition(" s  ")[2] for line in lines] == [
        "a line longer than the console is wide",
        "the end",
    ]
