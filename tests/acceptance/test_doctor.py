"""`aiodp doctor` in a process, against the service over HTTP and against what is none."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from aiodp.emulator import EmulatorServer, Fault, FaultKind, Settings

if TYPE_CHECKING:
    from pathlib import Path

    from acceptance.commands import Commands

TOO_LONG = 60
BOUND = 50
"""Seconds: 25 that are promised, and the start of a process on a busy machine."""
CALLS = (
    "PollForTask",
    "ReportTaskProgress",
    "SetTaskStatus",
    "ReportTaskRunnerHeartbeat",
    "DescribeObjects",
    "QueryObjects",
    "EvaluateExpression",
)
CHECKS = ["region", "credentials", "endpoint", "clock", *CALLS, "quota", "tasks"]
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
GENUINE = b'{"__type":"com.amazon.setl.webservice#TaskNotFoundException","message":"none"}'


@pytest.fixture
def server():
    """The service in real time, whose polls come back at once."""
    with EmulatorServer(settings=Settings(poll_hold=0.0)) as running:
        yield running


@pytest.fixture
def service(server):
    return server.service()


@pytest.fixture
def environment(clean_environment, tmp_path):
    """Credentials of AWS's form, and nobody's configuration files."""
    return clean_environment | {
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
    }


@pytest.fixture
def run(commands: Commands, environment):
    """Runs `aiodp doctor` to its end; a variable that is None is not set."""

    def run(*arguments: str, **more: str | None) -> subprocess.CompletedProcess[str]:
        variables = {k: v for k, v in {**environment, **more}.items() if v is not None}
        done = commands.run("doctor", *arguments, env=variables, timeout=TOO_LONG)
        assert done.stderr == ""
        assert SECRET not in done.stdout
        return done

    return run


@pytest.fixture
def examine(run):
    """Runs it with `--json`; gives the exit code, and the findings by their checks."""

    def examine(*arguments: str, **more: str | None):
        done = run("--json", *arguments, **more)
        told = json.loads(done.stdout)
        assert told["ok"] is (done.returncode == 0)
        return done.returncode, {one["check"]: one for one in told["findings"]}

    return examine


def verdicts(findings, *checks: str) -> set[str]:
    return {findings[check]["verdict"] for check in checks}


# All is well


def test_all_is_well(aiodp, environment, server):
    """The installed command makes every check in its order, each with its mark; exit code 0."""
    done = subprocess.run(
        [aiodp, "doctor", "--endpoint-url", server.endpoint],
        env=environment | {"PYTHONUTF8": "1", "PYTHONWARNINGS": "error"},
        check=False,
        capture_output=True,
        text=True,
        timeout=TOO_LONG,
    )
    *lines, empty, last = done.stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"✓ {check}" for check in CHECKS]
    assert (done.returncode, done.stderr, empty) == (0, "", "")
    assert last == "Nothing to mend, no warnings."
    assert "AKIA…MPLE" in done.stdout


def test_programs_get_the_same_as_one_object(examine, server):
    """With --json, every check is there, and the environment gives options, too."""
    code, findings = examine(AIODP_DOCTOR_ENDPOINT_URL=server.endpoint, AIODP_DOCTOR_TASKS="5000")
    assert (code, list(findings)) == (0, CHECKS)
    assert findings["tasks"]["verdict"] == "warning"
    assert "5,000" in findings["tasks"]["found"]


def test_the_options_of_run_are_taken(examine, server, connect, tmp_path):
    """Keys from the file, the logs in S3, and a handler; of the probe nothing is left."""
    s3 = connect(server, "s3")
    s3.create_bucket(Bucket="doctor-logs")
    keys = tmp_path / "credentials.json"
    keys.write_text(json.dumps({"access-id": "AKIAFILEFILEFILEFILE", "private-key": SECRET}))
    code, findings = examine(
        *("--config", str(keys), "--logUri=s3://doctor-logs/runner", "--workerGroup=nobodys"),
        *("--handler", "Copy=json:loads"),
        AWS_ENDPOINT_URL=server.endpoint,
        AWS_ACCESS_KEY_ID=None,
        AWS_SECRET_ACCESS_KEY=None,
    )
    assert (code, list(findings)) == (0, [*CHECKS[:-1], "group", "log", "tasks", "handlers"])
    credentials = findings["credentials"]["found"]
    assert credentials == "from the file of --config, access key AKIA…FILE"
    assert findings["log"]["found"] == "s3://doctor-logs/runner can be written to"
    assert "Contents" not in s3.list_objects_v2(Bucket="doctor-logs")
    assert findings["group"]["verdict"] == "warning"
    assert findings["handlers"]["verdict"] == "ok"
    code, findings = examine("--logUri=s3://none/x", AWS_ENDPOINT_URL=server.endpoint)
    assert (code, findings["log"]["verdict"]) == (1, "failed")
    assert findings["log"]["mend"] == "Make the bucket none, or correct --log-uri."


@pytest.mark.slow
def test_a_poll_that_is_held_is_allowed(examine):
    """The service holds it for 90 s; the doctor does not wait for them."""
    with EmulatorServer() as server:
        started = time.monotonic()
        code, findings = examine("--endpoint-url", server.endpoint)
        taken = time.monotonic() - started
    assert (code, findings["PollForTask"]["verdict"]) == (0, "ok")
    assert "held" in findings["PollForTask"]["found"]
    assert taken < BOUND


def test_nothing_is_changed_and_the_real_worker_group_is_not_polled(examine, server, connect):
    """A task that waits in the group is there afterwards, and calls that succeed change nothing."""
    client = connect(server)
    pipeline = client.create_pipeline(name="real", uniqueId="real")["pipelineId"]
    fields = {"type": "ShellCommandActivity", "command": "true", "workerGroup": "real"}
    objects = [
        {
            "id": key,
            "name": key,
            "fields": [{"key": k, "stringValue": v} for k, v in values.items()],
        }
        for key, values in {"Default": {"scheduleType": "ondemand"}, "Work": fields}.items()
    ]
    client.put_pipeline_definition(pipelineId=pipeline, pipelineObjects=objects)
    client.activate_pipeline(pipelineId=pipeline)
    before = set(server.service().calls)
    code, findings = examine("--worker-group", "real", "--endpoint-url", server.endpoint)
    made = set(server.service().calls) - before
    assert code == 0
    assert {action for action, outcome in made if outcome == "ok"} == {
        "PollForTask",
        "ReportTaskRunnerHeartbeat",
        "ListPipelines",
        "GetPipelineDefinition",
    }
    assert findings["group"]["found"] == f"real is used by the pipeline real ({pipeline})"
    assert client.poll_for_task(workerGroup="real")["taskObject"]["pipelineId"] == pipeline


def test_types_that_another_runner_has_to_do(examine, server, connect):
    """They would be FAILED here: a warning, unless there is a handler for them."""
    client = connect(server)
    pipeline = client.create_pipeline(name="mixed", uniqueId="mixed")["pipelineId"]
    default = [{"key": "workerGroup", "stringValue": "mixed"}]
    objects = [{"id": "Default", "name": "Default", "fields": default}] + [
        {"id": kind, "name": kind, "fields": [{"key": "type", "stringValue": kind}]}
        for kind in ("HiveActivity", "ShellCommandActivity", "PigActivity")
    ]
    client.put_pipeline_definition(pipelineId=pipeline, pipelineObjects=objects)
    options = ("--worker-group", "mixed", "--endpoint-url", server.endpoint)
    found = examine(*options)[1]["group"]
    assert found["verdict"] == "warning"
    used = f"mixed is used by the pipeline mixed ({pipeline})"
    assert found["found"] == f"{used}; aiodp run does not do its HiveActivity, PigActivity"
    assert "--unsupported leave" in found["mend"]
    found = examine(*options, "--handler", "json:loads")[1]["group"]
    assert (found["verdict"], found["found"]) == ("ok", used)


# Region and credentials


def test_without_a_region_nothing_is_called(examine, server, service):
    """What to set is said, and that AWS_REGION is not read; all else that can be is checked."""
    code, findings = examine(
        "--endpoint-url", server.endpoint, AWS_DEFAULT_REGION=None, AWS_REGION="us-east-1"
    )
    assert code == 1
    assert findings["region"]["verdict"] == "failed"
    assert "AWS_DEFAULT_REGION" in findings["region"]["mend"]
    assert "AWS_REGION is set" in findings["region"]["mend"]
    assert verdicts(findings, "endpoint", "clock", "calls", "quota") == {"skipped"}
    assert verdicts(findings, "credentials", "tasks") == {"ok"}
    assert not service.calls


@pytest.mark.parametrize(
    ("arguments", "variables", "source"),
    [
        (["--region", "eu-west-1"], {}, "--region"),
        ([], {"AWS_DEFAULT_REGION": "eu-west-1"}, "AWS_DEFAULT_REGION"),
        ([], {"AWS_PROFILE": "ours"}, "the profile ours of the AWS configuration"),
    ],
)
def test_the_region_s_source_is_named(examine, server, tmp_path, arguments, variables, source):
    """The option, the variable or the profile."""
    (tmp_path / "config").write_text("[profile ours]\nregion = eu-west-1\n")
    given = {"AWS_DEFAULT_REGION": None} | variables
    code, findings = examine("--endpoint-url", server.endpoint, *arguments, **given)
    assert (code, findings["region"]["found"]) == (0, f"eu-west-1, from {source}")


def test_a_region_without_the_service_is_a_failure_unless_the_endpoint_is_another(examine, server):
    """At AWS there is nothing to be had; a local service may pretend to be anywhere."""
    code, findings = examine("--region", "eu-central-1", "--endpoint-url", server.endpoint)
    assert (code, findings["region"]["verdict"]) == (0, "warning")
    proxy = {"HTTPS_PROXY": f"http://127.0.0.1:{closed_port()}"}  # so that nobody is asked
    code, findings = examine("--region", "eu-central-1", **proxy)
    assert (code, findings["region"]["verdict"]) == (1, "failed")
    assert "us-west-2" in findings["region"]["mend"]


def test_without_credentials_endpoint_and_clock_are_checked_all_the_same(examine, server, service):
    """The unsigned call needs none; the signed ones are not made."""
    code, findings = examine(
        "--endpoint-url",
        server.endpoint,
        AWS_ACCESS_KEY_ID=None,
        AWS_SECRET_ACCESS_KEY=None,
    )
    assert code == 1
    assert findings["credentials"]["verdict"] == "failed"
    assert verdicts(findings, "endpoint", "clock") == {"ok"}
    assert verdicts(findings, "calls", "quota") == {"skipped"}
    assert set(service.calls) == {("ReportTaskProgress", "TaskNotFoundException")}


def test_broken_credentials_are_told_in_a_line(examine, server):
    """A provider's own error, without a traceback."""
    code, findings = examine("--endpoint-url", server.endpoint, AWS_SECRET_ACCESS_KEY=None)
    assert (code, findings["credentials"]["verdict"]) == (1, "failed")
    assert "AWS_SECRET_ACCESS_KEY" in findings["credentials"]["found"]


