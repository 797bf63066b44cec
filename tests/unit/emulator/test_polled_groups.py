"""Which groups are polled in vain while work of others waits unpolled."""

from __future__ import annotations

import pytest

from aiodp.emulator._model.worker_api import MAX_GROUPS, Polls
from unit.emulator.service_kit import Kit


def end_poll(kit: Kit, group: str) -> None:
    poll = kit.hold(group)
    kit.clock.move(90)
    assert poll.resume() is not None


def test_work_which_waited_during_a_whole_poll():
    """Work that came amid a poll may have had no time to be polled for; then it had."""
    kit = Kit()
    polls = kit.service.model.worker_api.polls
    poll = kit.hold("report")
    kit.pipeline(workerGroup="reports")
    kit.clock.move(90)
    assert poll.resume() is not None
    assert polls.in_vain == {}
    end_poll(kit, "report")
    assert polls.in_vain == {"report": {"reports"}}
    assert kit.poll("reports") is not None
    assert polls.in_vain == {}
    assert polls.groups == {"report", "reports"}


@pytest.mark.parametrize("group", ["first", "other"])
def test_the_latest_groups_are_remembered(group):
    """A client may make up names of groups, and a poll may end after its group is forgotten."""
    polls = Polls({"reports": {None: None}})
    unpolled = polls.begin("first", 0.0)
    polls.end_empty("first", unpolled)
    for number in range(MAX_GROUPS):
        polls.begin(f"group {number}", 1.0)
    assert len(polls.groups) == MAX_GROUPS
    assert (polls.last("first"), polls.last("group 999")) == (None, 1.0)
    polls.end_empty(group, unpolled)
    assert polls.in_vain == {}
