"""Addresses of databases that are known by the ids which RDS and Redshift gave them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
from aiobotocore.config import AioConfig

from aiodp._aws.credentials import INVALID, shared_credentials
from aiodp._aws.errors import describe
from aiodp._aws.secrets import remember_secrets
from aiodp.shell._errors import bad_definition
from aiodp.sql._errors import database_failed
from aiodp.sql._jdbc import Engine, JdbcUrl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiobotocore.session import AioSession

_TIMEOUT: Final = 60.0
"""Seconds in which the service must answer."""
_ENGINES: Final = {
    "aurora": Engine.MYSQL,
    "aurora-mysql": Engine.MYSQL,
    "aurora-postgresql": Engine.POSTGRESQL,
    "mariadb": Engine.MYSQL,
    "mysql": Engine.MYSQL,
    "postgres": Engine.POSTGRESQL,
}
"""Of the names that RDS has for engines, those that can be spoken to."""


class Endpoints:
    """Looks addresses up, with a client for each question: there is one for each task."""

    def __init__(self, session: AioSession, *, region_name: str | None) -> None:
        self._session = session
        self._region_name = region_name

    async def rds(self, instance: str, region: str | None) -> JdbcUrl:
        """Return the address of a DB instance (API reference of DescribeDBInstances).

        Raises `TaskFailed` if there is none, or if it cannot be had.
        """
        answer = await self._ask(
            ("rds", "describe_db_instances"), region, DBInstanceIdentifier=instance
        )
        [found] = answer["DBInstances"]
        engine = _ENGINES.get(found["Engine"])
        if engine is None:
            raise bad_definition(f"RDS instance {instance}: {found['Engine']} is not supported")
        return _address(f"RDS instance {instance}", engine, found)

    async def redshift(self, cluster: str, region: str | None) -> JdbcUrl:
        """Return the address of a cluster (API reference of Redshift's DescribeClusters).

        Raises `TaskFailed` if there is none, or if it cannot be had.
        """
        answer = await self._ask(
            ("redshift", "describe_clusters"), region, ClusterIdentifier=cluster
        )
        [found] = answer["Clusters"]
        return _address(f"Redshift cluster {cluster}", Engine.REDSHIFT, found)

    async def _ask(self, call: tuple[str, str], region: str | None, **given: str) -> dict[str, Any]:
        service, operation = call
        open_client = partial(
            self._session.create_client,
            service,
            region_name=region or self._region_name,
            config=AioConfig(connect_timeout=10, retries={"mode": "standard"}),
        )
        [name] = given.values()
        try:
            with anyio.fail_after(_TIMEOUT):
                async with (
                    shared_credentials(self._session, INVALID) as credentials,
                    open_client() as client,
                ):
                    credentials.attach(client)
                    remember_secrets(client)
                    answer: dict[str, Any] = await getattr(client, operation)(**given)
                    return answer
        except Exception as error:  # botocore lets errors of broken answers through
            raise database_failed(
                f"the address of {name} could not be looked up in {service}: {describe(error)}"
            ) from error


def _address(what: str, engine: Engine, found: Mapping[str, Any]) -> JdbcUrl:
    endpoint = found.get("Endpoint") or {}
    if not endpoint.get("Address"):  # while it is being created
        raise database_failed(f"{what} has no address yet")
    return JdbcUrl(
        engine=engine,
        host=endpoint["Address"],
        port=endpoint.get("Port") or engine.default_port,
        database=found.get("DBName") or None,
        properties={},
    )
