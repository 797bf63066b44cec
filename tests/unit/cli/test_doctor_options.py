"""What `aiodp doctor` does with the options of `aiodp run`, without a network."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import anyio
import click
import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner

from aiodp.cli._doctor import command, group, log
from aiodp.cli._doctor.command import doctor
from aiodp.cli._doctor.findings import Finding, Verdict, summary
from aiodp.cli._doctor.group import check_group
from aiodp.cli._doctor.handlers import check_handlers
from aiodp.cli._doctor.log import check_log
from aiodp.cli._run.command import run
from aiodp.shell._uri import S3Uri

if TYPE_CHECKING:
    from aiodp.cli._doctor.checks import Target

OK, WARNING, FAILED, SKIPPED = Verdict
SECRET = "wJalrXUtnFEMI/K7MDENG"
pytestmark = pytest.mark.usefixtures("no_aws_settings")


def refused(code: str, operation: str = "PutObject") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "words"}}, operation)


# Options


@pytest.fixture
def target(monkeypatch):
    """Calls `aiodp doctor` up to the first check; returns what it would check."""
    targets: list[Target] = []

    async def check(target: Target, report: Any) -> None:
        targets.append(target)

    monkeypatch.setattr(command, "run_checks", check)

    def call(*arguments: str, **environment: str) -> Target:
        done = CliRunner().invoke(
            doctor, arguments, env=environment, auto_envvar_prefix="AIODP_DOCTOR"
        )
        assert done.exit_code == 0, done.output
        return targets[-1]

    return call


def test_a_whole_command_line_of_run_is_taken(target):
    """With the options of which nothing can be checked, too; of these no variable is read."""
    given = ["--worker-group=g", "--tasks=7", "--max-tasks=1", "--unsupported=leave"]
    given += ["--output=out", "--health=8080", "--time-scale=60", "--no-table", "--hostname=h"]
    checked = target(*given, AIODP_DOCTOR_OUTPUT="", AIODP_RUN_MAX_TASKS="none")
    assert (checked.worker_group, checked.tasks) == ("g", 7)
    refusal = CliRunner().invoke(doctor, ["--max-tasks=none"])
    assert "Invalid value for '--max-tasks'" in refusal.output + str(refusal.exception)
    assert "--max-tasks" not in CliRunner().invoke(doctor, ["--help"]).output


def test_its_options_are_those_of_run():
    """Spelled, typed and checked alike; what says how AWS is called is checked, none is refused."""
    ours = {one.name: one for one in doctor.params if isinstance(one, click.Option)}
    theirs = {one.name: one for one in run.params if isinstance(one, click.Option)}
    for name, option in ours.items():
        if name != "json_wanted":
            assert option.opts == theirs[name].opts
            assert type(option.type) is type(theirs[name].type)
            assert option.hidden or option.type is theirs[name].type
            assert option.default == theirs[name].default
    of_processes = {"output", "taskrunner_id", "hostname", "once", "max_tasks", "drain_timeout"}
    of_processes |= {"attempt_timeout", "grace", "max_output", "log_format", "table", "time_scale"}
    assert theirs.keys() == ours.keys() - {"json_wanted"}
    unused = {name for name, option in ours.items() if option.hidden}
    assert unused == of_processes | {"unsupported", "health"}


async def keys_of(target: Target) -> tuple[str, str]:
    found: Any = await target.session.get_credentials()
    return found.access_key, found.secret_key


def test_keys_of_the_file_and_of_the_options_are_used(target, tmp_path):
    """Where they come from is said, and they are signed with."""
    config = tmp_path / "credentials.json"
    config.write_text(json.dumps({"access-id": "AKIDFILE", "private-key": SECRET}))
    one = target("--config", str(config))
    assert anyio.run(keys_of, one) == ("AKIDFILE", SECRET)
    assert one.keys is not None
    assert one.keys.source == "the file of --config"
    other = target("--accessId", "AKIDOPTION", "--secretKey", SECRET)
    assert anyio.run(keys_of, other) == ("AKIDOPTION", SECRET)


def test_a_proxy_of_the_options_is_used(target):
    """As `aiodp run` uses it."""
    found = target("--proxyHost", "p", "--proxyPort", "3128").session.get_default_client_config()
    assert found.proxies == {"http": "http://p:3128", "https": "http://p:3128"}


def test_what_the_environment_says_to_run_counts(target):
    """A machine that is set up for `aiodp run` is examined as it is; our own variables go first."""
    environment = {
        "AIODP_RUN_WORKER_GROUP": "theirs",
        "AIODP_RUN_TASKS": "7",
        "AIODP_DOCTOR_TASKS": "8",
        "AIODP_RUN_HANDLER": "A=json:loads\nos.path:exists",
    }
    found = target(**environment)
    assert (found.worker_group, found.tasks) == ("theirs", 8)
    assert found.handlers.found == "can be imported, for all other types, A"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--log-uri", "b/k"], "--log-uri: 'b/k' is not of the form s3://BUCKET/KEY."),
        (["--access-id", "AKID"], "--access-id needs --secret-key."),
        (["--proxy-host", "p"], "--proxy-host needs --proxy-port."),
        (["--config", "nowhere"], "'nowhere' does not exist"),
    ],
)
def test_wrong_use_is_what_run_calls_so(arguments, words):
    """Nothing is checked then."""
    done = CliRunner().invoke(doctor, arguments)
    assert done.exit_code == 2
    assert words in " ".join(done.output.split())


# Handlers


def test_handlers_are_imported(monkeypatch, tmp_path, capsys):
    """The types are named; what modules print does not stand among the findings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("doctor_jobs.py").write_text("print('hello')\ndef work(task): ...\n")
    assert check_handlers(()) is None
    found = check_handlers(["Hive=doctor_jobs:work", "Copy=doctor_jobs:work"])
    assert found == Finding.ok("handlers", "can be imported, for Copy, Hive")
    assert capsys.readouterr().out == ""
    with click.Context(doctor):
        missing = check_handlers(["Hive=doctor_jobs:rest"])
    assert missing is not None
    assert missing.verdict is FAILED
    assert "module doctor_jobs has no rest" in missing.found


