"""Checks which region a task runner would use, and whether it has the service."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from botocore.configprovider import ConfiguredEndpointProvider
from botocore.exceptions import BotoCoreError

from aiodp.cli._doctor.findings import Finding

if TYPE_CHECKING:
    from aiobotocore.session import AioSession

_SERVICE: Final = "datapipeline"
_VARIABLE: Final = "AWS_DEFAULT_REGION"
_IGNORED: Final = "AWS_REGION"  # other SDKs read it, botocore does not


async def check_region(
    session: AioSession, given: str | None, endpoint_url: str | None
) -> tuple[Finding, str | None]:
    """Return the finding, and the region if there is one."""
    try:
        region = given or session.get_config_variable("region")
        if not region:
            return Finding.failed("region", "none is set", _how_to_set()), None
        configured = endpoint_url or configured_endpoint(session)
        regions = await _regions(session)
    except (BotoCoreError, ValueError) as error:
        mend = "Mend the AWS configuration, or what AWS_PROFILE names."
        return Finding.failed(
            "region", f"the AWS configuration cannot be read: {error}", mend
        ), None
    found = f"{region}, from {_source(session, given, region)}"
    if region in regions:
        return Finding.ok("region", found), region
    return _unsupported(found, regions, configured), region


def configured_endpoint(session: AioSession) -> str | None:
    """Return the endpoint that the environment or the AWS configuration names, if any."""
    if session.get_config_variable("ignore_configured_endpoint_urls"):
        return None
    provider = ConfiguredEndpointProvider(
        full_config=session.full_config,
        scoped_config=session.get_scoped_config(),
        client_name=_SERVICE,
    )
    url: str | None = provider.provide()
    return url


async def _regions(session: AioSession) -> list[str]:
    """Return the regions of all partitions that have the service, by botocore's data."""
    return [
        region
        for partition in session.get_available_partitions()
        for region in await session.get_available_regions(_SERVICE, partition_name=partition)
    ]


def _source(session: AioSession, given: str | None, region: str) -> str:
    if given:
        return "--region"
    if os.environ.get(_VARIABLE) == region:
        return _VARIABLE
    return f"the profile {session.profile or 'default'} of the AWS configuration"


def _how_to_set() -> str:
    hint = (
        f"Give --region, or set {_VARIABLE} or the region of the profile. Without one a TaskRunner "
        f"cannot start; aiodp run takes us-east-1."
    )
    if _IGNORED in os.environ:
        hint += f" {_IGNORED} is set, but botocore does not read it."
    return hint


def _unsupported(found: str, regions: list[str], endpoint: str | None) -> Finding:
    found += "; AWS has no Data Pipeline there"
    if endpoint:
        return Finding.warning(
            "region",
            f"{found}, but another endpoint is set",
            "Nothing, if that endpoint is a local service or a gateway.",
        )
    return Finding.failed("region", found, f"Use one of {', '.join(regions)}.")
