"""How long the command of an ended task may live on, and how its end is told."""

from __future__ import annotations

from types import SimpleNamespace

import anyio
import pytest

from aiodp.cli._hold.holding import Holding, _describe
from aiodp.testing import VirtualTimeLoop

GRACE = 10.0


async def time_to_stop(*, left: float, canceled: bool = False) -> float:
    """What a command gets, of a task whose lease has so many seconds left."""
    holding = Holding(["true"], grace=GRACE, set_status=False, say=lambda *_, **__: None)
    task = SimpleNamespace(
        deadline=anyio.current_time() + left,
        canceled=SimpleNamespace(is_set=lambda: canceled),
    )
    return holding._time_to_stop(task)  # type: ignore[arg-type]


def in_virtual_time(**case) -> float:
    return anyio.run(
        lambda: time_to_stop(**case), backend_options={"loop_factory": VirtualTimeLoop}
    )


def test_a_lost_task_s_command_gets_the_grace_while_the_lease_allows_it():
    """The safety margin is longer than the grace, so usually all of it."""
    assert in_virtual_time(left=15) == GRACE


@pytest.mark.parametrize("left", [5.0, 0.5])
def test_the_grace_is_cut_when_the_loss_was_noticed_late(left):
    """After a suspended laptop, say: dead before the deadline is what counts."""
    assert 0 < in_virtual_time(left=left) < left


def test_no_grace_is_left_after_the_deadline():
    """Somebody else may have the task already: killed at once."""
    assert in_virtual_time(left=-3600) == 0


def test_a_canceled_task_s_command_always_gets_the_grace():
    """Nobody else gets a canceled task, so its command may clean up, however old the lease."""
    assert in_virtual_time(left=-3600, canceled=True) == GRACE


@pytest.mark.parametrize(
    ("code", "text"), [(3, "exit code 3"), (-9, "killed by SIGKILL"), (-40, "killed by signal 40")]
)
def test_the_end_of_a_command_is_described(code, text):
    """Signals by their names, if they have any."""
    assert _describe(code) == text