# The address of the logs


class Bucket:
    """A client of S3, and the session that makes it."""

    def __init__(self, *, put: Any = None, delete: Any = None) -> None:
        self.objects: list[str] = []
        self._put, self._delete = put, delete

    def create_client(self, service: str, **_: object) -> Bucket:
        assert service == "s3"
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def put_object(self, **where: Any) -> None:
        if self._put is not None:
            raise self._put
        self.objects.append(f"{where['Bucket']}/{where['Key']}")

    async def delete_object(self, **where: Any) -> None:
        if self._delete is not None:
            raise self._delete
        self.objects.remove(f"{where['Bucket']}/{where['Key']}")


def probed(bucket: Any) -> Finding:
    uri = S3Uri.parse("s3://logs/runner")

    async def check() -> Finding:
        return await check_log(bucket, uri, region="r", name="probe")

    return anyio.run(check)


def test_a_probe_is_written_and_deleted():
    """Nothing of it is left."""
    bucket = Bucket()
    assert probed(bucket) == Finding.ok("log", "s3://logs/runner can be written to")
    assert bucket.objects == []


@pytest.mark.parametrize(
    ("error", "mend"),
    [
        (refused("AccessDenied"), "Allow s3:PutObject on s3://logs/runner/*."),
        (refused("NoSuchBucket"), "Make the bucket logs, or correct --log-uri."),
        (refused("ExpiredToken"), "Renew the credentials."),
        (refused("InvalidAccessKeyId"), "The access key is unknown there"),
        (refused("RequestTimeTooSkewed"), "Let this machine's clock be set"),
        (refused("Other"), "See --log-uri"),
        (TimeoutError(), "Let this machine connect to S3"),
        (OSError("refused"), "Let this machine connect to S3"),
    ],
)
def test_a_probe_that_cannot_be_written_is_a_failure(error, mend):
    """What to do depends on why."""
    found = probed(Bucket(put=error))
    assert found.verdict is FAILED
    assert found.found.startswith("s3://logs/runner cannot be written to: ")
    assert found.mend.startswith(mend)


def test_a_probe_that_cannot_be_deleted_is_named():
    """The logs can be written all the same."""
    bucket = Bucket(delete=refused("AccessDenied", "DeleteObject"))
    found = probed(bucket)
    assert found.verdict is WARNING
    assert "the probe s3://logs/runner/probe could not be deleted: AccessDenied" in found.found


def test_a_client_that_cannot_be_made_is_a_failure():
    """Such as one for an endpoint that is none."""

    class Broken(Bucket):
        def create_client(self, service: str, **_: object) -> Bucket:  # noqa: ARG002
            raise ValueError("Invalid endpoint")

    assert "Invalid endpoint" in probed(Broken()).found


