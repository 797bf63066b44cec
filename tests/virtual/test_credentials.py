"""Credentials that are slow, missing, rotated or refused."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from aiobotocore import credentials as aio
from aiobotocore.credentials import AioCredentials, AioRefreshableCredentials

from aiodp import ProgressReporter, ReportRejected, TaskRunner
from aiodp.testing import Fault, FaultKind
from virtual.kit import asyncio_only

pytestmark = pytest.mark.anyio

START = datetime(2026, 1, 1, tzinfo=UTC)


class Provider:
    """What the machine's credentials come from; it takes a while, may fail, and is counted."""

    def __init__(self, kind, lifetime=3600.0):
        self.delay = 0.0
        self.error = None
        self.asked = 0
        self.key = "first"
        self._kind = kind
        self._lifetime = lifetime

    def now(self):
        return START + timedelta(seconds=anyio.current_time())

    async def fetch(self):
        self.asked += 1
        await anyio.sleep(self.delay)
        if self.error:
            raise self.error
        expiry = self.now() + timedelta(seconds=self._lifetime)
        return {
            "access_key": self.key,
            "secret_key": "secret",
            "token": "token",
            "expiry_time": expiry.isoformat(),
        }

    def credentials(self, expires_in):
        return self._kind(
            "first",
            "secret",
            "token",
            self.now() + timedelta(seconds=expires_in),
            self.fetch,
            "custom-process",
            time_fetcher=self.now,
        )


@pytest.fixture
def provider(anyio_backend_name):
    on_trio = anyio_backend_name == "trio"
    return Provider(aio.AnyioRefreshableCredentials if on_trio else AioRefreshableCredentials)


def hold(session, credentials):
    """Let a session have found these credentials."""
    session._credentials = credentials


async def track(reporter, task_id):
    """Have a task acknowledged, and leave it."""
    async with reporter.track(task_id) as task:
        assert not task.ended.is_set()


async def test_a_slow_renewal_costs_nothing_while_the_old_credentials_are_valid(
    session, service, provider, caplog
):
    """It runs once, beside attempts that use the old ones; the log says that it is slow."""
    provider.delay = 90.0
    hold(session, provider.credentials(expires_in=700.0))
    [task_id] = service.assign()
    async with ProgressReporter(session, interval=5.0) as reporter:
        async with reporter.track(task_id) as task:
            await anyio.sleep(600)
            assert not task.ended.is_set()
        assert reporter.statistics().failed == {}
    assert provider.asked == 1
    assert "the renewal of credentials of custom-process lasts for" in caplog.text


async def test_a_process_of_half_a_minute_is_started_once(session, service, provider, caplog):
    """The credentials have expired, and attempts of 10 s wait for new ones."""
    provider.delay = 30.0
    hold(session, provider.credentials(expires_in=-1.0))
    async with ProgressReporter(session) as reporter, anyio.create_task_group() as group:
        for task_id in service.assign(5):
            group.start_soon(track, reporter, task_id)
    assert provider.asked == 1
    assert "it waited for credentials of custom-process" in caplog.text


async def test_a_provider_that_fails_is_asked_at_growing_gaps(session, service, provider, caplog):
    """Not by each attempt of each task; what it says is in the log."""
    provider.error = ValueError("no such tenant")
    hold(session, provider.credentials(expires_in=-1.0))
    async with ProgressReporter(session) as reporter, anyio.create_task_group() as group:
        for task_id in service.assign(20):
            group.start_soon(track, reporter, task_id)
        await anyio.sleep(60)
        provider.error = None
    assert provider.asked < 10
    assert "credentials could not be had: custom-process: no such tenant" in caplog.text


class Chain:
    """Finds what is there now, as the session's chain of providers does."""

    def __init__(self, found):
        self.found = found
        self.asked = 0

    async def load_credentials(self):
        self.asked += 1
        return self.found


def refuse_key(session, key):
    """Let the service refuse what is signed with a key."""

    def answer(request, **_):
        if f"Credential={key}/" in str(request.headers["Authorization"]):
            service_of[session].faults.add(Fault(kind=FaultKind.EXPIRED_TOKEN, count=1))

    session.get_component("event_emitter").register_first("before-send.data-pipeline", answer)


service_of: dict[Any, Any] = {}


async def test_rotated_keys_are_found(session, service):
    """The file holds new ones by now; the report that was refused is sent again at once."""
    service_of[session] = service
    hold(session, AioCredentials("old", "secret", method="shared-credentials-file"))
    chain = Chain(AioCredentials("old", "secret", method="shared-credentials-file"))
    session.register_component("credential_provider", chain)
    refuse_key(session, "revoked")
    [task_id] = service.assign()
    async with ProgressReporter(session) as reporter, reporter.track(task_id) as task:
        refused = AioCredentials("revoked", "secret", method="shared-credentials-file")
        hold(session, refused)
        await anyio.sleep(60)
        chain.found = AioCredentials("new", "secret", method="shared-credentials-file")
        await anyio.sleep(120)
        assert not task.ended.is_set()
        failed = sum(reporter.statistics().failed.values())
        await anyio.sleep(600)
        assert sum(reporter.statistics().failed.values()) == failed
    assert chain.asked < 12