@pytest.mark.slow
def test_a_provider_that_hangs_is_given_up(examine, server, tmp_path):
    """A process that never tells its credentials costs four seconds."""
    config = "[default]\ncredential_process = sleep 100\nregion = us-east-1\n"
    (tmp_path / "config").write_text(config)
    started = time.monotonic()
    code, findings = examine(
        "--endpoint-url", server.endpoint, AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None
    )
    assert (code, findings["credentials"]["verdict"]) == (1, "failed")
    assert "within" in findings["credentials"]["found"]
    assert findings["endpoint"]["verdict"] == "ok"
    assert time.monotonic() - started < BOUND


# Faults of the service


def test_throttling_of_some_reports_is_a_warning(examine, server, service):
    """Others use up the account's calls now and then."""
    reports = frozenset({"ReportTaskProgress"})
    service.faults.add(Fault(kind=FaultKind.THROTTLE, actions=reports, every=4))
    code, findings = examine("--endpoint-url", server.endpoint)
    assert (code, findings["quota"]["verdict"]) == (0, "warning")
    assert "of 10 reports at once, 3 were throttled" in findings["quota"]["found"]


def test_throttling_of_all_reports_is_a_failure(examine, server, service):
    """No task could be acknowledged."""
    service.faults.add(Fault(kind=FaultKind.THROTTLE))
    code, findings = examine("--endpoint-url", server.endpoint)
    assert (code, findings["quota"]["verdict"]) == (1, "failed")
    assert verdicts(findings, *CALLS) == {"warning"}
    assert findings["endpoint"]["verdict"] == "ok"


