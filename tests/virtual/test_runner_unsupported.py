"""TaskRunner: tasks of types that it cannot do, beside a runner that can."""

from __future__ import annotations

import logging
from collections import Counter
from itertools import pairwise

import anyio
import pytest

from aiodp.testing import AuditKind
from virtual.runner_kit import running

pytestmark = pytest.mark.anyio

SHELL = "ShellCommandActivity"
HADOOP = {"type": "HadoopActivity", "jarUri": "s3://nowhere/some.jar"}


def hadoop(kit):
    return kit.activity(**HADOOP)


async def nothing(task): ...


@pytest.fixture
def leaving(runner):
    """A runner of shell commands, which leaves the rest."""
    one = runner(unsupported="leave", max_concurrency=4)
    one.activity(SHELL)(nothing)
    return one


async def test_another_runner_does_what_is_left(kit, runner, leaving):
    """Nothing fails, and each task is done once, whoever gets it first."""
    worked: Counter[tuple[str, str]] = Counter()

    async def work(task):
        worked[task.type, task.pipeline_id] += 1
        await anyio.sleep(20)

    pipelines = [make(kit) for make in (hadoop, type(kit).activity) for _ in range(15)]
    other = runner()
    other.activity("HadoopActivity")(work)
    other.activity(SHELL)(work)
    async with running(leaving), running(other):
        await kit.finished(pipelines, timeout=3600)
    assert leaving.statistics().left > 0
    assert set(leaving.statistics().ended) <= {"FINISHED"}
    assert set(worked.values()) == {1}
    assert sum(count for (name, _), count in worked.items() if name == "HadoopActivity") == 15
    kit.audit.assert_single_owner()


async def test_polls_wait_longer_each_time_until_a_task_can_be_done(kit, leaving, caplog):
    """A runner which polled on would have the task nearly always; the log says it once."""
    pipelines = [hadoop(kit) for _ in range(30)]
    async with running(leaving):
        await anyio.sleep(3500)
        left = [event.at for event in kit.audit if event.kind is AuditKind.ASSIGNED]
        waits = [after - before for before, after in pairwise(left)]
        assert waits[0] <= 1
        assert 75 <= min(waits[10:]) <= max(waits[10:]) <= 150 + 1
        assert max(waits) > 120  # when it is offered again, others may have waited for longer
        assert leaving.statistics().left == len(left)
        assert leaving.statistics().received == 0
        done = kit.activity()
        await kit.finished(done, timeout=7200)
    assert {run.status for run in kit.runs(pipelines)} == {"WAITING_FOR_RUNNER"}
    [warning] = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert "is left to other runners" in warning.getMessage()
    assert warning.type == "HadoopActivity"


async def test_what_is_left_counts_as_no_task(kit, leaving):
    """`max_tasks` is for tasks that are done."""
    hadoop(kit)
    done = kit.activity()
    await leaving.run(max_tasks=1)
    assert leaving.statistics().ended == {"FINISHED": 1}
    await kit.finished(done)


async def test_once_with_a_task_that_is_left(kit, leaving):
    """There was nothing that it can do."""
    hadoop(kit)
    await leaving.run(once=True)
    assert (leaving.statistics().received, leaving.statistics().left) == (0, 1)


def test_the_choice_is_checked(runner):
    """Before anything is sent; a handler for all types leaves nothing."""
    with pytest.raises(ValueError, match="unsupported must be 'fail' or 'leave', not 'skip'"):
        runner(unsupported="skip")
    with pytest.raises(ValueError, match="leaves nothing"):
        runner(nothing, unsupported="leave")
