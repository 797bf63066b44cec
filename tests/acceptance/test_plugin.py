"""The pytest plugin, as a project sees it that uses it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from fnmatch import fnmatch
from textwrap import dedent
from threading import Thread
from threading import enumerate as enumerate_threads

import boto3
import pytest
from botocore.exceptions import BotoCoreError

from acceptance.plugin_kit import FIXTURES, INI, PLUGIN, run, run_apart
from aiodp.testing import ServerKit

pytestmark = pytest.mark.usefixtures("project")

CONNECTION = "aiodp-emulator-connection"
LONGEST_POLL = 90
"""Seconds for which the service holds a poll."""
TWO_OWNERS = {
    "http": """
        @pytest.mark.aiodp(time_scale=600)
        def test_it(aiodp_server, aiodp_client):
            def poll(hostname):
                return aiodp_client.poll_for_task(workerGroup="group", hostname=hostname)

            aiodp_server.activity("group")
            first = poll("one")["taskObject"]
            while "taskObject" not in poll("two"):
                pass
            with pytest.raises(aiodp_client.exceptions.TaskNotFoundException):
                aiodp_client.set_task_status(taskId=first["taskId"], taskStatus="FINISHED")
    """,
    "memory": """
        from aiodp.testing import virtual_time

        @virtual_time
        async def test_it(aiodp_service, aiodp_session):
            aiodp_service.activity("group")
            async with aiodp_session.create_client("datapipeline") as client:
                def poll(hostname):
                    return client.poll_for_task(workerGroup="group", hostname=hostname)

                first = (await poll("one"))["taskObject"]
                while "taskObject" not in await poll("two"):
                    pass
                with pytest.raises(client.exceptions.TaskNotFoundException):
                    await client.set_task_status(taskId=first["taskId"], taskStatus="FINISHED")
    """,
}


def test_each_test_has_a_service_of_its_own(pytester):
    """Nothing of a test reaches the next one: no call, no pipeline, no bucket, no variable."""
    body = """
        import os
        import boto3
        import pytest

        @pytest.mark.parametrize("turn", [1, 2])
        def test_it(turn, aiodp_server, aiodp_client):
            assert os.environ["AWS_ENDPOINT_URL"] == aiodp_server.endpoint
            s3 = boto3.client("s3")
            assert s3.list_buckets()["Buckets"] == []
            s3.create_bucket(Bucket="same")
            assert boto3.client("datapipeline").list_pipelines()["pipelineIdList"] == []
            aiodp_server.activity("group")
            assert aiodp_client.poll_for_task(workerGroup="group")["taskObject"]
            assert aiodp_server.calls == {("ListPipelines", "ok"): 1, ("PollForTask", "ok"): 1}

        def test_afterwards():
            assert "AWS_ENDPOINT_URL" not in os.environ
    """
    run(pytester, test_it=body).assert_outcomes(passed=3)


@pytest.mark.slow
def test_misleading_variables_are_hidden(pytester, monkeypatch):
    """The user's own profile, endpoints and default session lead no test to AWS."""
    body = """
        import os
        import boto3
        import pytest

        boto3.setup_default_session(aws_access_key_id="real", aws_secret_access_key="real")

        def test_it(aiodp_server):
            client = boto3.client("datapipeline")
            assert client.meta.endpoint_url == aiodp_server.endpoint
            assert client.meta.region_name == "us-east-1"
            assert client._request_signer._credentials.access_key == "testing"

        def test_afterwards():
            assert boto3.DEFAULT_SESSION.get_credentials().access_key == "real"
            assert os.environ["AWS_PROFILE"] == "production"
    """
    config = pytester.path / "config"
    config.write_text("[profile production]\nregion = us-west-2\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_ENDPOINT_URL_DATA_PIPELINE", "http://192.0.2.1")
    run_apart(pytester, test_it=body).assert_outcomes(passed=2)


PROFILE = """
    import os
    import boto3
    from aiodp.testing import ServerKit, virtual_time

    def test_over_http(aiodp_server, aiodp_client):
        boto3.client("s3").list_buckets()
        assert aiodp_client.list_pipelines()["pipelineIdList"] == []

    @virtual_time
    async def test_in_process(aiodp_service, aiodp_session):
        async with aiodp_session.create_client("datapipeline") as client:
            assert (await client.list_pipelines())["pipelineIdList"] == []

    def test_without_fixtures():
        given = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
        with ServerKit() as server:
            client = boto3.client(
                "s3", endpoint_url=server.endpoint, region_name="us-east-1", **given
            )
            client.list_buckets()
            client.close()
        assert os.environ["AWS_PROFILE"] == "lacking"
"""


