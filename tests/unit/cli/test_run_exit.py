"""The exit codes of `aiodp run`, and the signals behind some of them."""

from __future__ import annotations

import re
import signal
from types import MappingProxyType
from typing import Any

import pytest

from aiodp import RunnerStatistics
from aiodp._types import RunEnd
from aiodp.cli._run.exit_codes import EXIT_CODES, Exit, verdict

TERM, INT = signal.SIGTERM, signal.SIGINT
UNWELL = [
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
        ended=MappingProxyType({one.value: count for one, count in counts.items()}),
        reports=reports,
    )
    before = before_stop or {}
    return verdict(end, once=once, counted=counted, signals=signals, before_stop=before)


def test_a_service_that_was_asked_to_stop_did_well():
    """However its tasks ended: each was told, and that is what it is for."""
    told = {RunEnd.FINISHED: 3, RunEnd.FAILED: 2, RunEnd.CANCELED: 1, RunEnd.LOST: 1}
    assert code(ended=told, signals=(TERM,)) == 0
    assert code() == 0  # the service told it to terminate


@pytest.mark.parametrize("end", [RunEnd.NO_STATUS, RunEnd.INTERRUPTED])
def test_an_end_that_is_not_told_while_it_stops_is_not_well(end):
    """Somebody should look after it; one of long ago was logged then, and does not count."""
    assert code(ended={end: 2}, signals=(TERM,), before_stop={end.value: 1}) == 1
    assert code(ended={end: 1}, signals=(TERM,), before_stop={end.value: 1}) == 0


@pytest.mark.parametrize("end", UNWELL)
@pytest.mark.parametrize("asked", [{"once": True}, {"counted": True}])
def test_a_counted_tasks_bad_end_is_not_well(end, asked):
    """With --once and --max-tasks the exit code is about the tasks."""
    assert code(**asked, ended={end: 1}) == 1
    assert code(**asked, ended={end: 1, RunEnd.FINISHED: 1}) == 1


def test_a_counted_tasks_good_end_is_well():
    """A precondition that does not hold has been looked at, as it was asked for."""
    assert code(once=True, ended={RunEnd.FINISHED: 1}) == 0
    assert code(once=True, ended={RunEnd.FALSE: 1}) == 0
    assert code(counted=True, ended={RunEnd.FINISHED: 2, RunEnd.DUPLICATE: 1}) == 0


def test_a_poll_that_brings_nothing_is_told_from_one_that_fails():
    """So that a script knows whether to wait or to complain."""
    assert code(once=True) == 3
    assert code(once=True, polls_failed=1) == 4
    assert code(once=True, signals=(TERM,)) == 0  # it was asked to stop, so nobody knows


def test_a_second_signals_number_is_in_the_exit_code():
    """By the custom of shells."""
    assert code(signals=(TERM, INT), ended={RunEnd.FAILED: 1}) == 130
    assert code(signals=(INT, TERM), once=True) == 143


def test_the_help_names_all_exit_codes():
    """Those of the enumeration, wrong usage and 128+N, and no others."""
    named = re.findall(r"^  (\d+(?:\+N)?) ", EXIT_CODES, re.MULTILINE)
    assert named == [*(str(int(one)) for one in sorted([*Exit, 2])), "128+N"]