async def test_keys_rotated_in_the_file_are_found(
    service, new_session, monkeypatch, tmp_path, anyio_backend_name
):
    """The file itself is read again, by the providers of a session as users make it."""
    file = tmp_path / "credentials"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    text = "[default]\naws_access_key_id = {}\naws_secret_access_key = secret\n"
    file.write_text(text.format("old"))
    session = service.attach(new_session())
    session._credentials = None
    revoked: list[str] = []

    def answer(request, **_):
        if any(f"Credential={key}/" in str(request.headers["Authorization"]) for key in revoked):
            service.faults.add(Fault(kind=FaultKind.EXPIRED_TOKEN, count=1))

    session.get_component("event_emitter").register_first("before-send.data-pipeline", answer)
    [task_id] = service.assign()
    async with ProgressReporter(session) as reporter, reporter.track(task_id) as task:
        await anyio.sleep(60)
        revoked.append("old")
        await anyio.sleep(60)
        file.write_text(text.format("new"))
        await anyio.sleep(120)
        failed = sum(reporter.statistics().failed.values())
        assert failed > 0
        await anyio.sleep(600)
        assert not task.ended.is_set()
        assert sum(reporter.statistics().failed.values()) == failed


async def test_keys_that_the_program_has_set_are_not_replaced(session, service):
    """Others that the machine has may be those of another account."""
    service_of[session] = service
    session.set_credentials("revoked", "secret")
    chain = Chain(AioCredentials("other", "secret", method="env"))
    session.register_component("credential_provider", chain)
    refuse_key(session, "revoked")
    [task_id] = service.assign()
    async with ProgressReporter(session) as reporter:
        with pytest.raises(ReportRejected):
            await reporter.track(task_id).__aenter__()
    assert chain.asked == 0


async def test_a_runner_outlives_metadata_that_come_late(kit, new_session):
    """For a minute after the start there are no credentials; then its polls succeed."""
    session = kit.attach(new_session())
    hold(session, None)
    chain = Chain(None)
    session.register_component("credential_provider", chain)
    kit.activity()
    done = []

    async def handler(task):
        done.append(kit.now)

    runner = TaskRunner(session, worker_group="workers", handler=handler, check_access=False)
    async with anyio.create_task_group() as group:

        async def run():
            await runner.run(max_tasks=1)

        group.start_soon(run)
        await anyio.sleep(60)
        chain.found = AioCredentials("late", "secret", method="iam-role")
    assert 60 <= done[0] < 360


def key_of(request):
    """Return the key that a request is signed with."""
    signature = str(request.headers["Authorization"])
    return signature.partition("Credential=")[2].partition("/")[0]


def keys_used(session):
    """Return the keys that calls are signed with from now on, each with its time."""
    used = []

    def note(request, **_):
        used.append((anyio.current_time(), key_of(request)))

    session.get_component("event_emitter").register_first("before-send.data-pipeline", note)
    return used


@asyncio_only
async def test_a_provider_that_is_canceled_elsewhere_ends_nothing_else(
    session, service, provider, caplog
):
    """What it awaited was canceled by another task; that is its failure, and nobody else's."""

    async def fetch():
        provider.error = asyncio.CancelledError() if provider.asked < 2 else None
        return await provider.fetch()

    credentials = provider.credentials(expires_in=700.0)
    credentials._refresh_using = fetch
    hold(session, credentials)
    [task_id] = service.assign()
    done = False
    async with ProgressReporter(session) as reporter, reporter.track(task_id) as task:
        await anyio.sleep(600)
        assert not task.ended.is_set()
        done = True
    assert done
    assert provider.asked == 3
    assert "custom-process: their renewal was canceled" in caplog.text


async def test_credentials_are_renewed_while_work_that_was_canceled_cleans_up(
    session, service, provider
):
    """Heartbeats go on through it, for longer than the credentials live."""
    provider.delay = 1.0
    provider._lifetime = 120.0
    hold(session, provider.credentials(expires_in=120.0))
    [task_id] = service.assign()
    with anyio.move_on_after(10) as scope:
        async with ProgressReporter(session) as reporter, reporter.track(task_id) as task:
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(800)
                assert not task.ended.is_set()
    assert scope.cancelled_caught


async def test_leaving_breaks_a_renewal_off(session, service, provider):
    """It would take a minute, and nothing is signed any more."""
    provider.delay = 60.0
    hold(session, provider.credentials(expires_in=700.0))
    [task_id] = service.assign()
    async with ProgressReporter(session) as reporter:
        await track(reporter, task_id)
    assert provider.asked == 1
    assert anyio.current_time() < 60


async def test_a_renewal_of_credentials_that_were_replaced_changes_nothing(
    session, service, provider
):
    """It ends after the program has set others, which are to be renewed, too."""
    provider.delay = 30.0
    others = Provider(type(provider.credentials(0.0)))
    others.key = "other"
    hold(session, provider.credentials(expires_in=700.0))
    used = keys_used(session)
    [task_id] = service.assign()
    async with ProgressReporter(session, interval=5.0) as reporter, reporter.track(task_id):
        await anyio.sleep(12)
        hold(session, others.credentials(expires_in=-1.0))
        await anyio.sleep(100)
    assert {key for at, key in used if at < 12} == {"first"}
    assert {key for at, key in used if at > 12} == {"other"}


async def test_keys_that_a_client_was_given_are_its_own(session, service):
    """A session of the program's own kind may give them to each client that it makes."""
    make = session.create_client
    keys = {"aws_access_key_id": "given", "aws_secret_access_key": "secret"}
    vars(session)["create_client"] = lambda *args, **options: make(*args, **options, **keys)
    used = keys_used(session)
    [task_id] = service.assign()
    async with ProgressReporter(session) as reporter:
        await track(reporter, task_id)
    assert {key for _, key in used} == {"given"}
