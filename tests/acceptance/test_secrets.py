"""No output shows a secret, though the service quotes all of a request in its answer."""

from __future__ import annotations

import json
import logging
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiobotocore.session import get_session
from botocore.awsrequest import AWSRequest
from botocore.hooks import HierarchicalEmitter

from aiodp import ProgressReporter, ReportRejected, _redaction
from aiodp._aws.secrets import remember_secrets
from aiodp._redaction import redact, remember
from aiodp.cli._doctor.checks import Target
from aiodp.cli._hold.options import Options as HoldOptions
from aiodp.cli._run.options import Options as RunOptions
from aiodp.shell._options import Options as ShellOptions

ACCESS_KEY = "ASIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
TOKEN = "IQoJb3JpZ2luX2VjEXAMPLEtoken//////////wEaCXVz" * 8 + "=="
TASK_ID = "2dRlT" + "abcdefghij" * 60 + ":1"
PASSWORD = "pass-word-of-the-url"
TOO_LONG = 60


class Quoting(BaseHTTPRequestHandler):
    """Refuses every signature as AWS does: with what it has signed, and the body too."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        signed = "\n".join(f"{name.lower()}:{value}" for name, value in self.headers.items())
        message = (
            "The request signature we calculated does not match the signature you provided. "
            f"The Canonical String for this request should have been\n'POST\n/\n\n{signed}\n'\n"
            f"body: {body} secret: {SECRET}"
        )
        content = json.dumps({"__type": "InvalidSignatureException", "message": message}).encode()
        self.send_response(400)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def endpoint():
    with ThreadingHTTPServer(("127.0.0.1", 0), Quoting) as server:
        thread = Thread(target=server.serve_forever, args=[0.02])
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def environment(clean_environment, tmp_path):
    """Temporary keys, of a profile alone."""
    keys = {
        "aws_access_key_id": ACCESS_KEY,
        "aws_secret_access_key": SECRET,
        "aws_session_token": TOKEN,
    }
    lines = [f"{name} = {value}" for name, value in keys.items()]
    (tmp_path / "credentials").write_text("\n".join(["[default]", *lines]))
    kept = {name: text for name, text in clean_environment.items() if "KEY" not in name}
    return kept | {
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def assert_silent(text: str) -> None:
    """It tells what is wrong, and nothing that must stay secret."""
    assert "InvalidSignatureException" in text
    for secret in (SECRET, TOKEN, TOKEN[:40], TASK_ID, PASSWORD):
        assert secret not in text


def test_the_doctor_shows_no_secret(commands, environment, endpoint):
    """As text and as JSON."""
    for form in ((), ("--json",)):
        done = commands.run(
            *("doctor", "--endpoint-url", endpoint, *form), env=environment, timeout=TOO_LONG
        )
        assert_silent(done.stdout)
        assert done.stderr == ""


def test_hold_shows_no_secret_and_no_whole_task_id(commands, environment, endpoint):
    """Its error line has the task's short id."""
    done = commands.run(
        *("hold", "--endpoint-url", endpoint, TASK_ID, "--", "true"),
        env=environment,
        timeout=TOO_LONG,
    )
    assert done.returncode == 123
    assert_silent(done.stderr)


