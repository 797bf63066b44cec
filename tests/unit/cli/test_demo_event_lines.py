"""How the demo's events become lines."""

from __future__ import annotations

from aiodp.cli._demo.event_lines import lines
from aiodp.cli._demo.task_log import Event, Stage


def test_equal_stages_that_follow_each_other_share_a_line():
    """Labels are sorted, and runs of numbers are shortened."""
    labels = ["03", "01", "02", "07", "hello", "01/2"]
    events = [Event(at=1.0, text=label, stage=Stage.HELD) for label in labels]
    assert list(lines(events)) == ["  1.0 s  held: 01 01/2 02-03 07 hello"]


def test_stages_far_apart_in_time_do_not_share_a_line():
    """A later event has a line of its own."""
    events = [Event(at=at, text="01", stage=Stage.HELD) for at in (1.0, 1.4, 2.0)]
    assert list(lines(events)) == ["  1.0 s  held: 01 01", "  2.0 s  held: 01"]


def test_other_stages_and_texts_have_lines_of_their_own():
    """A text, or another stage, ends a line; the order stays."""
    events = [
        Event(at=1.0, text="01", stage=Stage.HELD),
        Event(at=1.1, text="a outage"),
        Event(at=1.2, text="02", stage=Stage.HELD),
        Event(at=1.3, text="02", stage=Stage.LOST),
    ]
    assert list(lines(events)) == [
        "  1.0 s  held: 01",
        "  1.1 s  a outage",
        "  1.2 s  held: 02",
        "  1.3 s  lost: 02",
    ]
