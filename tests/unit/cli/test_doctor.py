"""What `aiodp doctor` makes of what it sees, without a network."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial

import anyio
import pytest
from aiobotocore.session import AioSession
from botocore.exceptions import ClientError, NoCredentialsError
from click.testing import CliRunner

from aiodp._aws.advice import DENIED, REMEDIES
from aiodp._aws.errors import CODES, TIMED_OUT, outcome_of
from aiodp._types import Outcome, ReportKind
from aiodp.cli._doctor.calls import FakeNames, call_finding, check_calls, poll_finding
from aiodp.cli._doctor.clock import check_clock, skew, skew_finding
from aiodp.cli._doctor.command import doctor
from aiodp.cli._doctor.credentials import credentials_finding, shorten_key
from aiodp.cli._doctor.endpoint import Answer, is_of_service
from aiodp.cli._doctor.findings import Finding, Verdict, Writer, as_json, summary
from aiodp.cli._doctor.quota import check_tasks, quota_finding

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
OK, WARNING, FAILED, SKIPPED = Verdict
KEY = "AKIAIOSFODNN7EXAMPLE"


def refused(code: str) -> Outcome:
    response = {"Error": {"Code": code, "Message": "words"}}
    return outcome_of(ClientError(response, "ReportTaskProgress"))


def answer(status: int = 400, body: bytes = b"", **headers: str) -> Answer:
    return Answer(status=status, headers=headers, body=body, sent_at=100.0, received_at=101.0)


# Findings


def test_a_finding_is_a_line_and_what_to_mend_another():
    """A mark, the check, what it found; below it what to mend; both without line breaks."""
    finding = Finding(check="clock", verdict=FAILED, found="an hour\n late", mend="Set  it.")
    assert Writer("utf-8").lines(finding) == "✗ clock: an hour late\n    → Set it."


def test_what_others_said_has_no_escape_codes():
    """An answer of a proxy, such as its error's text, prints as one line of printable text."""
    finding = Finding.failed("calls", "so it said:\n\x1b[2J\x9b31m", "Ask\u202e it.")
    expected = "x calls: so it said: \\x1b[2J\\x9b31m\n    -> Ask\\u202e it."
    assert Writer("ascii").lines(finding) == expected


def test_what_to_mend_is_written_once():
    """Eight calls that fail for one reason do not repeat what to do."""
    writer = Writer("utf-8")
    lines = [
        writer.lines(Finding(check=check, verdict=FAILED, found="denied", mend="Allow it."))
        for check in ("one", "two")
    ]
    assert lines == ["✗ one: denied\n    → Allow it.", "✗ two: denied"]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_the_marks_gets_plain_ones(encoding):
    """No mark is a question mark, and nothing fails to be encoded."""
    writer = Writer(encoding)
    lines = [
        writer.lines(Finding(check="c", verdict=verdict, found="…", mend=f"m{verdict}"))
        for verdict in Verdict
    ]
    assert [line[0] for line in lines] == ["+", "!", "x", "-"]
    assert all("->" in line and line.encode(encoding) for line in lines)


@pytest.mark.parametrize(
    ("verdicts", "text", "ok"),
    [
        ([OK, SKIPPED], "Nothing to mend, no warnings.", True),
        ([OK, WARNING], "Nothing to mend, 1 warning.", True),
        ([WARNING, FAILED, WARNING], "1 to mend, 2 warnings.", False),
    ],
)
def test_the_last_line_has_the_numbers_of_failures_and_warnings(verdicts, text, ok):
    """Warnings and skipped checks are no failures, in the text and for programs."""
    findings = [
        Finding(check="c", verdict=verdict, found="f", mend=f"mend {number}")
        for number, verdict in enumerate(verdicts)
    ]
    assert summary(findings) == text
    told = json.loads(as_json(findings))
    assert told["ok"] is ok
    assert told["findings"][0] == {
        "check": "c",
        "verdict": verdicts[0].value,
        "found": "f",
        "mend": "mend 0",
    }