def test_run_shows_no_secret(commands, environment, endpoint, tmp_path):
    """Neither on stderr nor in the file, which may be uploaded; nor the password of a URL."""
    options = ("--once", "--worker-group", "wg", "--output", tmp_path / "output")
    with_password = endpoint.replace("//", f"//user:{PASSWORD}@")
    shown = []
    for url in (endpoint, with_password):
        done = commands.run(
            *("run", *options, "--endpoint-url", url), env=environment, timeout=TOO_LONG
        )
        shown.append(done.stderr)
    [file] = (tmp_path / "output" / "logs").iterdir()
    for text in ("".join(shown), file.read_text()):
        assert_silent(text)
        assert "//***@127.0.0.1" in text


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_library_shows_no_secret(endpoint, monkeypatch, caplog):
    """In the log, in the exception, and in the traceback with its causes."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    caplog.set_level(logging.INFO, "aiodp")
    async with ProgressReporter(
        get_session(), endpoint_url=endpoint, region_name="us-east-1"
    ) as reporter:
        with pytest.raises(ReportRejected) as caught:
            async with reporter.track(TASK_ID):
                pass
    for record in caplog.records:
        assert_silent(f"{record.getMessage()} {record.__dict__}")
    assert caplog.records
    assert_silent("".join(traceback.format_exception(caught.value)))


def test_what_is_redacted(monkeypatch):
    """Secrets that were remembered, as they are and in a URL; any token and password of a URL."""
    monkeypatch.setattr(_redaction, "_secrets", {})
    remember(SECRET)
    remember("short")
    remember(None)
    quoted = SECRET.replace("/", "%2F")
    assert redact(f"a {SECRET} b {quoted} c short") == "a *** b *** c short"
    assert redact("X-Amz-Security-Token=abc%2F&x=1") == "X-Amz-Security-Token=***&x=1"
    assert redact('"x-amz-security-token": "abc/+="') == '"x-amz-security-token": "***"'
    assert (
        redact("http://user:p@ss@host:1/a@b and s3://b/k@1")
        == "http://***@host:1/a@b and s3://b/k@1"
    )
    assert redact("http://host:80/a@b, //[::1]:80/a@b") == "http://host:80/a@b, //[::1]:80/a@b"


def test_a_password_with_a_slash_is_redacted():
    """It is no URL any more, which is when it is printed: in full, and by the part before it."""
    url = "http://user:pass/word@host:1/a"
    assert redact(url) == "http://***@host:1/a"
    with pytest.raises(ValueError, match="pass") as caught:
        _ = urlsplit(url).port
    assert redact(str(caught.value)) == "Port could not be cast to integer value as ***"


def test_a_long_text_is_redacted_in_time():
    """In linear time, milliseconds: an exception of a handler may say anything, in the loop."""
    long = "a." * 200_000
    began_at = time.thread_time()
    assert redact(f"1http://user:password@host {long}") == f"1http://***@host {long}"
    assert time.thread_time() - began_at < 5  # seconds; quadratic time is 400


class Renewed:
    """Credentials that are renewed when they are looked at, as botocore's."""

    def __init__(self) -> None:
        self._secret_key = SECRET
        self._token = TOKEN

    @property
    def secret_key(self):
        raise AssertionError("nothing may be renewed for this")

    token = secret_key


def test_credentials_are_not_renewed_for_it(monkeypatch):
    """A call that is sent has what it needs, and waits for nothing more."""
    monkeypatch.setattr(_redaction, "_secrets", {})
    client: Any = SimpleNamespace(
        meta=SimpleNamespace(events=HierarchicalEmitter()),
        _request_signer=SimpleNamespace(_credentials=Renewed()),
    )
    remember_secrets(client)
    client.meta.events.emit("before-send.data-pipeline.PollForTask", request=AWSRequest())
    assert redact(f"{SECRET} {TOKEN}") == "*** ***"


def test_only_the_newest_secrets_are_remembered(monkeypatch):
    """For credentials are renewed for as long as a program runs."""
    monkeypatch.setattr(_redaction, "_secrets", {})
    for number in range(200):
        remember(f"renewed-secret-{number:03}")
    assert redact("renewed-secret-199") == "***"
    assert redact("renewed-secret-000") == "renewed-secret-000"


@pytest.mark.parametrize("cls", [RunOptions, HoldOptions, ShellOptions, Target])
def test_a_repr_of_options_shows_none_of_them(cls):
    """They hold keys, passwords, environments and addresses with passwords."""
    assert cls.__repr__ is object.__repr__


@pytest.mark.parametrize("url", [f"ftp://user:{PASSWORD}@host", f"http://user:{PASSWORD}/x@host"])
def test_an_address_that_is_refused_is_shown_without_its_password(commands, environment, url):
    """With what is wrong about it, on stderr."""
    for command in ("run", "hold", "doctor"):
        done = commands.run(command, "--endpoint", url, env=environment, timeout=TOO_LONG)
        assert done.returncode == 2
        assert PASSWORD not in done.stderr
        assert "is not of the form http[s]://HOST[:PORT]" in done.stderr
