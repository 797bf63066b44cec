"""How long the command of an ended task may live on, and how its end is told."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from aiodp._process import describe_exit, time_to_stop

GRACE = 10.0
NOW = 1_000.0


def granted(*, left: float, canceled: bool = False) -> float:
    """What a command gets, of a task whose lease has so many seconds left."""
    task = SimpleNamespace(deadline=NOW + left, canceled=SimpleNamespace(is_set=lambda: canceled))
    return time_to_stop(task, GRACE, NOW)


def test_a_lost_task_s_command_gets_the_grace_while_the_lease_allows_it():
    """The safety margin is longer than the grace, so usually all of it."""
    assert granted(left=15) == GRACE


@pytest.mark.parametrize("left", [5.0, 0.5])
def test_the_grace_is_cut_when_the_loss_was_noticed_late(left):
    """After a suspended laptop, say: dead before the deadline is what counts."""
    assert 0 < granted(left=left) < left


def test_no_grace_is_left_after_the_deadline():
    """Somebody else may have the task already: killed at once."""
    assert granted(left=-3600) == 0


def test_a_canceled_task_s_command_always_gets_the_grace():
    """Nobody else gets a canceled task, so its command may clean up, however old the lease."""
    assert granted(left=-3600, canceled=True) == GRACE


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0, "exit code 0"),
        (3, "exit code 3"),
        (-9, "killed by SIGKILL"),
        (-40, "killed by signal 40"),
    ],
)
def test_the_end_of_a_command_is_described(code, text):
    """Signals by their names, if they have any."""
    assert describe_exit(code) == text