def test_a_denied_call_is_named(examine, server, service):
    """One permission is missing, and all other checks are made."""
    service.faults.add(Fault(kind=FaultKind.ACCESS_DENIED, actions=frozenset({"SetTaskStatus"})))
    code, findings = examine("--endpoint-url", server.endpoint)
    assert (code, findings["SetTaskStatus"]["verdict"]) == (1, "failed")
    assert "datapipeline:SetTaskStatus" in findings["SetTaskStatus"]["mend"]
    assert verdicts(findings, *set(CHECKS) - {"SetTaskStatus"}) == {"ok"}


@pytest.mark.parametrize("action", ["PollForTask", "EvaluateExpression"])
def test_a_denial_that_may_not_matter_is_a_warning(examine, server, service, action):
    """A condition may allow the real worker group; few handlers evaluate expressions."""
    service.faults.add(Fault(kind=FaultKind.ACCESS_DENIED, actions=frozenset({action})))
    code, findings = examine("--endpoint-url", server.endpoint)
    assert (code, findings[action]["verdict"]) == (0, "warning")


def test_denied_reports_skip_the_quota(examine, server, service):
    """Refused calls would tell nothing about it."""
    service.faults.add(Fault(kind=FaultKind.ACCESS_DENIED))
    code, findings = examine("--endpoint-url", server.endpoint)
    assert (code, findings["quota"]["verdict"]) == (1, "skipped")
    assert findings["endpoint"]["verdict"] == "ok"


