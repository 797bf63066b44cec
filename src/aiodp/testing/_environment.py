"""The environment variables by which the AWS clients of a test find the local service only."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

DUMMY_KEY: Final = "testing"
"""Access key and secret key; to moto they are of its default account."""

_REDIRECTING: Final = frozenset(
    {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CREDENTIAL_EXPIRATION",
        "AWS_DEFAULT_PROFILE",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
        "AWS_PROFILE",
        "AWS_ROLE_ARN",
        "AWS_SECURITY_TOKEN",
        "AWS_SESSION_TOKEN",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    }
)


def local_variables(endpoint: str, region_name: str) -> dict[str, str]:
    """Return the variables which direct the SDKs and the CLI to an endpoint on this machine."""
    hosts = [os.environ.get("NO_PROXY"), os.environ.get("no_proxy"), "127.0.0.1"]
    local = ",".join(dict.fromkeys(filter(None, hosts)))
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": DUMMY_KEY,
        "AWS_SECRET_ACCESS_KEY": DUMMY_KEY,
        "AWS_DEFAULT_REGION": region_name,
        "AWS_REGION": region_name,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": local,
        "no_proxy": local,
    }


def redirecting(names: Iterable[str]) -> list[str]:
    """Return those variables which would direct a client elsewhere, or to other credentials."""
    return [name for name in names if name in _REDIRECTING or name.startswith("AWS_ENDPOINT_URL_")]