def test_s3_that_does_not_answer_is_waited_for_in_bounds(monkeypatch):
    """Both calls have their limits."""
    monkeypatch.setattr(log, "PUT_TIMEOUT", 0.0)

    class Silent(Bucket):
        async def put_object(self, **_: Any) -> None:
            await anyio.sleep_forever()

    assert "cannot be written to: no answer" in probed(Silent()).found


# The worker group


class Pipelines:
    """A client of Data Pipeline with pipelines of which each names a worker group."""

    def __init__(self, *groups: str, page: int = 2) -> None:
        self.groups = groups
        self.asked = 0
        self.page = page

    async def list_pipelines(self, marker: str = "0") -> dict[str, Any]:
        start, end = int(marker), int(marker) + self.page
        return {
            "pipelineIdList": [
                {"id": f"df-{number}", "name": f"pipeline {number}"}
                for number in range(len(self.groups))[start:end]
            ],
            "hasMoreResults": end < len(self.groups),
            "marker": str(end),
        }

    async def get_pipeline_definition(self, pipelineId: str) -> dict[str, Any]:  # noqa: N803
        self.asked += 1
        number = int(pipelineId.removeprefix("df-"))
        field = {"key": "workerGroup", "stringValue": self.groups[number]}
        return {
            "pipelineObjects": [{"id": "A", "name": "A", "fields": [field]}],
            "parameterObjects": [
                {"id": "myA", "attributes": [{"key": "default", "stringValue": "by default"}]},
                {"id": "myB", "attributes": [{"key": "default", "stringValue": "not this"}]},
            ],
            "parameterValues": [{"id": "myB", "stringValue": "by value"}],
        }


def looked_for(client: Any, name: str) -> Finding:
    return anyio.run(check_group, client, name, None)


@pytest.mark.parametrize(
    ("named", "name"), [("reports", "reports"), ("#{myA}", "by default"), ("#{myB}", "by value")]
)
def test_a_group_that_a_pipeline_names_is_in_use(named, name):
    """By itself or by a parameter; on the last of several pages, too."""
    found = looked_for(Pipelines("a", "b", "c", "d", named), name)
    assert found == Finding.ok("group", f"{name} is used by the pipeline pipeline 4 (df-4)")


def test_a_group_that_nobody_names_is_a_warning():
    """One that is spelled nearly so is named."""
    found = looked_for(Pipelines("Reports", "copies", "#{x}"), "reports")
    assert found.verdict is WARNING
    assert found.found == "reports is used by no pipeline of this account and region (3)"
    assert found.mend.startswith("Is it Reports? Check its spelling")
    none = looked_for(Pipelines(), "reports")
    assert none.mend.startswith("Check its spelling")


def test_not_more_than_the_account_can_spare_is_asked_for():
    """The rest is said not to be looked at; one that is found ends it."""
    many = Pipelines(*["x"] * 60)
    found = looked_for(many, "reports")
    assert many.asked == group._MAX_PIPELINES
    assert "(50 of 60, the rest was not looked at)" in found.found
    first = Pipelines(*["reports"] * 60)
    assert looked_for(first, "reports").verdict is OK
    assert first.asked <= group._AT_ONCE


@pytest.mark.parametrize("method", ["list_pipelines", "get_pipeline_definition"])
def test_pipelines_that_cannot_be_read_tell_nothing(method):
    """A task runner needs no such permission, so that is nothing to mend."""
    client = Pipelines("a", "b", "c")

    async def refuse(**_: object) -> None:
        raise refused("AccessDeniedException", "ListPipelines")

    setattr(client, method, refuse)
    found = looked_for(client, "reports")
    assert found.verdict is SKIPPED
    assert found.found.endswith("as no task runner needs to: AccessDeniedException: words")
    assert summary([found]) == "Nothing to mend, no warnings."


def test_the_search_ends_in_time(monkeypatch):
    """What was not looked at then is said."""
    monkeypatch.setattr(group, "GROUP_TIMEOUT", 0.05)

    class Slow(Pipelines):
        async def get_pipeline_definition(self, pipelineId: str) -> dict[str, Any]:  # noqa: N803
            await anyio.sleep_forever()
            return await super().get_pipeline_definition(pipelineId)

    assert "(0 of 3, the rest was not looked at)" in looked_for(Slow("a", "b", "c"), "r").found
