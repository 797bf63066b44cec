"""The end of a task, by what became of its work and where the task stands."""

from __future__ import annotations

import itertools

import pytest

from aiodp import LeaseState, RunEnd, TaskStatus
from aiodp._core.timing import Timing
from aiodp._reporter.record import TaskRecord
from aiodp._runner import result
from aiodp._runner.result import (
    Action,
    Failed,
    Interrupted,
    Standing,
    Succeeded,
    WorkResult,
    end_of,
    stack_trace_of,
)

RESULTS: dict[str, WorkResult] = {
    "succeeded": Succeeded(TaskStatus.FINISHED),
    "failed": Failed(ValueError("bad luck")),
    "interrupted": Interrupted(),
}


def table() -> dict[tuple[str, str], str]:
    """The cells of the table at the top of the module, by row and column."""
    lines = [line for line in str(result.__doc__).splitlines() if line.startswith("| ")]
    head, _, *rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines]
    return {(row[0], column): cell for row in rows for column, cell in zip(head, row, strict=True)}


@pytest.mark.parametrize(("work", "standing"), list(itertools.product(RESULTS, Standing)))
def test_the_end_is_the_one_of_the_table(work, standing):
    """Each cell that the module's docstring shows is what the code says, and none is missing."""
    assert end_of(RESULTS[work], standing).value == table()[work, standing.value]


def test_the_table_has_no_other_rows_and_columns():
    """Nor does a false precondition differ from a finished task."""
    work, standings = (set(names) for names in zip(*table(), strict=True))
    assert work == set(RESULTS)
    assert standings == {"work"} | {standing.value for standing in Standing}
    for standing in Standing:
        assert end_of(Succeeded(TaskStatus.FALSE), standing) is end_of(
            RESULTS["succeeded"], standing
        )


@pytest.mark.parametrize(
    ("state", "marks", "standing"),
    [
        (LeaseState.HELD, {}, Standing.HELD),
        (LeaseState.HELD, {"status_failed"}, Standing.IN_DOUBT),
        (LeaseState.LOST, {}, Standing.EXPIRED),
        (LeaseState.LOST, {"status_failed"}, Standing.EXPIRED),
        (LeaseState.LOST, {"reporting_stopped"}, Standing.LOST),
        (LeaseState.LOST, {"status_in_doubt"}, Standing.EXPIRED),
        (LeaseState.HELD, {"status_in_doubt"}, Standing.IN_DOUBT),
        (LeaseState.CANCELED, {"reporting_stopped"}, Standing.CANCELED),
        (LeaseState.CANCELED, {"reporting_stopped", "status_failed"}, Standing.CANCELED),
        (LeaseState.RELEASED, {"reporting_stopped", "status_acknowledged"}, Standing.STATUS_SET),
        (LeaseState.LOST, {"reporting_stopped", "status_acknowledged"}, Standing.STATUS_SET),
        (LeaseState.HELD, {"status_failed", "status_acknowledged"}, Standing.STATUS_SET),
    ],
)
def test_where_a_task_stands(state, marks, standing):
    """A status that was acknowledged goes first, then the end of the lease, then a doubt."""
    timing = Timing.checked(
        interval=60, ack_timeout=120, lease_timeout=300, safety_margin=10, attempt_timeout=10
    )
    record = TaskRecord("task", timing, 0.0)
    for mark in marks:
        setattr(record, mark, True)
    assert Standing.of(record, state) is standing


def test_only_work_whose_status_may_be_accepted_is_reported():
    """Wherever a status is set, the service may still have the task for us."""
    for work, standing in itertools.product(RESULTS.values(), Standing):
        if end_of(work, standing) is Action.SET_STATUS:
            assert standing in (Standing.HELD, Standing.IN_DOUBT, Standing.EXPIRED)
    assert end_of(Interrupted(), Standing.HELD) is RunEnd.INTERRUPTED


class OddCauseError(Exception):
    """An exception that cannot even say what caused it."""

    @property
    def __cause__(self):  # type: ignore[override]
        raise RuntimeError("not to be known")


def test_the_stack_trace_of_an_exception_whose_causes_cannot_be_read():
    """It shows the exception alone: its own frames, and its message."""
    with pytest.raises(OddCauseError) as caught:
        raise OddCauseError("mine")
    first, *_, last = stack_trace_of(caught.value).splitlines()
    assert first.startswith(f'  File "{__file__}", line ')
    assert last == "mine"


def even(error: Exception, levels: int) -> None:
    odd(error, levels - 1)


def odd(error: Exception, levels: int) -> None:  # two, for a repeated line would be shown once
    if levels > 0:
        even(error, levels - 1)
    raise error


@pytest.mark.parametrize("error", [ValueError("deep"), OddCauseError("deep")])
def test_a_stack_trace_shows_the_last_fifty_frames(error):
    """The end of it is where the exception comes from."""
    with pytest.raises(type(error)):
        even(error, 80)
    trace = stack_trace_of(error)
    assert trace.count('  File "') == 50
    assert trace.count("raise error") == 1
