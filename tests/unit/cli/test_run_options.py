"""The options of `aiodp run`: what they become, and what is wrong with them. Nothing is sent."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from aiobotocore.session import get_session
from click.testing import CliRunner

from aiodp import ProgressReporter, ReportRejected, TaskFailed
from aiodp.cli._main import cli
from aiodp.cli._run import handlers
from aiodp.cli._run.access import Access
from aiodp.cli._run.handlers import fail_unsupported
from aiodp.cli._run.options import OURS
from aiodp.cli._run.session import Session
from aiodp.cli._run.task_runner_options import TASK_RUNNERS
from aiodp.shell import ShellHandler
from aiodp.sql import CopyHandler, SqlHandler

SECRET = "wJalrXUtnFEMI/K7MDENG"
pytestmark = pytest.mark.usefixtures("no_aws_settings")

KEYS = ["--access-id", "AKID", "--secret-key", SECRET]
NTLM = "NTLM, which is not supported"


@pytest.fixture
def invoke(monkeypatch):
    """Calls `aiodp run` up to the start of the runner; returns the result and the sessions."""
    sessions: list[Session] = []

    async def run(session: Session) -> int:
        sessions.append(session)
        return 0

    monkeypatch.setattr(Session, "run", run)

    def call(*arguments: str, **environment: str) -> tuple[Any, list[Session]]:
        result = CliRunner().invoke(cli, ["run", *arguments], env=environment)
        return result, sessions

    return call


@pytest.fixture
def made(invoke):
    """Calls `aiodp run` with a worker group; returns the session that it would run."""

    def call(*arguments: str, **environment: str) -> Session:
        sessions: list[Session]
        result, sessions = invoke(*arguments, **{"AIODP_RUN_WORKER_GROUP": "wg"} | environment)
        assert result.exit_code == 0, result.output
        return sessions[-1]

    return call


@pytest.fixture
def refused(invoke):
    """Calls `aiodp run` with wrong options; returns the error message, in one line."""

    def call(*arguments: str, **environment: str) -> str:
        result, sessions = invoke(*arguments, **{"AIODP_RUN_WORKER_GROUP": "wg"} | environment)
        assert result.exit_code == 2, result.output
        assert not sessions
        return " ".join(result.output.split("Error: ")[1].split())

    return call


# Spellings

SPELLINGS = [
    (["--workerGroup", "--worker-group"], "g", "worker_group"),
    (["--region"], "eu-west-1", "region"),
    (["--endpoint", "--endpoint-url"], "http://h:1", "endpoint_url"),
    (["--accessId", "--accessID", "--access-id"], "AKID", "access_id"),
    (["--secretKey", "--secret-key"], SECRET, "secret_key"),
    (["--taskrunnerId", "--taskrunner-id"], "t", "taskrunner_id"),
    (["--logUri", "--log-uri"], "s3://b/k", "log_uri"),
    (["--proxyHost", "--proxy-host"], "p", "proxy_host"),
    (["--proxyPort", "--proxy-port"], "3128", "proxy_port"),
    (["--proxyUsername", "--proxy-username"], "u", "proxy_username"),
    (["--proxyPassword", "--proxy-password"], "p", "proxy_password"),
]
PARTNERS = {
    "AIODP_RUN_WORKER_GROUP": "wg",
    "AIODP_RUN_ACCESS_ID": "AKIDEXAMPLE",
    "AIODP_RUN_SECRET_KEY": SECRET,
    "AIODP_RUN_PROXY_HOST": "p",
    "AIODP_RUN_PROXY_PORT": "1",
    "AIODP_RUN_PROXY_USERNAME": "u",
    "AIODP_RUN_PROXY_PASSWORD": "p",
}


@pytest.mark.parametrize(
    ("spelling", "value", "name"),
    [(spelling, value, name) for spellings, value, name in SPELLINGS for spelling in spellings],
)
def test_both_spellings_of_an_option_are_the_same(invoke, spelling, value, name):
    """Each option of AWS's Task Runner may be given in both spellings."""
    result, sessions = invoke(spelling, value, **PARTNERS)
    assert result.exit_code == 0, result.output
    assert str(getattr(sessions[0].options, name)) == value


def test_each_option_has_an_environment_variable(invoke):
    """--help names one for each option, and each has the same prefix."""
    result, _ = invoke("--help")
    named = result.output.replace("\n", " ").count("AIODP_RUN_")
    assert named == len(TASK_RUNNERS) + len(OURS)


