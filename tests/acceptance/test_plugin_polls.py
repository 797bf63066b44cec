"""The pytest plugin and polls that find no work, as a project sees it that uses the plugin."""

from __future__ import annotations

import pytest

from acceptance.plugin_kit import run

pytestmark = pytest.mark.usefixtures("project")

SAID = "nothing waits in 'report'; 'reports' has 1"
WORKER = """
import boto3

def work_once(worker_group):
    client = boto3.client("datapipeline")
    task = client.poll_for_task(workerGroup=worker_group).get("taskObject")
    if task is not None:
        client.set_task_status(taskId=task["taskId"], taskStatus="FINISHED")
"""


def test_a_misspelt_worker_group_fails_the_test(pytester):
    """Whether the test looks at the outcome, waits for it or neither, it says where work waits."""
    body = """
        import pytest
        from aiodp.testing import virtual_time
        from worker import work_once

        pytestmark = pytest.mark.aiodp(longest_poll=0.05)

        def test_which_asserts(aiodp_server):
            pipeline = aiodp_server.activity("reports")
            work_once("report")
            aiodp_server.assert_finished(pipeline)

        def test_which_waits(aiodp_server, monkeypatch):
            monkeypatch.setattr("aiodp.testing._vain_polls.PATIENCE", 0.05)
            pipeline = aiodp_server.activity("reports")
            work_once("report")
            aiodp_server.wait_finished(pipeline)

        def test_which_polls_for_ever(aiodp_server, monkeypatch):
            monkeypatch.setattr("aiodp.testing._vain_polls.PATIENCE", 0.05)
            aiodp_server.activity("reports")
            while True:
                work_once("report")

        @virtual_time
        async def test_which_polls_for_ever_in_process(aiodp_service, aiodp_session, monkeypatch):
            monkeypatch.setattr("aiodp.testing._vain_polls.PATIENCE", 0.05)
            aiodp_service.activity("reports")
            async with aiodp_session.create_client("datapipeline") as client:
                while True:
                    await client.poll_for_task(workerGroup="report")

        def test_which_does_not_look(aiodp_server):
            aiodp_server.activity("reports")
            work_once("report")
    """
    result = run(pytester, worker=WORKER, test_it=body)
    result.assert_outcomes(failed=4, passed=1, errors=5)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_which_does_not_look*", SAID])
    result.stdout.fnmatch_lines(["*not all of the work has FINISHED*", "*", f"E *{SAID}"])
    result.stdout.fnmatch_lines(["*not FINISHED by * s of the service*", "*", f"E *{SAID}"])
    refused = f"operation: {SAID}"  # the summary repeats it, where pytest finds itself in a CI
    assert sum(line.startswith("E ") and refused in line for line in result.outlines) == 2


def test_polls_which_are_no_mistake(pytester):
    """Groups polled in turn, groups with work of their own, and a test that says so, pass."""
    body = """
        import pytest
        from worker import work_once

        pytestmark = pytest.mark.aiodp(longest_poll=0.05)

        def test_in_turn(aiodp_server):
            pipeline = aiodp_server.activity("low")
            for group in ("high", "middle", "low"):
                work_once(group)
            aiodp_server.assert_finished(pipeline)

        def test_the_first_of_two_steps(aiodp_server):
            steps = [
                {"id": "Default", "scheduleType": "ondemand"},
                {"id": "First", "type": "ShellCommandActivity", "command": "true",
                 "workerGroup": "one"},
                {"id": "Second", "type": "ShellCommandActivity", "command": "true",
                 "workerGroup": "two", "dependsOn": {"ref": "First"}},
            ]
            aiodp_server.pipeline({"objects": steps})
            for group in ("one", "one"):
                work_once(group)

        @pytest.mark.aiodp(idle_polls=True)
        def test_which_means_it(aiodp_server):
            aiodp_server.activity("other")
            work_once("group")
    """
    run(pytester, worker=WORKER, test_it=body).assert_outcomes(passed=3)


def test_no_poll_meets_the_read_timeout(pytester):
    """By default a poll without work is answered long before botocore's 60 s, unless wanted."""
    body = """
        import pytest
        from aiodp.testing import Settings

        def hold(kit):
            with kit._model() as service:
                return service.settings.poll_hold

        def test_over_http(aiodp_server):
            assert hold(aiodp_server) == 5

        def test_in_process(aiodp_service):
            assert hold(aiodp_service) == 20

        @pytest.mark.aiodp(time_scale=60, settings=Settings(max_retries=0))
        def test_faster(aiodp_server):
            assert hold(aiodp_server) == 90

        @pytest.mark.aiodp(settings=Settings(poll_hold=0.2))
        def test_shorter(aiodp_server):
            assert hold(aiodp_server) == 0.2

        @pytest.mark.aiodp(longest_poll=None)
        def test_as_aws_does(aiodp_server, aiodp_service):
            assert hold(aiodp_server) == hold(aiodp_service) == 90

        @pytest.mark.aiodp(time_scale=0)
        def test_time_which_stands(aiodp_server):
            assert hold(aiodp_server) == 90
    """
    run(pytester, test_it=body).assert_outcomes(passed=6)