def test_an_expired_token_is_said(run, server, service):
    """Each call tells it, and what to do is said once."""
    service.faults.add(Fault(kind=FaultKind.EXPIRED_TOKEN))
    done = run("--endpoint-url", server.endpoint)
    assert done.returncode == 1
    assert done.stdout.count("ExpiredTokenException") == len(CALLS)
    assert done.stdout.count("Renew the credentials.") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (FaultKind.HANG, "no answer within 3 s"),
        (FaultKind.GARBAGE, "something else answers, HTTP 200"),
        (FaultKind.HTML, "something else answers, HTTP 200, text/html"),
        (FaultKind.HTML_ERROR, "something else answers, HTTP 502, text/html"),
        (FaultKind.TYPE_IN_OK, "something else answers"),
        (FaultKind.RESET, "cannot be reached"),
    ],
)
def test_what_does_not_answer_like_the_service_is_not_called_further(
    examine, server, service, kind, words
):
    """The endpoint's finding says what came instead, within the bound."""
    service.faults.add(Fault(kind=kind))
    started = time.monotonic()
    code, findings = examine("--endpoint-url", server.endpoint)
    assert time.monotonic() - started < BOUND
    assert code == 1
    assert words in findings["endpoint"]["found"]
    assert verdicts(findings, "clock", "calls", "quota") == {"skipped"}
    assert verdicts(findings, "region", "credentials", "tasks") == {"ok"}


@pytest.mark.slow
def test_a_service_that_hangs_after_the_first_answer_is_given_up(examine, server, service):
    """Each call ends within its bound, and so does a poll that only seems to be held."""
    others = frozenset(CALLS) - {"ReportTaskProgress"}
    service.faults.add(Fault(kind=FaultKind.HANG, actions=others))
    started = time.monotonic()
    code, findings = examine("--endpoint-url", server.endpoint)
    assert time.monotonic() - started < BOUND
    assert code == 1
    assert verdicts(findings, *others - {"PollForTask"}) == {"failed"}
    assert verdicts(findings, "ReportTaskProgress", "quota") == {"ok"}


# What is no service


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Page(BaseHTTPRequestHandler):
    """Answers every request alike, at another date."""

    protocol_version = "HTTP/1.1"
    status = 200
    content_type = "text/html"
    content = b"<html><title>Log in</title></html>"
    ahead = timedelta(0)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.status)
        self.send_header("Content-Type", self.content_type)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)

    def date_time_string(self, timestamp=None):  # noqa: ARG002
        return format_datetime(datetime.now(UTC) + self.ahead, usegmt=True)

    def log_message(self, *_: object):
        """Say nothing."""