def test_one_cause_counts_once():
    """What has the same remedy: as a failure if it is one of any, and else as a warning."""
    mends = [(WARNING, "a"), (FAILED, "a"), (FAILED, "a"), (WARNING, "b"), (WARNING, "b")]
    findings = [
        Finding(check="c", verdict=verdict, found=f"{number}", mend=mend)
        for number, (verdict, mend) in enumerate(mends)
    ]
    assert summary(findings) == "1 to mend, 1 warning."
    others = [Finding.failed("one", "a fault"), Finding.failed("other", "a fault")]
    assert summary([*findings, *others]) == "3 to mend, 1 warning."


async def calls_checked(code: str, *, skewed: bool = False) -> list[Finding]:
    """Return the findings about calls that are all refused with this code."""

    class Client:
        def __getattr__(self, name: str):
            async def refuse(**_: object) -> None:
                raise ClientError({"Error": {"Code": code, "Message": "words"}}, "PollForTask")

            return refuse

    findings: list[Finding] = []
    await check_calls(
        Client(), FakeNames(), worker_group="w", skewed=skewed, report=findings.append
    )
    return findings


def test_calls_that_are_all_denied_have_one_cause():
    """One permission is to be given, which names them all, and which of them only some need."""
    findings = anyio.run(calls_checked, "AccessDeniedException")
    assert [finding.verdict for finding in findings] == [WARNING, *[FAILED] * 3, *[WARNING] * 3]
    assert summary(findings) == "1 to mend, no warnings."
    [mend] = {finding.mend for finding in findings}
    assert mend == (
        "Allow datapipeline:PollForTask, datapipeline:ReportTaskProgress, "
        "datapipeline:SetTaskStatus, datapipeline:ReportTaskRunnerHeartbeat on resource *; "
        "handlers that ask about their pipeline need datapipeline:DescribeObjects, "
        "datapipeline:QueryObjects, datapipeline:EvaluateExpression as well."
    )


@pytest.mark.parametrize("code", ["InvalidSignatureException", "RequestExpired"])
def test_signatures_that_the_clock_explains_are_mended_with_it(code):
    """They are no causes of their own, beside a clock which is known to be wrong."""
    clock = skew_finding(4000)
    findings = anyio.run(partial(calls_checked, code, skewed=True))
    assert {finding.mend for finding in findings} == {clock.mend}
    assert summary([clock, *findings]) == "1 to mend, no warnings."
    alone = anyio.run(calls_checked, code)
    assert {finding.mend for finding in alone} == {REMEDIES[code]}


def test_a_quota_that_others_use_up_is_one_cause():
    """Whether it is seen in the calls or in the burst."""
    throttled = anyio.run(calls_checked, "ThrottlingException")
    assert summary(throttled) == "Nothing to mend, 1 warning."
    quota = quota_finding(throttled=10, let_through=0)
    assert summary([*throttled, quota]) == "1 to mend, no warnings."


# Credentials


def test_an_access_key_is_shortened():
    """Enough is left to tell keys apart."""
    assert shorten_key(KEY) == "AKIA…MPLE"


