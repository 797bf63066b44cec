"""Addresses of databases, asked of RDS and of Redshift as moto has them."""

from __future__ import annotations

import pytest
from aiobotocore.session import get_session

from aiodp import TaskFailed
from aiodp.sql._endpoints import Endpoints
from aiodp.sql._jdbc import Engine

pytestmark = pytest.mark.anyio

REGION = "eu-west-1"
ACCOUNT = {"MasterUsername": "me", "MasterUserPassword": "a-password-of-tests"}


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def endpoints(server, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
    session = get_session()
    session.set_credentials("testing", "testing")
    return Endpoints(session, region_name=REGION)


@pytest.fixture
def rds(server, connect):
    """Makes DB instances."""
    client = connect(server, "rds", region_name=REGION)
    given = {"AllocatedStorage": 20, "DBInstanceClass": "db.t3.micro", **ACCOUNT}

    def make(name, **fields):
        client.create_db_instance(DBInstanceIdentifier=name, **given, **fields)

    return make


async def test_a_database_of_rds(endpoints, rds):
    """Its engine, its address, and the database that was made with it."""
    rds("one", Engine="mysql", DBName="sales", Port=3307)
    found = await endpoints.rds("one", None)
    assert (found.engine, found.port, found.database) == (Engine.MYSQL, 3307, "sales")
    assert found.host.startswith("one.")
    assert found.host.endswith(f".{REGION}.rds.amazonaws.com")


async def test_a_database_of_rds_in_another_region(endpoints, rds):
    """The database's own region goes before that of the handler."""
    rds("elsewhere", Engine="postgres")
    with pytest.raises(
        TaskFailed, match=r"of elsewhere could not be looked up in rds: DBInstanceNotF"
    ):
        await endpoints.rds("elsewhere", "us-east-1")
    assert (await endpoints.rds("elsewhere", REGION)).engine is Engine.POSTGRESQL


async def test_an_engine_that_cannot_be_spoken_to(endpoints, rds):
    """That of another maker is a wrong definition."""
    rds("foreign", Engine="oracle-ee")
    with pytest.raises(
        TaskFailed, match="RDS instance foreign: oracle-ee is not supported"
    ) as failed:
        await endpoints.rds("foreign", None)
    assert failed.value.error_id == "BadDefinition"


async def test_a_cluster_of_redshift(endpoints, server, connect):
    """Its address and its database; one that is not there is told in the service's words."""
    given = {"ClusterIdentifier": "two", "NodeType": "ra3.large", "DBName": "dev"}
    connect(server, "redshift", region_name=REGION).create_cluster(**given, **ACCOUNT)
    found = await endpoints.redshift("two", None)
    assert (found.engine, found.port, found.database) == (Engine.REDSHIFT, 5439, "dev")
    assert found.host.startswith("two.")
    with pytest.raises(TaskFailed, match="in redshift: ClusterNotFound") as failed:
        await endpoints.redshift("three", None)
    assert failed.value.error_id == "DatabaseFailed"
