"""Runs the checks of `aiodp doctor` in their order, and skips those that cannot tell anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from aiobotocore.config import AioConfig

from aiodp._aws.transport import ONCE, open_clients
from aiodp._errors import ReportRejected
from aiodp.cli._doctor.calls import CALL_TIMEOUT, FakeNames, check_calls
from aiodp.cli._doctor.clock import check_clock
from aiodp.cli._doctor.credentials import check_credentials
from aiodp.cli._doctor.endpoint import check_endpoint
from aiodp.cli._doctor.findings import Finding, Verdict
from aiodp.cli._doctor.group import check_group
from aiodp.cli._doctor.log import check_log
from aiodp.cli._doctor.quota import check_quota, check_tasks
from aiodp.cli._doctor.region import check_region

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from aiobotocore.session import AioSession

    from aiodp.cli._doctor.findings import Report
    from aiodp.cli._run.access import Keys
    from aiodp.shell._uri import S3Uri

_CONFIG: Final = AioConfig(
    connect_timeout=CALL_TIMEOUT,
    read_timeout=CALL_TIMEOUT,
    max_pool_connections=20,  # all calls at once, and the poll among them
    retries=ONCE,
)


_SIGNED: Final = ("calls", "quota", "group", "log")
"""Checks that need credentials."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Target:
    """What to check: a session, and the options of a task runner."""

    session: AioSession
    region: str | None
    endpoint_url: str | None
    keys: Keys | None = None
    worker_group: str | None = None
    log: S3Uri | None = None
    tasks: int = 2
    handlers: Finding | None = None
    types: Collection[str] | None = None
    """Those that the task runner does, None for all."""
    names: FakeNames = field(default_factory=FakeNames)

    def asks_for(self, check: str) -> bool:
        """Return whether a check was asked for, if it depends on that."""
        return {"group": self.worker_group, "log": self.log}.get(check, True) is not None


async def run_checks(target: Target, report: Report) -> None:
    """Run the checks, and report which are skipped."""
    found, region = await check_region(target.session, target.region, target.endpoint_url)
    report(found)
    credentials = await check_credentials(target.session, target.keys)
    report(credentials)
    if region is None:
        _skip(target, ("endpoint", "clock", *_SIGNED), "there is no region", report)
    else:
        clock = await _check_service(target, region, report)
        if credentials.verdict is Verdict.FAILED:
            left = _SIGNED if clock is not None else ("log",)
            _skip(target, left, "there are no credentials to sign with", report)
        else:
            await _check_signed(target, region, clock, report)
    report(check_tasks(target.session, target.tasks))
    if target.handlers is not None:
        report(target.handlers)


async def _check_service(target: Target, region: str, report: Report) -> Finding | None:
    """Check endpoint and clock; return the finding about the clock if the service answers."""
    found, answer = await check_endpoint(
        target.session,
        task_id=target.names.name,
        region=region,
        endpoint_url=target.endpoint_url,
    )
    report(found)
    if answer is None:
        _skip(target, ("clock", "calls", "quota", "group"), "the service does not answer", report)
        return None
    clock = check_clock(answer)
    report(clock)
    return clock


async def _check_signed(target: Target, region: str, clock: Finding | None, report: Report) -> None:
    if clock is not None:
        await _check_data_pipeline(target, region, clock, report)
    if target.log is not None:
        report(await check_log(target.session, target.log, region=region, name=target.names.name))


async def _check_data_pipeline(target: Target, region: str, clock: Finding, report: Report) -> None:
    try:
        async with open_clients(
            target.session,
            [_CONFIG],
            region_name=region,
            endpoint_url=target.endpoint_url,
            config=None,
        ) as [client]:
            await _check_calls(target, client, clock, report)
    except ReportRejected as error:
        report(Finding.failed("calls", str(error)))


async def _check_calls(target: Target, client: Any, clock: Finding, report: Report) -> None:
    if not await check_calls(
        client,
        target.names,
        worker_group=target.worker_group,
        skewed=clock.verdict is Verdict.FAILED,
        report=report,
    ):
        _skip(target, ("quota", "group"), "reports are refused anyhow", report)
        return
    report(await check_quota(client, target.names))
    if target.worker_group is not None:
        report(await check_group(client, target.worker_group, target.types))


def _skip(target: Target, checks: Iterable[str], reason: str, report: Report) -> None:
    for check in filter(target.asks_for, checks):
        found = f"skipped, for {reason}"
        report(Finding(check=check, verdict=Verdict.SKIPPED, found=found))
