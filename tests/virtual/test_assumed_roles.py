"""Roles that are assumed by keys of a file, or by a token: what is kept of them does not stay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import anyio
import pytest
from botocore.exceptions import RefreshWithMFAUnsupportedError

from aiodp import ProgressReporter
from aiodp._aws.own_session import new_session as as_new
from aiodp.testing import Fault, FaultKind
from answers import Answer

pytestmark = pytest.mark.anyio

KEYS = "[base]\naws_access_key_id = {}\naws_secret_access_key = secret\n"
BY_KEYS = "[default]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = base\n"
BY_TOKEN = "[default]\nrole_arn = arn:aws:iam::123456789012:role/r\nweb_identity_token_file = {}\n"
by_token = pytest.mark.parametrize("machine", [BY_TOKEN], indirect=True, ids=["by a token"])
GIVEN = """<{0}Response><{0}Result>
<Credentials><AccessKeyId>{1}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>
<SessionToken>token</SessionToken><Expiration>{2}</Expiration></Credentials>
<AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/r/s</Arn>
<AssumedRoleId>id</AssumedRoleId></AssumedRoleUser></{0}Result></{0}Response>"""
REFUSED = """<ErrorResponse><Error><Type>Sender</Type><Code>InvalidClientTokenId</Code>
<Message>The security token included in the request is invalid.</Message></Error></ErrorResponse>"""


class SecurityTokens:
    """STS: gives keys `role-1`, `role-2` and so on to whom it knows."""

    def __init__(self, session, lifetime):
        self.known = {"old"}
        self.given_to = []
        self.refused = 0
        self.delay = 0.0
        self._lifetime = lifetime
        session.register("before-send.sts", self.answer)

    async def answer(self, request, **_):
        await anyio.sleep(self.delay)
        form = parse_qs(request.body.decode() if isinstance(request.body, bytes) else request.body)
        signature = str(request.headers.get("Authorization", "Credential=token/"))
        caller = signature.partition("Credential=")[2].partition("/")[0]
        if caller not in self.known | {"token"}:
            self.refused += 1
            return Answer(request.url, 403, REFUSED)
        self.given_to.append(caller)
        expiry = datetime.now(UTC) + timedelta(seconds=self._lifetime)
        key = f"role-{len(self.given_to)}"
        [action] = form["Action"]
        return Answer(request.url, 200, GIVEN.format(action, key, expiry.isoformat()))


@pytest.fixture
def machine(request, monkeypatch, tmp_path):
    """The two files of a machine's AWS configuration, and nothing else of it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for variable in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    (tmp_path / "AWS_SHARED_CREDENTIALS_FILE").write_text(KEYS.format("old"))
    (tmp_path / "token").write_text("token")
    config = getattr(request, "param", BY_KEYS).format(tmp_path / "token")
    (tmp_path / "AWS_CONFIG_FILE").write_text(config)
    return tmp_path


@pytest.fixture
def session(service, new_session, machine):
    session = service.attach(new_session())
    session._credentials = None
    return session


def refuse(session, service, keys):
    """Let the service refuse what is signed with one of these keys."""

    def answer(request, **_):
        if any(f"Credential={key}/" in str(request.headers["Authorization"]) for key in keys):
            service.faults.add(Fault(kind=FaultKind.EXPIRED_TOKEN, count=1))

    session.get_component("event_emitter").register_first("before-send.data-pipeline", answer)


async def test_keys_behind_a_role_are_read_again_after_they_were_rotated(session, service, machine):
    """The role's own credentials are valid still, but are to be renewed; nothing is lost."""
    tokens = SecurityTokens(session, lifetime=300.0)
    [task_id] = service.assign()
    async with ProgressReporter(session) as reporter, reporter.track(task_id) as task:
        tokens.known = {"new"}
        await anyio.sleep(120)
        (machine / "AWS_SHARED_CREDENTIALS_FILE").write_text(KEYS.format("new"))
        await anyio.sleep(120)
        assert tokens.given_to[-1] == "new"
        refused = tokens.refused
        await anyio.sleep(600)
        assert tokens.refused == refused
        assert not task.ended.is_set()
        assert reporter.statistics().failed == {}


@by_token
async def test_a_renewal_may_take_long(session, service):
    """The old credentials are valid meanwhile, and no attempt to report waits for the new ones."""
    tokens = SecurityTokens(session, lifetime=800.0)
    [task_id] = service.assign()
    async with ProgressReporter(session) as reporter, reporter.track(task_id) as task:
        tokens.delay = 100.0
        await anyio.sleep(600)
        assert len(tokens.given_to) > 3
        assert not task.ended.is_set()
        assert reporter.statistics().failed == {}


@pytest.mark.parametrize(
    "machine", [BY_KEYS, BY_TOKEN], indirect=True, ids=["by keys", "by a token"]
)
async def test_credentials_that_are_refused_do_not_come_from_a_cache(session, service):
    """The sessions of a role were revoked: it is assumed again, once."""
    tokens = SecurityTokens(session, lifetime=3600.0)
    revoked: list[str] = []
    refuse(session, service, revoked)
    [task_id] = service.assign()
    async with ProgressReporter(session) as reporter, reporter.track(task_id) as task:
        revoked.append("role-1")
        await anyio.sleep(600)
        assert not task.ended.is_set()
        assert len(tokens.given_to) == 2
        assert reporter.statistics().failed == {}


async def test_a_missing_permission_is_no_reason_to_assume_a_role_again(session, service):
    """The credentials are good: others from the same cache are looked for, and none are made."""
    tokens = SecurityTokens(session, lifetime=3600.0)
    [task_id] = service.assign()
    async with ProgressReporter(session) as reporter, reporter.track(task_id) as task:
        service.faults.add(Fault(kind=FaultKind.ACCESS_DENIED, duration=120.0))
        await anyio.sleep(300)
        assert not task.ended.is_set()
        assert len(tokens.given_to) == 1


async def test_nobody_is_asked_for_the_code_of_a_device(session, machine):
    """It would stop the event loop: the role cannot be assumed again."""
    (machine / "AWS_CONFIG_FILE").write_text(f"{BY_KEYS}mfa_serial = device\n")
    found = await as_new(session).get_credentials()
    with pytest.raises(RefreshWithMFAUnsupportedError):
        await found.get_frozen_credentials()


async def test_a_cache_of_the_program_is_left_alone(session):
    """As of a file that the AWS CLI shares: a session as new has one of its own."""
    provider = session.get_component("credential_provider").get_provider("assume-role")
    provider.cache = kept = Cache({"key": "value"})
    own = as_new(session).get_component("credential_provider").get_provider("assume-role")
    assert provider.cache is kept
    assert own.cache == {}


class Cache(dict[str, str]):
    """A cache of another kind than botocore's own."""
