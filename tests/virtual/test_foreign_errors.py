"""Errors that are not the service's: of hooks of the user's session, and of credentials."""

from __future__ import annotations

from functools import partial

import pytest
from botocore.exceptions import ClientError

from aiodp import ReportKind, TaskRunner, TaskStatus

pytestmark = pytest.mark.anyio


class Unprintable(Exception):  # noqa: N818 - it stands for anything that a user may raise
    """An exception whose text cannot be had."""

    def __str__(self) -> str:
        raise TypeError("no text")

    __repr__ = __str__


def fail(session, error, *, times=1, operation=""):
    """Let a session's hook raise so many times, where credentials are asked for."""
    left = [error] * times

    def hook(**_):
        if left:
            raise left.pop()

    session.register(f"before-sign.data-pipeline.{operation}".rstrip("."), hook)


sso = partial(ClientError, operation_name="GetRoleCredentials")


async def test_an_exception_without_a_text_costs_no_lease(
    client_reporter, session, service, caplog
):
    """A hook of the user's session raises it at a report: the next one succeeds."""
    fail(session, Unprintable())
    [task_id] = service.assign()
    async with client_reporter() as reporter, reporter.track(task_id):
        assert reporter.statistics().failed == {ReportKind.MALFORMED: 1}
    assert "Unprintable" in caplog.text


async def test_an_exception_without_a_text_ends_no_runner(kit, new_session, caplog):
    """Its polls fail, and go on."""
    session = kit.attach(new_session())
    fail(session, Unprintable(), times=2)
    kit.activity()
    done = []

    async def handler(task):
        done.append(task.task_id)

    await TaskRunner(session, worker_group="workers", handler=handler).run(max_tasks=1)
    assert len(done) == 1
    assert "Unprintable" in caplog.text


async def test_an_invalid_request_of_a_provider_drops_no_fields(client_reporter, session, service):
    """What SSO does not like is no word of the service on the fields."""
    error = sso({"Error": {"Code": "InvalidRequestException", "Message": "no such session"}})
    fail(session, error)
    [task_id] = service.assign()
    async with client_reporter() as reporter, reporter.track(task_id, fields={"step": "one"}):
        assert reporter.statistics().failed == {ReportKind.UNEXPECTED: 1}
    assert service.task(task_id).fields == {"step": "one"}


async def test_an_invalid_request_of_a_provider_gives_up_no_status(
    client_reporter, session, service
):
    """The status is tried again."""
    error = sso({"Error": {"Code": "InvalidRequestException", "Message": "no such session"}})
    fail(session, error, operation="SetTaskStatus")
    [task_id] = service.assign()
    async with client_reporter() as reporter, reporter.track(task_id) as task:
        await task.set_status(TaskStatus.FINISHED)
    assert service.task(task_id).status == "FINISHED"


async def test_throttling_of_a_provider_lowers_no_rate(client_reporter, session, service, caplog):
    """The quota of STS is not the one of the reports; the words tell whose error it was."""
    error = ClientError({"Error": {"Code": "Throttling", "Message": "slow"}}, "AssumeRole")
    fail(session, error)
    [task_id] = service.assign()
    async with client_reporter() as reporter, reporter.track(task_id):
        assert reporter.statistics().effective_rate == 10
        assert reporter.statistics().throttled == 0
    assert "AssumeRole" in caplog.text


async def test_a_refusal_of_a_provider_ends_no_lease(client_reporter, session, service):
    """TaskNotFound can only be said by the service."""
    error = sso({"Error": {"Code": "TaskNotFoundException", "Message": "?"}})
    fail(session, error)
    [task_id] = service.assign()
    async with client_reporter() as reporter, reporter.track(task_id):
        assert reporter.statistics().failed == {ReportKind.UNEXPECTED: 1}