@pytest.mark.parametrize("name", ["over_http", "in_process", "without_fixtures"])
def test_a_profile_which_the_machine_lacks(pytester, monkeypatch, name):
    """It is no matter to the local service, nor to moto beside it; each is tried as the first."""
    monkeypatch.setenv("AWS_PROFILE", "lacking")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    run(pytester, "-k", name, test_it=PROFILE).assert_outcomes(passed=1, deselected=2)


def test_the_session_in_process_has_the_markers_region(pytester, monkeypatch):
    """It goes before the environment's."""
    body = """
        import pytest
        from aiodp.testing import virtual_time

        @pytest.mark.aiodp(region_name="eu-west-1")
        @virtual_time
        async def test_it(aiodp_session):
            async with aiodp_session.create_client("datapipeline") as client:
                assert client.meta.region_name == "eu-west-1"
    """
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    run(pytester, test_it=body).assert_outcomes(passed=1)


def test_offline(pytester, monkeypatch):
    """What is made at import time reaches the service of each test, and nothing between tests."""
    pytester.makeini(f"{INI}\naiodp_offline = true\n")
    module = """
        import boto3
        client = boto3.client("datapipeline")
        s3 = boto3.client("s3")
    """
    body = """
        import boto3
        import pytest
        import module
        from botocore.exceptions import EndpointConnectionError

        def check(client):
            assert client._request_signer._credentials.access_key == "testing"
            with pytest.raises(EndpointConnectionError):
                client.list_pipelines()

        def test_before():
            check(module.client)

        @pytest.mark.parametrize("turn", [1, 2])
        def test_served(aiodp_server, turn):
            assert boto3.client("datapipeline").list_pipelines()["pipelineIdList"] == []
            aiodp_server.activity("group")
            assert module.client.poll_for_task(workerGroup="group")["taskObject"]
            assert module.s3.list_buckets()["Buckets"] == []
            module.s3.create_bucket(Bucket="same")

        def test_after():
            check(module.client)
            check(boto3.client("datapipeline"))

        def test_without_the_fixture():
            module.client.list_pipelines()

        def test_which_calls_nothing(aiodp_server):
            aiodp_server.assert_finished(aiodp_server.activity("group"))
    """
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "real")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "real")
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", "2020-01-01T00:00:00Z")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    pytester.makeconftest("import module")
    result = run(pytester, module=module, test_it=body)
    result.assert_outcomes(passed=4, failed=2)
    result.stdout.fnmatch_lines(["*does not use the fixture aiodp_server*"])
    result.stdout.fnmatch_lines(
        ["No call of a client has come to aiodp_server in the region us-east-1."]
    )


def test_a_client_which_was_made_before_the_test(pytester, monkeypatch):
    """Where it does not know the endpoint, the failed test says so and what to do."""
    module = """
        import boto3
        client = boto3.client("datapipeline", region_name="us-east-1")
    """
    body = """
        from module import client

        def test_which_sees_the_error(aiodp_server):
            client.poll_for_task(workerGroup="group")

        def test_which_sees_no_work_done(aiodp_server):
            aiodp_server.assert_finished(aiodp_server.activity("group"))

        def test_of_something_else(aiodp_server):
            assert aiodp_server.now < 0
    """
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # which is no AWS
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    result = run(pytester, module=module, test_it=body)
    result.assert_outcomes(failed=3)
    said = [line for line in result.outlines if "put aiodp_offline = true" in line]
    assert len(said) == 2


def test_a_client_at_import_without_a_region(pytester, monkeypatch):
    """The module cannot be imported, and pytest says what helps; then it does."""
    body = """
        import boto3
        client = boto3.client("datapipeline")

        def test_it(aiodp_server):
            assert client.list_pipelines()["pipelineIdList"] == []
    """
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    result = run(pytester, test_it=body)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*NoRegionError*", "*put aiodp_offline = true*"])
    pytester.makeini(f"{INI}\naiodp_offline = true\n")
    run(pytester, test_it=body).assert_outcomes(passed=1)