def test_options_come_from_the_environment(invoke):
    """A runner needs no argument; the command line overrides the environment."""
    environment = {
        "AIODP_RUN_WORKER_GROUP": "wg",
        "AIODP_RUN_TASKS": "7",
        "AIODP_RUN_ENDPOINT_URL": "http://h:1",
        "AIODP_RUN_HANDLER": "A=json:loads\nos.path:exists",
    }
    result, sessions = invoke("--tasks", "8", **environment)
    assert result.exit_code == 0, result.output
    options = sessions[0].options
    assert (options.worker_group, options.tasks) == ("wg", 8)
    assert options.endpoint_url == "http://h:1"
    assert options.handlers == ("A=json:loads", "os.path:exists")


def test_the_defaults_are_task_runners(made):
    """Two tasks at once, a directory named output, and no keys."""
    session = made()
    assert session.options.tasks == session.runner._max_concurrency == 2
    assert str(session.options.output) == "output"
    assert session.aws_session._credentials is None


# Region, keys, proxy


def test_the_region_is_the_option_s_or_the_configuration_s_or_the_default(made, monkeypatch):
    """In this order; the default is Task Runner's, us-east-1."""
    assert made().region == "us-east-1"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-southeast-2")
    assert made().region == "ap-southeast-2"
    assert made("--region", "eu-west-1").region == "eu-west-1"


def test_an_aws_configuration_that_cannot_be_read_has_the_exit_code_123(invoke, monkeypatch):
    """A profile that is not there allows no client."""
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    result, sessions = invoke("--worker-group", "wg")
    assert (result.exit_code, sessions) == (123, [])
    assert "nobody" in result.output


def write_keys(path: Any, **members: object) -> str:
    named = {name.replace("_", "-"): value for name, value in members.items()}
    path.write_text(json.dumps(named))
    return str(path)


def test_keys_come_from_a_file(made, tmp_path):
    """The file is Task Runner's; what else stands in it is left alone."""
    file = write_keys(tmp_path / "keys", access_id="FILE", private_key="secret", region="x")
    credentials = made("--config", file).aws_session._credentials
    assert (credentials.access_key, credentials.secret_key) == ("FILE", "secret")


def test_keys_of_the_command_line_override_the_file(made, tmp_path):
    """Both of them."""
    file = write_keys(tmp_path / "keys", access_id="FILE", private_key="secret")
    credentials = made("--config", file, *KEYS).aws_session._credentials
    assert (credentials.access_key, credentials.secret_key) == ("AKID", SECRET)


def test_a_key_of_the_command_line_has_no_other_half_in_the_file(refused, tmp_path):
    """The two would belong to different users, and AWS would refuse each call's signature."""
    file = write_keys(tmp_path / "keys", access_id="FILE", private_key="secret")
    assert "--access-id needs --secret-key." in refused("--config", file, *KEYS[:2])
    assert "--secret-key needs --access-id." in refused("--config", file, *KEYS[2:])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f'{{"access-id": "a", "private-key": "{SECRET}"', "is no JSON"),
        (f'["{SECRET}"]', "is no JSON object"),
        (f'{{"private-key": "{SECRET}"}}', 'needs a text "access-id"'),
        (f'{{"access-id": "{SECRET}", "private-key": 3}}', 'needs a text "private-key"'),
        (f'{{"access-id": "a", "private-key": "", "x": "{SECRET}"}}', 'needs a text "private-key"'),
    ],
)
def test_the_error_about_a_bad_file_of_keys_shows_nothing_of_it(refused, tmp_path, content, words):
    """The file may hold a secret."""
    file = tmp_path / "keys"
    file.write_text(content)
    message = refused("--config", str(file))
    assert words in message
    assert SECRET not in message


def test_a_proxy_is_for_all_clients(made):
    """It is the session's, so Data Pipeline and S3 have it; names are quoted for the URL."""
    given = ["--proxyHost", "proxy.local", "--proxyPort", "3128"]
    user = ["--proxyUsername", "us:er", "--proxyPassword", "p@ss/"]
    config = made(*given, *user).aws_session.get_default_client_config()
    url = "http://us%3Aer:p%40ss%2F@proxy.local:3128"
    assert config.proxies == {"http": url, "https": url}
    bare = made("--proxy-host", "::1", "--proxy-port", "1").aws_session.get_default_client_config()
    assert bare.proxies["https"] == "http://[::1]:1"
    assert made().aws_session.get_default_client_config() is None


