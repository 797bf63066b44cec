"""The checks of `aiodp doctor`, in their order, without those that would tell nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from aiobotocore.config import AioConfig

from aiodp._aws.transport import ONCE, open_clients
from aiodp._errors import ReportRejected
from aiodp.cli._doctor.calls import PATIENCE, MadeUp, examine_calls
from aiodp.cli._doctor.clock import examine_clock
from aiodp.cli._doctor.credentials import examine_credentials
from aiodp.cli._doctor.endpoint import examine_endpoint
from aiodp.cli._doctor.findings import Finding, Verdict
from aiodp.cli._doctor.quota import examine_quota, examine_tasks
from aiodp.cli._doctor.region import examine_region

if TYPE_CHECKING:
    from aiobotocore.session import AioSession

    from aiodp.cli._doctor.findings import Tell

_CONFIG: Final = AioConfig(
    connect_timeout=PATIENCE,
    read_timeout=PATIENCE,
    max_pool_connections=20,  # all calls at once, and the poll among them
    retries=ONCE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is examined: a session, and what a task runner would be told."""

    session: AioSession
    region: str | None
    endpoint_url: str | None
    worker_group: str | None
    tasks: int
    made_up: MadeUp = field(default_factory=MadeUp)


async def visit(case: Case, tell: Tell) -> None:
    """Run every check that can tell something, and say which cannot."""
    found, region = await examine_region(case.session, case.region, case.endpoint_url)
    tell(found)
    credentials = await examine_credentials(case.session)
    tell(credentials)
    if region is None:
        for check in ("endpoint", "clock", "calls", "quota"):
            tell(_skipped(check, "there is no region"))
    elif await _reaches(case, region, tell):
        await _calls(case, region, credentials, tell)
    tell(examine_tasks(case.session, case.tasks))


async def _reaches(case: Case, region: str, tell: Tell) -> bool:
    """Examine endpoint and clock; return whether calls make sense."""
    found, answer = await examine_endpoint(
        case.session,
        task_id=case.made_up.name,
        region=region,
        endpoint_url=case.endpoint_url,
    )
    tell(found)
    if answer is None:
        for check in ("clock", "calls", "quota"):
            tell(_skipped(check, "the service does not answer"))
        return False
    tell(examine_clock(answer))
    return True


async def _calls(case: Case, region: str, credentials: Finding, tell: Tell) -> None:
    if credentials.verdict is Verdict.FAILED:
        for check in ("calls", "quota"):
            tell(_skipped(check, "there are no credentials to sign with"))
        return
    try:
        async with open_clients(
            case.session,
            [_CONFIG],
            region_name=region,
            endpoint_url=case.endpoint_url,
            config=None,
        ) as [client]:
            if await examine_calls(client, case.made_up, worker_group=case.worker_group, tell=tell):
                tell(await examine_quota(client, case.made_up))
            else:
                tell(_skipped("quota", "reports are refused anyhow"))
    except ReportRejected as error:
        tell(Finding(check="calls", verdict=Verdict.FAILED, found=str(error)))


def _skipped(check: str, reason: str) -> Finding:
    return Finding(check=check, verdict=Verdict.SKIPPED, found=f"skipped, for {reason}")
