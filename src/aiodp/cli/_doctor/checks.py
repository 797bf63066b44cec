"""Runs the checks of `aiodp doctor` in their order, and skips those that cannot tell anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from aiobotocore.config import AioConfig

from aiodp._aws.transport import ONCE, open_clients
from aiodp._errors import ReportRejected
from aiodp.cli._doctor.calls import CALL_TIMEOUT, FakeNames, check_calls
from aiodp.cli._doctor.clock import check_clock
from aiodp.cli._doctor.credentials import check_credentials
from aiodp.cli._doctor.endpoint import check_endpoint
from aiodp.cli._doctor.findings import Finding, Verdict
from aiodp.cli._doctor.quota import check_quota, check_tasks
from aiodp.cli._doctor.region import check_region

if TYPE_CHECKING:
    from aiobotocore.session import AioSession

    from aiodp.cli._doctor.findings import Report

_CONFIG: Final = AioConfig(
    connect_timeout=CALL_TIMEOUT,
    read_timeout=CALL_TIMEOUT,
    max_pool_connections=20,  # all calls at once, and the poll among them
    retries=ONCE,
)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Target:
    """What to check: a session, and the options of a task runner."""

    session: AioSession
    region: str | None
    endpoint_url: str | None
    worker_group: str | None
    tasks: int
    names: FakeNames = field(default_factory=FakeNames)


async def run_checks(target: Target, report: Report) -> None:
    """Run the checks, and report which are skipped."""
    found, region = await check_region(target.session, target.region, target.endpoint_url)
    report(found)
    credentials = await check_credentials(target.session)
    report(credentials)
    if region is None:
        for check in ("endpoint", "clock", "calls", "quota"):
            report(_skipped(check, "there is no region"))
    elif await _check_service(target, region, report):
        await _check_calls_and_quota(target, region, credentials, report)
    report(check_tasks(target.session, target.tasks))


async def _check_service(target: Target, region: str, report: Report) -> bool:
    """Check endpoint and clock; return whether the service answers."""
    found, answer = await check_endpoint(
        target.session,
        task_id=target.names.name,
        region=region,
        endpoint_url=target.endpoint_url,
    )
    report(found)
    if answer is None:
        for check in ("clock", "calls", "quota"):
            report(_skipped(check, "the service does not answer"))
        return False
    report(check_clock(answer))
    return True


async def _check_calls_and_quota(
    target: Target, region: str, credentials: Finding, report: Report
) -> None:
    if credentials.verdict is Verdict.FAILED:
        for check in ("calls", "quota"):
            report(_skipped(check, "there are no credentials to sign with"))
        return
    try:
        async with open_clients(
            target.session,
            [_CONFIG],
            region_name=region,
            endpoint_url=target.endpoint_url,
            config=None,
        ) as [client]:
            if await check_calls(
                client, target.names, worker_group=target.worker_group, report=report
            ):
                report(await check_quota(client, target.names))
            else:
                report(_skipped("quota", "reports are refused anyhow"))
    except ReportRejected as error:
        report(Finding.failed("calls", str(error)))


def _skipped(check: str, reason: str) -> Finding:
    return Finding(check=check, verdict=Verdict.SKIPPED, found=f"skipped, for {reason}")
