"""Checks whether a task runner can write its logs to S3, by a probe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import anyio
from aiobotocore.config import AioConfig
from botocore.exceptions import ClientError

from aiodp._aws.advice import REMEDIES
from aiodp._aws.errors import describe
from aiodp._aws.transport import ONCE
from aiodp.cli._doctor.clock import MEND as SET_THE_CLOCK
from aiodp.cli._doctor.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from aiobotocore.session import AioSession

    from aiodp.shell._uri import S3Uri

PUT_TIMEOUT: Final = 3.0
DELETE_TIMEOUT: Final = 2.0
_CONFIG: Final = AioConfig(connect_timeout=PUT_TIMEOUT, read_timeout=PUT_TIMEOUT, retries=ONCE)
_CONNECT: Final = "Let this machine connect to S3: firewall, VPC endpoint, proxy."
_LOOK: Final = "See --log-uri, the region, and the bucket's policy."


async def check_log(session: AioSession, log: S3Uri, *, region: str, name: str) -> Finding:
    """Write an object of this name below the address, and delete it."""
    probe = log.below(name)
    where = {"Bucket": probe.bucket, "Key": probe.key}
    try:
        async with session.create_client("s3", region_name=region, config=_CONFIG) as client:
            if error := await _failure(PUT_TIMEOUT, client.put_object(**where, Body=b"aiodp\n")):
                return _not_written(log, error)
            error = await _failure(DELETE_TIMEOUT, client.delete_object(**where))
    except Exception as fault:  # noqa: BLE001 - of an endpoint that is none, or of a provider
        return _not_written(log, fault)
    return Finding.ok("log", f"{log} can be written to") if error is None else _left(probe, error)


async def _failure(timeout: float, call: Awaitable[Any]) -> Exception | None:  # noqa: ASYNC109 - of the call
    try:
        with anyio.fail_after(timeout):
            await call
    except Exception as error:  # noqa: BLE001 - whatever went wrong is what was looked for
        return error
    return None


def _not_written(log: S3Uri, error: Exception) -> Finding:
    words = "no answer" if isinstance(error, TimeoutError) else describe(error)
    return Finding.failed("log", f"{log} cannot be written to: {words}", _how_to_mend(log, error))


def _how_to_mend(log: S3Uri, error: Exception) -> str:
    if not isinstance(error, ClientError):
        return _CONNECT
    code = error.response.get("Error", {}).get("Code", "")
    return {
        "AccessDenied": f"Allow s3:PutObject on {log.below('*')}.",
        "NoSuchBucket": f"Make the bucket {log.bucket}, or correct --log-uri.",
        "RequestTimeTooSkewed": SET_THE_CLOCK,
        **REMEDIES,
    }.get(code, _LOOK)


def _left(probe: S3Uri, error: Exception) -> Finding:
    words = "no answer" if isinstance(error, TimeoutError) else describe(error)
    return Finding.warning(
        "log",
        f"can be written to, but the probe {probe} could not be deleted: {words}",
        "Delete the probe; a task runner deletes nothing.",
    )
