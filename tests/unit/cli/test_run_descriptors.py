"""How many tasks `aiodp run` takes at once under a limit of open files."""

from __future__ import annotations

import resource

import pytest

from aiodp.cli._run.descriptors import PER_TASK, RESERVE, needed, tasks_at_once

UNLIMITED = resource.RLIM_INFINITY


@pytest.fixture
def limits(monkeypatch):
    """Stands for the limits of this process: soft and hard."""
    now = [256, 4096]

    def change(_: int, limits: tuple[int, int]) -> None:
        now[:] = limits

    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(now))
    monkeypatch.setattr(resource, "setrlimit", change)
    return now


@pytest.mark.parametrize(
    ("soft", "hard", "tasks", "expected", "soft_then"),
    [
        (256, 4096, 2, 2, 256),
        (256, 4096, 60, 60, needed(60)),
        (256, UNLIMITED, 60, 60, needed(60)),
        (UNLIMITED, UNLIMITED, 60, 60, UNLIMITED),
        (100, 200, 60, (200 - RESERVE) // PER_TASK, 200),
        (20, 20, 60, 1, 20),
    ],
)
def test_tasks_that_a_limit_allows(limits, soft, hard, tasks, expected, soft_then):
    """The soft limit is raised only as far as needed; one task is always taken."""
    limits[:] = soft, hard
    assert tasks_at_once(tasks) == expected
    assert limits == [soft_then, hard]


def test_a_soft_limit_that_cannot_be_raised(limits, monkeypatch):
    """Fewer are taken, for it stays."""

    def refuse(*_: object) -> None:
        raise ValueError("not allowed")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert tasks_at_once(60) == (256 - RESERVE) // PER_TASK
    assert limits[0] == 256