def test_empty_ntlm_options_are_accepted(made):
    """Scripts may pass them empty."""
    assert made("--proxyDomain", "", "--proxyWorkstation", "")


@pytest.mark.parametrize(
    ("name", "password", "words"),
    [
        ("u", "пароль", "'--proxy-password': its character 1 cannot be in a proxy's header"),
        ("u", "a\nb", "'--proxy-password': its character 2 cannot be"),
        ("us\x7fer", "p", "'--proxy-username': its character 3 cannot be"),
    ],
)
def test_what_no_header_can_hold_is_refused_without_showing_it(refused, name, password, words):
    """Before anything is sent: the proxy would refuse each call, or the client fail."""
    proxy = ["--proxy-host", "h", "--proxy-port", "1"]
    message = refused(*proxy, "--proxy-username", name, "--proxy-password", password)
    assert words in message
    assert password == "p" or password not in message


# Wrong use


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--access-id", "AKID"], "--access-id needs --secret-key."),
        (["--secret-key", SECRET], "--secret-key needs --access-id."),
        (["--config", "nowhere"], "'nowhere' does not exist"),
        (["--proxy-host", "h"], "--proxy-host needs --proxy-port."),
        (["--proxy-port", "1"], "--proxy-port needs --proxy-host."),
        (["--proxy-username", "u"], "--proxy-username needs --proxy-host."),
        (["--proxy-password", "p"], "--proxy-password needs --proxy-username."),
        (["--proxy-host", "http://h", "--proxy-port", "1"], "'http://h' is not the name"),
        (["--proxyDomain", "d"], f"--proxy-domain is of {NTLM}"),
        (["--proxyWorkstation", "w"], f"--proxy-workstation is of {NTLM}"),
        (["--tasks", "0"], "0 is not in the range x>=1"),
        (["--max-tasks", "0"], "0 is not in the range x>=1"),
        (["--once", "--max-tasks", "1"], "--once and --max-tasks exclude each other."),
        (["--endpoint", "localhost"], "'localhost' is not of the form http[s]://HOST"),
        (["--log-uri", "b/k"], "--log-uri: 'b/k' is not of the form s3://BUCKET/KEY"),
        (["--drain-timeout", "-1"], "'-1' is not a number of seconds of at least 0"),
        (["--grace", "26"], "26 s are more than 25 s"),
        (["--grace", "1", "--time-scale", "60"], "1 s are more than 0.416667 s at --time-scale 60"),
        (["--time-scale", "1e-9"], "--grace must be from 0 to 86,400 s"),
        (["--time-scale", "0"], "'0' is not a number of seconds above 0"),
        (["--worker-group", ""], "--worker-group must be a str of 1 to 1,024 characters, not 0"),
        (["--worker-group", "g" * 1025], "not 1,025 characters"),
        (["--taskrunner-id", ""], "--taskrunner-id must be a str of 1 to 1,024 characters"),
        (["--hostname", "a\x01"], "--hostname holds the character '\\x01'"),
        (["--log-format", "xml"], "'xml' is not one of 'text', 'json'"),
        (["more"], "unexpected extra argument"),
    ],
)
def test_wrong_use_names_the_option_and_what_is_wrong(refused, tmp_path, arguments, words):
    """Exit code 2; nothing is sent, and nothing written."""
    message = refused(*arguments)
    assert words in message
    assert SECRET not in message
    assert not (tmp_path / "output").exists()


def test_an_output_that_cannot_be_made_is_wrong_use(refused, tmp_path):
    """It is checked before the first poll."""
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "logs").touch()
    assert "/output/logs cannot be written: File exists." in refused()


def test_an_output_that_others_can_change_is_wrong_use(refused, tmp_path):
    """They could put a script of theirs, or a link, where the runner's own is expected."""
    (tmp_path / "output").mkdir()
    (tmp_path / "output").chmod(0o777)
    assert (
        "/output cannot be written: every user may write in it, so it is not used; choose a folder "
        "that only you can change, such as a new one below /tmp."
    ) in refused()
    (tmp_path / "output").chmod(0o755)
    (tmp_path / "output" / "logs").mkdir()
    secret = tmp_path / "secret"
    secret.touch()
    for hour in (time.time(), time.time() + 60):
        name = time.strftime("Task Runner.log.%Y-%m-%d-%H", time.gmtime(hour))
        with suppress(FileExistsError):
            (tmp_path / "output" / "logs" / name).symlink_to(secret)
    assert "cannot be written: it is a link, which is not followed; remove it." in refused()
    assert secret.read_bytes() == b""


