"""Sessions of the test kit which reach no AWS, whatever the machine is configured for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.exceptions import EndpointConnectionError

from aiodp.emulator._server.moto import _regions
from aiodp.testing import MemoryKit, MemoryService, OtherServiceError, virtual_time
from aiodp.testing._environment import local_variables

if TYPE_CHECKING:
    from pathlib import Path

ONCE = AioConfig(retries={"total_max_attempts": 1})


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with a region, credentials and an endpoint of its own."""
    (tmp_path / "config").write_text(
        "[default]\nregion = us-west-2\nendpoint_url = http://192.0.2.1\n"
    )
    (tmp_path / "credentials").write_text(
        "[default]\naws_access_key_id = real\naws_secret_access_key = real\n"
    )
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def _lost_profile(configured: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which a profile is asked for that it lacks."""
    monkeypatch.setenv("AWS_PROFILE", "lacking")


@pytest.mark.usefixtures("configured")
@virtual_time
async def test_an_attached_session_has_nothing_of_the_machine():
    """Region, credentials and endpoint are the kit's."""
    session = MemoryKit(region_name="eu-west-1").attach(AioSession())
    async with session.create_client("s3") as client:
        assert client.meta.region_name == "eu-west-1"
        assert client.meta.endpoint_url == "https://s3.eu-west-1.amazonaws.com"
    assert (await session.get_credentials()).access_key == "testing"


@virtual_time
async def test_an_attached_session_does_not_call_other_services_of_aws():
    """The error names the call and the way out; Data Pipeline is answered as ever."""
    session = MemoryKit().attach(AioSession())
    async with session.create_client("s3") as client:
        with pytest.raises(OtherServiceError, match=r"ListBuckets of s3, at s3\..* aiodp_server"):
            await client.list_buckets()
    async with session.create_client("datapipeline") as client:
        assert (await client.list_pipelines())["pipelineIdList"] == []


@pytest.mark.anyio
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
async def test_an_attached_session_may_call_this_machine(host):
    """Another local service is the test's own affair."""
    session = MemoryKit().attach(AioSession())
    async with session.create_client("sts", endpoint_url=f"http://{host}:9", config=ONCE) as client:
        with pytest.raises(EndpointConnectionError):
            await client.get_caller_identity()


@pytest.mark.usefixtures("_lost_profile")
@pytest.mark.parametrize("kind", [MemoryKit, MemoryService])
@virtual_time
async def test_a_profile_which_is_not_there_is_no_matter_in_process(kind):
    """Nothing in process needs a profile."""
    service = kind()
    async with service.attach(AioSession()).create_client("datapipeline") as client:
        assert (await client.list_pipelines())["pipelineIdList"] == []


@pytest.mark.usefixtures("_lost_profile")
def test_the_regions_do_not_depend_on_a_profile():
    """They are in botocore's own data."""
    _regions.cache_clear()
    assert {"us-east-1", "eu-west-1"} <= set(_regions())


def test_lower_case_no_proxy_is_kept(monkeypatch):
    """Both spellings are in use, and each tool reads its own."""
    monkeypatch.setenv("NO_PROXY", "intranet")
    monkeypatch.setenv("no_proxy", "example.com")
    variables = local_variables("http://127.0.0.1:1", "us-east-1")
    assert variables["NO_PROXY"] == variables["no_proxy"] == "intranet,example.com,127.0.0.1"
