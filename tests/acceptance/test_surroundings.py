"""What a program or its test has around a reporter: a mock, a proxy, a limit of open files."""

from __future__ import annotations

import asyncio
import errno

import pytest
from aiobotocore.session import get_session
from botocore.exceptions import (
    EndpointConnectionError,
    HTTPClientError,
    InvalidProxiesConfigError,
    ProxyConnectionError,
)
from moto import mock_aws

from aiodp import ProgressReporter, ReportRejected
from aiodp._aws.errors import describe


async def open_reporter(endpoint_url):
    """Open a reporter for an endpoint, and close it."""
    session = get_session()
    session.set_credentials("key", "secret")
    async with ProgressReporter(session, region_name="us-east-1", endpoint_url=endpoint_url):
        pass


def test_a_mock_of_aws_around_a_reporter_is_named_at_once():
    """Moto has no ReportTaskProgress; before, the task was lost after two minutes."""

    async def main():
        async with (
            ProgressReporter(get_session(), region_name="us-east-1") as reporter,
            reporter.track("a task"),
        ):
            pass

    with mock_aws(), pytest.raises(ReportRejected, match="mock_aws has no such call"):
        asyncio.run(main())


@pytest.mark.parametrize(
    ("endpoint_url", "no_proxy", "told"),
    [
        ("http://127.0.0.1:5000", "", True),
        ("http://localhost:5000", "", True),
        ("http://localhost:5000", "localhost", False),
        ("https://localhost:5000", "", False),
        ("http://vpce.example.com", "", False),
    ],
)
def test_a_proxy_before_a_local_endpoint_is_named(
    monkeypatch, caplog, endpoint_url, no_proxy, told
):
    """Without its password."""
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "no_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://user:hidden@proxy.example.com:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    asyncio.run(open_reporter(endpoint_url))
    assert ("by way of a proxy (proxy.example.com)" in caplog.text) is told
    assert ("NO_PROXY" in caplog.text) is told
    assert "hidden" not in caplog.text


def test_a_proxy_that_cannot_be_reached_is_told_with_what_to_do():
    """Nobody looks for a proxy in the environment."""
    error = ProxyConnectionError(proxy_url="http://127.0.0.1:9", error=OSError("refused"))
    assert describe(error).endswith(
        "(HTTP_PROXY and HTTPS_PROXY name proxies, NO_PROXY the hosts that need none)"
    )


def test_a_proxy_whose_url_is_none_is_told_with_what_to_do():
    """Its password has a slash that is not quoted, say; aiobotocore wraps the error."""
    error = HTTPClientError(error=InvalidProxiesConfigError())
    assert "HTTP_PROXY and HTTPS_PROXY name proxies" in describe(error)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
@pytest.mark.parametrize(
    "wrapped",
    [
        lambda error: error,
        lambda error: HTTPClientError(error=error),
        lambda error: EndpointConnectionError(endpoint_url="http://a", error=error),
    ],
)
def test_too_many_open_files_are_told_with_what_to_do(number, wrapped):
    """However deep the error is; the path that could not be opened says nothing."""
    error = OSError(number, "Too many open files", "/somewhere/thread.py")
    assert "too many open files: raise `ulimit -n`" in describe(wrapped(error))


def test_an_error_of_a_hook_is_not_taken_for_one_of_moto():
    """Whatever is not implemented there."""
    assert describe(NotImplementedError("mine")) == "mine"


def test_causes_in_a_circle_end():
    """Nothing but the text is told then."""
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert describe(one) == "one"