def test_without_offline_the_environment_is_the_users(pytester, monkeypatch):
    """A project whose other tests need AWS is left alone."""
    body = """
        import os

        def test_it():
            assert os.environ["AWS_ACCESS_KEY_ID"] == "real"
            assert "AWS_ENDPOINT_URL" not in os.environ
    """
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "real")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    run(pytester, test_it=body).assert_outcomes(passed=1)


def test_time_which_stands(pytester):
    """At a time scale of 0 only the test moves the time; waits end in real time all the same."""
    body = """
        import pytest

        @pytest.mark.aiodp(time_scale=0)
        def test_it(aiodp_server, aiodp_client):
            pipeline = aiodp_server.activity("group")
            task = aiodp_client.poll_for_task(workerGroup="group")["taskObject"]
            with pytest.raises(AssertionError, match="not FINISHED by 0 s of the service"):
                aiodp_server.wait_finished(pipeline, timeout=0.05)
            assert aiodp_server.now == 0
            deadline = aiodp_server.task(task["taskId"]).deadline
            aiodp_server.jump(deadline - 1)
            aiodp_client.report_task_progress(taskId=task["taskId"])
            aiodp_client.set_task_status(taskId=task["taskId"], taskStatus="FINISHED")
            aiodp_server.wait_finished(pipeline)
            assert aiodp_server.now == deadline - 1
    """
    run(pytester, test_it=body).assert_outcomes(passed=1)


def test_settings_of_another_kind_are_refused(pytester):
    """A mapping is no Settings, and an empty one is not overlooked."""
    body = """
        import pytest

        @pytest.mark.parametrize("given", [{}, {"poll_hold": 1}])
        def test_it(given, request):
            request.node.add_marker(pytest.mark.aiodp(settings=given))
            with pytest.raises(TypeError, match="Settings"):
                request.getfixturevalue("aiodp_service")
    """
    run(pytester, test_it=body).assert_outcomes(passed=2)


def test_options_by_marker_and_by_fixture(pytester):
    """The nearest marker decides, option by option; a marker goes before a fixture."""
    body = """
        import pytest
        from aiodp.testing import Settings

        pytestmark = pytest.mark.aiodp(time_scale=5, region_name="eu-west-1")

        @pytest.fixture
        def aiodp_settings():
            return Settings(max_retries=4)

        @pytest.fixture
        def aiodp_time_scale():
            return 7

        @pytest.mark.aiodp(time_scale=100)
        def test_near(aiodp_server, aiodp_client):
            assert aiodp_client.meta.region_name == "eu-west-1"
            assert aiodp_server.default_timeout == 3000
            with aiodp_server.service as model:
                assert model.settings.max_retries == 4

        def test_far(aiodp_server):
            assert aiodp_server.default_timeout == 150

        @pytest.mark.aiodp(settings=Settings(max_retries=1), time_scale=None)
        def test_in_process(aiodp_service):
            assert aiodp_service.service.settings.max_retries == 1
    """
    other = """
        import pytest

        @pytest.fixture
        def aiodp_time_scale():
            return 7

        def test_fixture(aiodp_server):
            assert aiodp_server.default_timeout == 210
    """
    run(pytester, test_it=body, test_other=other).assert_outcomes(passed=4)


def test_an_option_which_is_none_is_refused(pytester):
    """A misspelt option is an error of the test, which says what there is."""
    body = """
        import pytest

        @pytest.mark.aiodp(timescale=3)
        def test_misspelt(aiodp_service): pass

        @pytest.mark.aiodp(60)
        def test_nameless(aiodp_server): pass

        @pytest.mark.aiodp(time_scale=3)
        def test_of_the_other_fixture(aiodp_service): pass
    """
    result = run(pytester, test_it=body)
    result.assert_outcomes(errors=3)
    options = "idle_polls, longest_poll, region_name, settings, single_owner, time_scale"
    for said in (
        f"the marker aiodp has {options}, but not timescale",
        f"the marker aiodp has {options}, but not arguments without a name",
        "time_scale is of aiodp_server; in process, use virtual time",
    ):
        result.stdout.fnmatch_lines([said])