@pytest.mark.parametrize(
    "secret", ["wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "testing", "A" * 15]
)
def test_a_text_that_is_not_an_access_key_is_not_shown(secret):
    """It may be the secret key, in the wrong variable."""
    shown = shorten_key(secret)
    assert shown == f"of {len(secret)} characters, which is not of AWS's form"


@pytest.mark.parametrize(
    ("method", "temporary", "minutes", "verdict", "words"),
    [
        ("env", False, None, OK, "from environment variables, access key AKIA…MPLE"),
        ("env", True, None, WARNING, "nothing says until when"),
        ("iam-role", True, 5, OK, "expire in 5 min, at 2026-01-01 12:05 UTC and are renewed"),
        ("env", True, 5, WARNING, "expire in 5 min"),
        ("env", True, 60, OK, "expire in 60 min, at 2026-01-01 13:00 UTC"),
        ("env", True, -1, FAILED, "expired at 2026-01-01 11:59 UTC"),
        ("sso", True, None, OK, "from IAM Identity Center"),
        ("a-new-one", True, None, OK, "from a-new-one"),
    ],
)
def test_credentials_are_judged_by_who_renews_them(method, temporary, minutes, verdict, words):
    """Temporary ones that nobody renews end before a task runner does."""
    expires = None if minutes is None else NOW + timedelta(minutes=minutes)
    finding = credentials_finding(
        method=method, access_key=KEY, temporary=temporary, expires=expires, now=NOW
    )
    assert finding.verdict is verdict
    assert words in finding.found
    assert bool(finding.mend) is (verdict is not OK)


# Clock


@pytest.mark.parametrize(
    ("date", "seconds"),
    [(100.0, 0.0), (99.5, 0.0), (101.0, 0.0), (161.0, -60.0), (39.0, 60.0), (99.0, 0.0)],
)
def test_skew_is_what_the_times_of_a_call_cannot_explain(date, seconds):
    """The answer took a second, and a date has whole ones: neither counts as skew."""
    assert skew(date, sent_at=100.0, received_at=101.0) == seconds


@pytest.mark.parametrize(
    ("seconds", "verdict"),
    [(0, OK), (30, OK), (-30, OK), (31, WARNING), (-299, WARNING), (300, FAILED), (-4000, FAILED)],
)
def test_skew_is_judged_by_what_signatures_allow(seconds, verdict):
    """A warning above half a minute, a failure from five minutes on, in both directions."""
    finding = skew_finding(seconds)
    assert finding.verdict is verdict
    assert ("ahead of" in finding.found) is (seconds > 0)
    assert ("behind" in finding.found) is (seconds < 0)


@pytest.mark.parametrize("date", [None, "yesterday"])
def test_an_answer_without_a_date_is_a_warning(date):
    """The clock may be right."""
    assert check_clock(answer(**({} if date is None else {"date": date}))).verdict is WARNING


def test_the_date_header_is_compared():
    """The epoch's first minutes, against a local clock that agrees."""
    assert check_clock(answer(date="Thu, 01 Jan 1970 00:01:40 GMT")).verdict is OK
    assert check_clock(answer(date="Thu, 01 Jan 1970 00:31:40 GMT")).verdict is FAILED


# Endpoint


@pytest.mark.parametrize(
    ("status", "body", "genuine"),
    [
        (400, b'{"__type":"x#TaskNotFoundException","message":"m"}', True),
        (403, b'{"__type":"MissingAuthenticationTokenException"}', True),
        (200, b'{"canceled":false}', True),
        (200, b"<html>Log in</html>", False),
        (502, b"<html>Bad gateway</html>", False),
        (200, b"", False),
        (200, b"[]", False),
        (200, b'{"__type":"x#InternalServiceError"}', False),
        (403, b'{"error":"blocked by policy"}', False),
        (400, b"\xff\xfe", False),
    ],
)
def test_the_answer_of_a_proxy_is_not_taken_for_the_service_s(status, body, genuine):
    """The service speaks JSON, and names an error exactly when the status says so."""
    assert is_of_service(answer(status, body)) is genuine


# Calls


def test_invented_names_have_the_service_s_form():
    """A pipeline's id is df- with upper-case letters and digits; names are not used twice."""
    one, other = FakeNames(), FakeNames()
    assert one.pipeline_id.startswith("df-")
    assert one.pipeline_id[3:].isalnum()
    assert one.pipeline_id.isascii()
    assert one.pipeline_id[3:] == one.pipeline_id[3:].upper()
    assert one.name != other.name
    assert one.name.startswith("aiodp-doctor-")


@pytest.mark.parametrize("code", CODES[ReportKind.REFUSED])
def test_a_call_that_is_refused_for_an_unknown_task_is_allowed(code):
    """The service checks the permissions first."""
    assert call_finding("SetTaskStatus", refused(code), required=True).verdict is OK


@pytest.mark.parametrize(("required", "verdict"), [(True, FAILED), (False, WARNING)])
def test_a_denied_call_is_named_with_its_permission(required, verdict):
    """What every task needs is a failure; what some handlers ask is a warning."""
    finding = call_finding("QueryObjects", refused("AccessDeniedException"), required=required)
    assert finding.verdict is verdict
    assert "datapipeline:QueryObjects" in finding.mend


@pytest.mark.parametrize("code", sorted({*CODES[ReportKind.CONFIGURATION]} - DENIED))
def test_refused_credentials_are_a_failure_with_a_hint(code):
    """Each code of the transport's table says what to do."""
    finding = call_finding("ReportTaskProgress", refused(code), required=False)
    assert finding.verdict is FAILED
    assert code in finding.found
    assert finding.mend


@pytest.mark.parametrize(
    "code", ["ThrottlingException", "InvalidRequestException", "InternalFailure"]
)
def test_an_answer_without_regard_to_permissions_is_a_warning(code):
    """The call may be allowed or not."""
    finding = call_finding("SetTaskStatus", refused(code), required=True)
    assert finding.verdict is WARNING
    assert "not known" in finding.found


@pytest.mark.parametrize("outcome", [TIMED_OUT, refused("SomethingNew"), outcome_of(ValueError())])
def test_a_call_without_an_answer_of_the_service_is_a_failure(outcome):
    """Timeouts, unknown errors and broken answers would meet a task runner as well."""
    assert call_finding("SetTaskStatus", outcome, required=True).verdict is FAILED


def test_missing_credentials_show_no_code():
    """An error of this side has no code of the service, and is told in its own words."""
    finding = call_finding("SetTaskStatus", outcome_of(NoCredentialsError()), required=True)
    assert finding.verdict is FAILED
    assert "credentials" in finding.found


def test_a_held_poll_is_allowed_if_others_are_answered():
    """A service that answers nothing at all does not hold a poll."""
    assert poll_finding(TIMED_OUT, answered=True, worker_group=None).verdict is OK
    assert poll_finding(TIMED_OUT, answered=False, worker_group=None).verdict is FAILED


def test_a_denied_poll_may_be_a_condition_on_the_worker_group():
    """The real group may be allowed: a warning, which names the condition and the group."""
    finding = poll_finding(refused("AccessDeniedException"), answered=True, worker_group="reports")
    assert finding.verdict is WARNING
    assert "datapipeline:workerGroup" in finding.mend
    assert "reports" in finding.mend


def test_a_poll_with_refused_credentials_is_a_failure():
    """Only a denial may be due to the made-up group."""
    outcome = refused("ExpiredTokenException")
    assert poll_finding(outcome, answered=True, worker_group=None).verdict is FAILED


# Quota


@pytest.mark.parametrize(
    ("throttled", "let_through", "verdict"),
    [(0, 10, OK), (1, 9, WARNING), (9, 1, WARNING), (10, 0, FAILED), (0, 9, WARNING)],
)
def test_the_quota_is_checked_by_the_number_of_throttled_reports(throttled, let_through, verdict):
    """Some throttled reports are a warning; if all are throttled, no task can be held."""
    assert quota_finding(throttled=throttled, let_through=let_through).verdict is verdict


@pytest.mark.parametrize(("tasks", "verdict"), [(2_842, OK), (2_843, WARNING)])
def test_tasks_are_compared_with_the_reporter_s_capacity(tasks, verdict):
    """2,842 is what the published quota can keep alive."""
    finding = check_tasks(AioSession(), tasks)
    assert finding.verdict is verdict
    assert "2,842" in finding.found


# Usage


@pytest.mark.parametrize(
    "arguments",
    [
        ["--tasks", "0"],
        ["--tasks", "many"],
        ["--endpoint-url", "datapipeline"],
        ["--worker-group", ""],
        ["--workerGroup", "w" * 1025],
        ["--worker-group", "\x07"],
        ["surplus"],
    ],
)
def test_wrong_usage_is_refused_before_the_first_check(arguments):
    """Exit code 2, and no finding."""
    done = CliRunner().invoke(doctor, arguments)
    assert done.exit_code == 2
    assert "region" not in done.stdout


def test_the_help_has_the_exit_codes():
    """They are part of the command's contract."""
    text = CliRunner().invoke(doctor, ["--help"], prog_name="doctor").output
    for line in ("0  all is well", "1  something must be mended", "2  wrong usage"):
        assert line in text