def test_the_worker_group_is_required(invoke):
    """There is no default."""
    result, sessions = invoke()
    assert (result.exit_code, sessions) == (2, [])
    assert "Missing option '--worker-group'" in result.output


# Handlers

MODULE = """
def work(task): ...
def more(task, extra): ...


def many(task):
    yield


class Class: ...
class Things:
    async def work(self, task): ...
    def __call__(self, task): ...
things = Things()
number = 3
"""


@pytest.fixture
def module(tmp_path, request):
    """A module in the current directory, whose name no other test uses; returns the name."""
    name = f"mine_{abs(hash(request.node.name))}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    return name


def handlers_of(session: Session) -> tuple[Any, dict[str, Any]]:
    handlers = session.runner._handlers
    rest = handlers._rest
    assert rest is not None
    return rest.handler, {
        name: registered.handler for name, registered in handlers._by_type.items()
    }


OWN = {*ShellHandler.types, *SqlHandler.types, *CopyHandler.types}


@pytest.fixture
def with_sql(monkeypatch):
    """Lets the extra `sql` seem to be installed."""
    monkeypatch.setattr(handlers, "_SQL_MODULES", ())


def test_without_handlers_those_of_the_package_have_their_types(made, with_sql):
    """It executes what Task Runner does."""
    rest, typed = handlers_of(made())
    assert rest is fail_unsupported
    assert set(typed) == OWN
    assert isinstance(typed["Exists"], ShellHandler)
    assert isinstance(typed["SqlActivity"], SqlHandler)
    assert isinstance(typed["CopyActivity"], CopyHandler)


def test_without_the_extra_sql_its_types_fail_and_say_how_to_get_it(made, monkeypatch):
    """Or they are left to others, as any type that the runner cannot do."""
    monkeypatch.setattr(handlers, "_SQL_MODULES", ("sqlalchemy", "no_such_module"))
    rest, typed = handlers_of(made())
    assert set(typed) == set(ShellHandler.types)
    for type_name in ("SqlActivity", "CopyActivity"):
        with pytest.raises(TaskFailed, match=r'pip install "aiodp\[cli,sql\]"') as failed:
            asyncio.run(rest(SimpleNamespace(type=type_name)))
        assert failed.value.error_id == "UnsupportedType"


def test_handlers_are_found_in_the_current_directory(made, module, with_sql):
    """A function, a method, a callable object; the package's own have the other types."""
    session = made(
        *("--handler", f"A={module}:work"),
        *("--handler", f"B={module}:things.work"),
        *("--handler", f"C={module}:things"),
    )
    rest, typed = handlers_of(session)
    names = {name: getattr(handler, "__name__", "object") for name, handler in typed.items()}
    assert {name: names[name] for name in "ABC"} == {
        "A": "work",
        "B": "work",
        "C": "object",
    }
    assert set(typed) - set("ABC") == OWN
    assert rest is fail_unsupported


def test_a_handler_without_a_type_has_all_other_types(made, module):
    """Shell commands too, for they have no handler of their own then."""
    rest, typed = handlers_of(made("--handler", f"{module}:work"))
    assert (rest.__name__, typed) == ("work", {})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{m}", "is not of the form [TYPE=]PACKAGE.MODULE:FUNCTION"),
        ("{m}:", "is not of the form"),
        ("A={m}.py:work", "there is no module {m}.py"),
        ("./{m}:work", "is not of the form"),
        ("={m}:work", "names no type before the ="),
        ("no_such_module_at_all:work", "there is no module no_such_module_at_all"),
        ("{m}:nothing", "module {m} has no nothing"),
        ("{m}:things.nothing", "module {m} has no things.nothing"),
        ("{m}:number", "is no function, but int"),
        ("{m}:more", "more(task, extra) cannot be called with a task alone"),
        ("{m}:many", "a handler must not be a generator"),
        ("{m}:Class", "not the class Class"),
    ],
)
def test_a_bad_handler_is_refused_before_anything_is_sent(refused, module, tmp_path, text, words):
    """The message has what is wrong with it."""
    message = refused("--handler", text.format(m=module))
    assert words.format(m=module) in message
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize("code", ["1 / 0", "import sys; sys.exit(7)", "x ="])
def test_a_module_that_cannot_be_imported_is_refused(refused, tmp_path, code):
    """With its exception, and without a traceback."""
    (tmp_path / "broken_one.py").write_text(code)
    assert "importing broken_one raises" in refused("--handler", "broken_one:f")