def test_two_owners_fail_the_test(pytester):
    """A worker that goes on with what another one has, fails a test, unless that wants it."""
    files = {
        f"test_{form}_{word}": "import pytest\n"
        f"pytestmark = pytest.mark.aiodp(single_owner={word == 'checked'})\n" + dedent(body)
        for form, body in TWO_OWNERS.items()
        for word in ("checked", "allowed")
    }
    result = run(pytester, **files)
    result.assert_outcomes(passed=4, errors=2)
    for form in TWO_OWNERS:
        result.stdout.fnmatch_lines([f"ERROR test_{form}_checked.py::test_it - *two workers had*"])
    said = "*@Activity_*: one (task *) did not acknowledge it and lost it at *, two (task *"
    lines = {line for line in result.outlines if fnmatch(line, said)}  # a summary may repeat them
    assert len(lines) == len(TWO_OWNERS)


@pytest.mark.slow
def test_without_the_extra(pytester):
    """Without moto the fixture says what to install, and the service in process works."""
    pytester.makeconftest("""
        import sys
        sys.modules["moto"] = None
    """)
    body = """
        def test_over_http(aiodp_server):
            pass

        def test_in_process(aiodp_service):
            aiodp_service.activity("group")
    """
    result = run_apart(pytester, test_it=body)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(['*aiodp_server cannot be used: *pip install "aiodp?emulator?"*'])


def test_pytest_starts_as_before():
    """The plugin imports nothing but pytest before a test asks for it."""
    heavy = {"moto", "aiobotocore", "botocore", "anyio", "asyncio", "aiodp", "aiohttp"}
    code = f"import sys, {PLUGIN}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_named_twice(pytester, monkeypatch):
    """`-p` beside the entry point is no error, and `-p no:` turns it off."""
    metadata = pytester.mkdir("installed") / "fake-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: fake\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[pytest11]\n{PLUGIN} = {PLUGIN}\n")
    monkeypatch.setenv("PYTHONPATH", str(metadata.parent))
    body = "def test_it(aiodp_settings): pass"
    run_apart(pytester, test_it=body).assert_outcomes(passed=1)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
    result = pytester.runpytest_subprocess("-p", f"no:{PLUGIN}")
    result.stdout.fnmatch_lines(["*fixture 'aiodp_settings' not found"])


@pytest.mark.slow
def test_its_fixtures_are_listed(pytester):
    """`pytest --fixtures` shows each with its first sentence, `--markers` the marker."""
    pytester.makepyfile(test_it="")
    listed = pytester.runpytest_subprocess("-p", PLUGIN, "--fixtures").stdout.str()
    for name in FIXTURES:
        assert re.search(rf"^{name} .*\n    \S+", listed, re.MULTILINE), name
    marked = pytester.runpytest_subprocess("-p", PLUGIN, "--markers").stdout.str()
    assert "@pytest.mark.aiodp(time_scale" in marked


@pytest.mark.slow
def test_processes_of_xdist_share_nothing(pytester):
    """Tests in several processes at once each have a service, a port and an S3 of their own."""
    body = """
        import boto3
        import pytest

        @pytest.mark.parametrize("turn", range(4))
        def test_it(turn, aiodp_server, aiodp_client):
            boto3.client("s3").create_bucket(Bucket="same")
            aiodp_server.activity("group")
            assert aiodp_client.poll_for_task(workerGroup="group")["taskObject"]
            assert aiodp_server.calls.total() == 1
    """
    run_apart(pytester, "-n", "2", test_it=body).assert_outcomes(passed=4)


def test_the_end_waits_for_no_worker(monkeypatch):
    """A worker amid a long poll hears that the service is gone, at once, and blocks nothing."""
    heard: list[Exception] = []

    def work() -> None:
        try:
            client.poll_for_task(workerGroup="nothing")
        except BotoCoreError as error:
            heard.append(error)

    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with ServerKit() as server:
        client = boto3.client(
            "datapipeline",
            endpoint_url=server.endpoint,
            region_name=server.region_name,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )
        worker = Thread(target=work)
        worker.start()
        while not any(thread.name == CONNECTION for thread in enumerate_threads()):
            time.sleep(0.01)
        left = time.monotonic()
    assert time.monotonic() - left < LONGEST_POLL / 3
    worker.join(timeout=LONGEST_POLL / 3)
    assert len(heard) == 1
    client.close()


def test_a_worker_amid_mock_aws_is_told(pytester):
    """Moto's own mock forgets the server's pipelines, and the failed test says so."""
    body = """
        from moto import mock_aws

        def test_it(aiodp_server):
            pipeline = aiodp_server.activity("group")
            with mock_aws():
                pass
            aiodp_server.assert_finished(pipeline)
    """
    result = run(pytester, test_it=body)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the service was reset meanwhile, as moto's mock_aws does"])
