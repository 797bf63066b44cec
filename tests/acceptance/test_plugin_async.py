"""The pytest plugin beside the plugins that run coroutines, in real and in virtual time."""

from __future__ import annotations

import pytest

from acceptance.plugin_kit import run

pytestmark = pytest.mark.usefixtures("project")

WORKER = """
import asyncio
from aiodp import ProgressReporter, TaskStatus

async def work_once(session, group):
    async with session.create_client("datapipeline") as client:
        task = (await client.poll_for_task(workerGroup=group))["taskObject"]
    async with ProgressReporter(session) as reporter:
        async with reporter.track(task["taskId"]) as tracked:
            await tracked.set_status(TaskStatus.FINISHED)
"""
ASYNC = """
import aiodp.testing
import anyio
import pytest
from aiodp.testing import Fault, FaultKind
from worker import work_once

async def check(service, session):
    pipeline = service.activity("group")
    await anyio.sleep({seconds})
    if {seconds} > 1:  # in virtual time, where the pause before a client's own retry is no time
        service.faults.add(Fault(kind=FaultKind.SERVER_ERROR, count=1))
    await work_once(session, "group")
    await service.finished(pipeline)
    assert service.now >= {seconds}

{mark}
async def test_a_worker(aiodp_service, aiodp_session):
    await check(aiodp_service, aiodp_session)

class TestInAClass:
    {mark}
    async def test_a_worker(self, aiodp_service, aiodp_session):
        await check(aiodp_service, aiodp_session)
"""
OVER_HTTP = """
import asyncio
import pytest
from aiobotocore.session import get_session
from worker import work_once

{mark}
async def test_over_http(aiodp_server):
    pipeline = aiodp_server.activity("group")
    await aiodp_server.until(lambda: pipeline.runs)
    with pytest.raises(AssertionError, match="not held by a worker by"):
        await aiodp_server.held(pipeline, timeout=0.1)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(work_once(get_session(), "group"))
        [run] = await aiodp_server.finished(pipeline)
    assert [run] == list(await aiodp_server.ended(pipeline))
"""


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_pytest_asyncio(pytester, mode):
    """In both modes, in real time; and in virtual time without its help."""
    mark = "@pytest.mark.asyncio" if mode == "strict" else ""
    result = run(
        pytester,
        f"--asyncio-mode={mode}",
        worker=WORKER,
        test_asyncio=ASYNC.format(mark=mark, seconds=0.01),
        test_http=OVER_HTTP.format(mark=mark),
        test_virtual=ASYNC.format(mark="@aiodp.testing.virtual_time", seconds=7200),
    )
    result.assert_outcomes(passed=5)


def test_pytest_asyncio_in_virtual_time(pytester):
    """One line of a conftest.py, as the documentation has it."""
    pytester.makeconftest("""
        from aiodp.testing import VirtualTimeLoop

        def pytest_asyncio_loop_factories(config, item):
            return {"virtual": VirtualTimeLoop}
    """)
    body = """
        import asyncio

        async def test_it(aiodp_service):
            [task_id] = aiodp_service.assign()
            await asyncio.sleep(7200)
            assert aiodp_service.task(task_id).deadline is None
            assert aiodp_service.now == 7200
    """
    result = run(pytester, "--asyncio-mode=auto", test_it=body)
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize("virtual", [False, True])
def test_anyio(pytester, virtual):
    """On asyncio and on trio, in real and in virtual time."""
    if virtual:
        pytester.makeconftest("""
            import pytest
            from trio.testing import MockClock
            from aiodp.testing import VIRTUAL_TIME

            @pytest.fixture(params=[VIRTUAL_TIME, "trio"], ids=["asyncio", "trio"])
            def anyio_backend(request):
                if request.param == "trio":
                    return "trio", {"clock": MockClock(autojump_threshold=0)}
                return request.param
        """)
    tests = ASYNC.format(mark="@pytest.mark.anyio", seconds=7200 if virtual else 0.01)
    run(pytester, worker=WORKER, test_anyio=tests).assert_outcomes(passed=4)


def test_a_wait_which_is_not_awaited(pytester):
    """It fails the test, which would pass whatever became of the work."""
    body = """
        import asyncio
        from aiodp.testing import virtual_time

        def test_over_http(aiodp_server):
            aiodp_server.finished(aiodp_server.activity("group"))

        @virtual_time
        async def test_in_process(aiodp_service):
            pipeline = aiodp_service.activity("group")
            aiodp_service.held(pipeline)
            aiodp_service.until(lambda: True)

        @virtual_time
        async def test_which_waits(aiodp_service):
            pipeline = aiodp_service.activity("group")
            await aiodp_service.until(lambda: pipeline.runs)
            wait = asyncio.create_task(aiodp_service.ended(pipeline))
            await asyncio.sleep(1)
            wait.cancel()
    """
    result = run(pytester, test_it=body)
    result.assert_outcomes(passed=3, errors=2)
    said = "*not awaited, so the test has not waited for it; write*"
    result.stdout.fnmatch_lines([f"finished: {said}", f"held, until: {said}"])