@pytest.mark.parametrize(("types", "what"), [(("A=", "A="), "A"), (("", ""), "all other types")])
def test_two_handlers_for_one_type_are_refused(refused, module, types, what):
    """It is not clear which one is meant."""
    first, second = (f"{type_name}{module}:work" for type_name in types)
    assert f"is the second one for {what}" in refused("--handler", first, "--handler", second)


# The runner


def test_a_lost_tasks_command_is_dead_before_the_deadline(made):
    """The margin at which a task counts as lost exceeds the grace, at any time scale."""
    for arguments in ([], ["--grace", "25"], ["--grace", "0"]):
        for scale in (1, 60):
            session = made(*(arguments if scale == 1 else []), "--time-scale", str(scale))
            timing = session.runner._reporter._timing
            grace = handlers_of(session)[1]["Exists"]._options.grace
            assert timing.safety_margin >= grace + 5 / scale
            assert timing.safety_margin < 60 / scale  # the shortest lease there is


def test_a_time_scale_divides_the_timings(made):
    """The two minutes of the service last as long as --time-scale says."""
    reporter = made("--time-scale", "60").runner._reporter
    timing, quota = reporter._timing, reporter._quota
    assert (timing.ack_timeout, timing.interval, timing.lease_timeout) == (2, 1, 5)
    assert (timing.safety_margin, timing.attempt_timeout) == (0.5, 0.5)
    assert (quota.rate, quota.burst) == (600, 100)


def test_the_time_of_a_call_is_an_option(made):
    """In real seconds, at any time scale, and as an environment variable too."""
    for session in (
        made("--attempt-timeout", "25"),
        made("--attempt-timeout", "25", "--time-scale", "60"),
        made(AIODP_RUN_ATTEMPT_TIMEOUT="25"),
    ):
        assert session.runner._reporter._timing.attempt_timeout == 25


def test_credentials_that_do_not_come_in_time_are_named(made, monkeypatch):
    """A process that gives them may hang."""
    session = made("--region", "us-east-1")
    monkeypatch.setattr(session.aws_session, "get_credentials", anyio.sleep_forever)
    monkeypatch.setattr("aiodp.cli._run.session._START_TIMEOUT", 0.01)
    with pytest.raises(ReportRejected, match=r"could be made: no credentials in 0\.01 s"):
        anyio.run(session._endpoint)


def test_without_a_time_scale_only_the_margin_differs_from_the_reporters_defaults(made):
    """It follows the grace: five seconds more."""
    expected = ProgressReporter(get_session())._timing
    assert made().runner._reporter._timing == replace(expected, safety_margin=15.0)
    assert made("--grace", "3").runner._reporter._timing == replace(expected, safety_margin=8.0)


def test_options_reach_the_runner_and_the_shell(made, tmp_path):
    """Each of them."""
    session = made(
        *("--tasks", "5", "--drain-timeout", "7", "--hostname", "here", "--taskrunner-id", "me"),
        *("--output", "out", "--log-uri", "s3://b/k", "--grace", "3", "--max-output", "99"),
    )
    runner, shell = session.runner, handlers_of(session)[1]["Exists"]._options
    assert (runner.worker_group, runner.taskrunner_id) == ("wg", "me")
    assert (runner._identity.hostname, runner._drain_timeout) == ("here", 7)
    assert runner._max_concurrency == 5
    assert (shell.output, shell.log_uri) == (tmp_path / "out", "s3://b/k")
    assert (shell.grace, shell.max_output, shell.region_name) == (3, 99, "us-east-1")


def test_the_log_s_handlers_are_removed_at_the_end(made):
    """The root logger is as before."""
    before = list(logging.getLogger().handlers)
    made()
    assert logging.getLogger().handlers == before


def test_keys_of_the_environment_are_secrets_as_well(monkeypatch):
    """Commands inherit them, and the end of their output is in the log."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-token-of-the-session")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-of-the-environment")
    secrets = set(Access(keys=None, proxy=None).secrets)
    assert secrets >= {"a-token-of-the-session", "a-secret-of-the-environment"}
