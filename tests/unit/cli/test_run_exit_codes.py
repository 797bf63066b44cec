"""The exit codes of `aiodp run`."""

from __future__ import annotations

import re
import signal
from types import MappingProxyType
from typing import Any

import pytest

from aiodp import RunnerStatistics
from aiodp._types import RunEnd
from aiodp.cli._run.exit_codes import EXIT_CODES, Exit, exit_code

TERM, INT = signal.SIGTERM, signal.SIGINT
FAILURES = [
    *(RunEnd.FAILED, RunEnd.CANCELED, RunEnd.LOST, RunEnd.NO_STATUS),
    *(RunEnd.UNACKNOWLEDGED, RunEnd.INTERRUPTED),
]


def code(
    *,
    once: bool = False,
    counted: bool = False,
    signals: tuple[signal.Signals, ...] = (),
    before_stop: dict[str, int] | None = None,
    polls_failed: int = 0,
    received: int | None = None,
    ended: dict[RunEnd, int] | None = None,
) -> int:
    counts = ended or {}
    reports: Any = None
    end = RunnerStatistics(
        polls=9,
        polls_failed=polls_failed,
        polling=0,
        received=sum(counts.values()) if received is None else received,
        running=0,
        ended=MappingProxyType({run_end.value: count for run_end, count in counts.items()}),
        reports=reports,
    )
    before = before_stop or {}
    return exit_code(end, once=once, counted=counted, signals=signals, before_stop=before)


def test_a_runner_that_was_asked_to_stop_succeeds_however_its_tasks_ended():
    """If each task's end was reported to the service."""
    reported = {RunEnd.FINISHED: 3, RunEnd.FAILED: 2, RunEnd.CANCELED: 1, RunEnd.LOST: 1}
    assert code(ended=reported, signals=(TERM,)) == 0
    assert code() == 0  # the service asked it to terminate


@pytest.mark.parametrize("end", [RunEnd.NO_STATUS, RunEnd.INTERRUPTED])
def test_an_end_that_is_not_reported_while_the_runner_stops_is_a_failure(end):
    """One from before the first signal does not count: it was logged then."""
    assert code(ended={end: 2}, signals=(TERM,), before_stop={end.value: 1}) == 1
    assert code(ended={end: 1}, signals=(TERM,), before_stop={end.value: 1}) == 0


@pytest.mark.parametrize("end", FAILURES)
@pytest.mark.parametrize("asked", [{"once": True}, {"counted": True}])
def test_with_a_number_of_tasks_a_failed_task_is_a_failure(end, asked):
    """With --once and --max-tasks the exit code tells how the tasks ended."""
    assert code(**asked, ended={end: 1}) == 1
    assert code(**asked, ended={end: 1, RunEnd.FINISHED: 1}) == 1


def test_with_a_number_of_tasks_finished_ones_are_a_success():
    """A precondition that does not hold was checked, so it is finished as well."""
    assert code(once=True, ended={RunEnd.FINISHED: 1}) == 0
    assert code(once=True, ended={RunEnd.FALSE: 1}) == 0
    assert code(counted=True, ended={RunEnd.FINISHED: 2, RunEnd.DUPLICATE: 1}) == 0


def test_with_once_no_task_and_a_failed_poll_have_different_codes():
    """A script can wait after the one, and must stop after the other."""
    assert code(once=True) == 3
    assert code(once=True, polls_failed=1) == 4
    assert code(once=True, signals=(TERM,)) == 0  # it was stopped during the poll


def test_a_second_signals_number_is_in_the_exit_code():
    """As shells do: 128 plus the number."""
    assert code(signals=(TERM, INT), ended={RunEnd.FAILED: 1}) == 130
    assert code(signals=(INT, TERM), once=True) == 143


def test_the_help_names_all_exit_codes():
    """Those of the enumeration, wrong usage and 128+N, and no others."""
    named = re.findall(r"^  (\d+(?:\+N)?) ", EXIT_CODES, re.MULTILINE)
    assert named == [*(str(int(code)) for code in sorted([*Exit, 2])), "128+N"]


@pytest.mark.parametrize("asked", [{"once": True}, {"counted": True}, {"signals": (TERM,)}])
def test_doubt_has_a_code_of_its_own(asked):
    """If nothing worse happened."""
    assert code(**asked, ended={RunEnd.IN_DOUBT: 1}) == 5
    assert code(**asked, ended={RunEnd.IN_DOUBT: 1, RunEnd.FINISHED: 1}) == 5
    assert code(**asked, ended={RunEnd.IN_DOUBT: 1, RunEnd.NO_STATUS: 1}) == 1
