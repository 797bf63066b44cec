"""docs/runner.md says what the code does."""

from __future__ import annotations

import inspect
import re
from contextlib import asynccontextmanager
from pathlib import Path

from aiodp import Task, TaskRunner, otel
from aiodp._aws import runner_transport as _runner_transport
from aiodp._reporter import runner_reporter
from aiodp._runner import dispatcher, execution, handlers, heartbeats, poller
from aiodp._runner.shutdown import Step
from aiodp._types import RunEnd

TEXT = (Path(__file__).parents[3] / "docs" / "runner.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading."""
    section = TEXT.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    table = section[section.index("\n| ") + 1 :].split("\n\n", 1)[0]
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines[2:]]


def test_all_ends_are_named():
    """Those of the table, and the five of the sentence below it, are all that there are."""
    table = {cell.strip("`") for _, cell, _ in rows("What a handler does to its task")}
    sentence = TEXT.split("by five more:", 1)[1].split("\n\n", 1)[0]
    named = set(re.findall(r"`([a-z ]+)`", sentence))
    assert len(named) == 5
    assert (table - {"what it set"}) | named == {end.value for end in RunEnd}


def test_all_parameters_are_in_the_table_with_their_defaults():
    """The last row stands for those of the reporter."""
    table = {cells[0].strip("`"): cells[1] for cells in rows("Its parameters")}
    parameters = inspect.signature(TaskRunner).parameters
    assert list(table)[:-1] == [
        name for name in parameters if name not in ("session", "reporter_options")
    ]
    for name, default in table.items():
        if default in ("None", "2", "True"):
            assert str(parameters[name].default) == default


def test_all_members_of_a_task_are_in_the_table():
    """Beside those of a tracked task."""
    cells = " ".join(cells[0] for cells in rows("What a handler gets"))
    own = {name for name in vars(Task) if not name.startswith("_")}
    assert set(re.findall(r"`(\w+)", cells)) == own - {"raise_if_ended"}


def test_the_metrics_are_those_of_the_code():
    """By their names."""
    section = TEXT.split("## Metrics\n", 1)[1].split("\n## ", 1)[0]
    source = Path(str(otel.__file__)).read_text()
    assert set(re.findall(r"`(aiodp\.(?!otel)\w+)`", section)) == set(
        re.findall(r'create_\w+\(\s*"([\w.]+)"', source)
    )


def test_the_error_ids_are_those_of_the_code():
    """Each that is named in the table or below it stands in the source."""
    sources = "".join(
        Path(str(module.__file__)).read_text() for module in (execution, handlers, dispatcher)
    )
    for name in ("ReturnedFalse", "BadReturnValue", "NoHandler", "MalformedTask", "RunnerStopped"):
        assert f"`{name}`" in TEXT
        assert name in sources


def test_the_steps_of_the_end():
    """The table has the steps of the code in their order."""
    steps = [cells[0] for cells in rows("The end")]
    assert steps == ["drain", "cancel", "abandon"]
    assert [step.name.lower()[:5] for step in Step if step] == [step[:5] for step in steps]


def test_the_numbers():
    """Seconds and rates are the constants' own."""
    assert poller._RATE == 2
    assert "at most two a second" in TEXT
    assert (poller._MIN_DELAY, poller._MAX_DELAY) == (1, 60)
    assert "after a second, then after growing delays of up to a minute" in TEXT
    assert dispatcher._CLEAN_UP_TIMEOUT == 30
    assert "have 30 s to clean up" in TEXT
    assert dispatcher._LAST_POLL_TIMEOUT == 2
    assert "| None | two seconds |" in TEXT
    assert heartbeats._INTERVAL == 15 * 60
    assert "every 15 minutes" in TEXT
    assert execution._RETRY_DELAY == 120
    assert "two minutes\nif only the timeout" in TEXT
    assert runner_reporter._ACK_TIMEOUT == 120
    assert "120 s to `ack_timeout`" in TEXT
    assert _runner_transport._READ_TIMEOUT > 90


def test_the_lifespan_is_one_that_fastapi_takes():
    """The excerpt is a program with the imports of the example, which is executed elsewhere."""
    from fastapi import FastAPI  # noqa: PLC0415 - for this test alone, and slow to import

    [block] = [
        one for one in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if "FastAPI(" in one
    ]
    names = {"asynccontextmanager": asynccontextmanager, "FastAPI": FastAPI}
    exec(block, names)
    assert isinstance(names["app"], FastAPI)
