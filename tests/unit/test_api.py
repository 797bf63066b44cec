"""The public surface."""

from __future__ import annotations

import importlib.metadata
import inspect
import subprocess
import sys

import pytest

import aiodp

PUBLIC = [getattr(aiodp, name) for name in aiodp.__all__]
CLASSES = [thing for thing in PUBLIC if inspect.isclass(thing)]


def members(cls):
    return [
        (f"{cls.__name__}.{name}", member)
        for name, member in vars(cls).items()
        if not name.startswith("_")
        and (inspect.isroutine(member) or isinstance(member, (property, classmethod)))
    ]


def test_all_is_sorted_and_complete():
    """`__all__` names all that is public in the package, in order."""
    assert sorted(aiodp.__all__) == sorted(set(aiodp.__all__))
    public = {
        name
        for name, thing in vars(aiodp).items()
        if not name.startswith("_") and not inspect.ismodule(thing)
    }
    assert public == set(aiodp.__all__)


@pytest.mark.parametrize("thing", CLASSES, ids=lambda thing: thing.__name__)
def test_every_public_name_is_documented(thing):
    """Each public class and each public member has a docstring."""
    assert thing.__doc__
    for name, member in members(thing):
        assert inspect.getdoc(member), f"{name} has no docstring"


def test_a_tracked_task_shows_its_users_what_is_documented():
    """What the reporter keeps of a task beside that is none of its public members."""
    assert {name for name in dir(aiodp.TrackedTask) if not name.startswith("_")} == {
        "canceled",
        "deadline",
        "ended",
        "last_reported_at",
        "lost",
        "lost_reason",
        "raise_if_ended",
        "report",
        "report_from_thread",
        "reports",
        "set_status",
        "state",
        "task_id",
        "update",
    }


def test_errors_have_one_root():
    """`except AiodpError` catches all that the package raises for the service's sake."""
    errors = [thing for thing in CLASSES if issubclass(thing, Exception)]
    assert len(errors) == 10
    assert all(issubclass(error, aiodp.AiodpError) for error in errors)


def test_version():
    """The version is the distribution's."""
    assert importlib.metadata.version("aiodp") == aiodp.__version__


def test_long_task_ids_are_shortened():
    """Real task ids have a thousand characters; messages show both ends."""
    task_id = "A" * 500 + "B" * 500
    error = aiodp.LeaseLost("x", task_id=task_id, reason=aiodp.LostReason.EXPIRED)
    assert error.task_id == task_id
    from aiodp._core.text import shorten  # noqa: PLC0415

    assert shorten(task_id) == "AAAAAAAA…BBBBBBBB"
    assert shorten("short") == "short"


def test_the_package_can_be_run():
    """`python -m aiodp` is the command line."""
    done = subprocess.run(
        [sys.executable, "-m", "aiodp", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"aiodp {aiodp.__version__}\n"