@contextmanager
def serving(page: type[Page], *, context: ssl.SSLContext | None = None):
    with ThreadingHTTPServer(("127.0.0.1", 0), page) as http:
        http.handle_error = lambda *_: None  # type: ignore[method-assign]
        if context:
            http.socket = context.wrap_socket(
                http.socket, server_side=True, do_handshake_on_connect=False
            )
        thread = Thread(target=http.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"{'https' if context else 'http'}://127.0.0.1:{http.server_port}"
        finally:
            http.shutdown()
            thread.join()


def test_a_proxy_s_page_is_told_from_the_service(examine):
    """HTTP 200 with HTML, as a login page answers."""
    with serving(Page) as url:
        code, findings = examine("--endpoint-url", url)
    assert code == 1
    assert "something else answers, HTTP 200, text/html" in findings["endpoint"]["found"]
    assert "proxy" in findings["endpoint"]["mend"]


def test_a_closed_port_is_said(examine):
    """Nobody listens there."""
    code, findings = examine("--endpoint-url", f"http://127.0.0.1:{closed_port()}")
    assert code == 1
    assert "Connection refused" in findings["endpoint"]["found"]


def test_an_unknown_host_is_said(examine):
    """The top-level domain `invalid` is reserved for names that there are not (RFC 2606)."""
    code, findings = examine("--endpoint-url", "http://aiodp.invalid")
    assert (code, findings["endpoint"]["verdict"]) == (1, "failed")
    assert "aiodp.invalid" in findings["endpoint"]["found"]


def test_a_proxy_s_password_is_not_shown(examine):
    """Where connections go is said, by host and port."""
    port = closed_port()
    proxy = f"http://user:{SECRET}@127.0.0.1:{port}".replace("/K7", "K7").replace("/bP", "bP")
    code, findings = examine("--endpoint-url", "http://10.9.8.7", HTTP_PROXY=proxy)
    assert code == 1
    assert f"through the proxy 127.0.0.1:{port}" in findings["endpoint"]["found"]
    assert "wJalr" not in json.dumps(findings)


def certificate(folder: Path) -> Path:
    """A key and a certificate that it signed itself, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = folder / "self-signed.pem"
    pem = serialization.Encoding.PEM
    kind = serialization.PrivateFormat.PKCS8
    file.write_bytes(
        key.private_bytes(pem, kind, serialization.NoEncryption()) + signed.public_bytes(pem)
    )
    return file


def test_a_certificate_that_nobody_vouches_for_is_said(examine, tmp_path):
    """TLS fails, as behind a proxy that opens it, and the variable for its authority is named."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path))
    with serving(Page, context=context) as url:
        code, findings = examine("--endpoint-url", url)
    assert code == 1
    assert "TLS fails, self-signed certificate" in findings["endpoint"]["found"]
    assert "AWS_CA_BUNDLE" in findings["endpoint"]["mend"]


@pytest.mark.parametrize(
    ("ahead", "code", "verdict", "words"),
    [
        (timedelta(seconds=90), 0, "warning", "behind"),
        (timedelta(seconds=-90), 0, "warning", "ahead of"),
        (timedelta(minutes=10), 1, "failed", "behind"),
    ],
)
def test_a_skewed_clock_is_said(examine, ahead, code, verdict, words):
    """Above half a minute a warning, from 5 minutes a failure; the calls are made all the same."""
    other = {"status": 400, "content": GENUINE, "ahead": ahead}
    with serving(type("Other", (Page,), other)) as url:
        returned, findings = examine("--endpoint-url", url)
    assert (returned, findings["clock"]["verdict"]) == (code, verdict)
    assert f"{words} the service's" in findings["clock"]["found"]
    assert findings["ReportTaskProgress"]["verdict"] == "ok"


# The bound


@pytest.mark.slow
def test_a_name_server_that_hangs_cannot_hold_it_up(environment):
    """The thread that asks it is left behind; the report comes, and the process ends."""
    code = (
        "import socket, sys, threading\n"
        "socket.getaddrinfo = lambda *_, **__: threading.Event().wait()\n"
        "sys.argv = ['aiodp', 'doctor', '--region', 'us-east-1']\n"
        "from aiodp.cli import main\n"
        "sys.exit(main())\n"
    )
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=TOO_LONG,
        check=False,
    )
    assert time.monotonic() - started < BOUND
    assert (done.returncode, done.stderr) == (1, "")
    assert "no DNS answer about datapipeline.us-east-1.amazonaws.com" in done.stdout
    assert done.stdout.endswith("1 to mend, no warnings.\n")
