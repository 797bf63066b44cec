"""The environment in which every AWS client of a test finds the local service, and no other."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

MADE_UP: Final = "testing"
"""Access key and secret; moto gives them its default account."""
DEAD_END: Final = "http://127.0.0.1:9/aiodp-offline"
"""An endpoint where nobody listens; errors about it show its name."""

_MISLEADING: Final = frozenset(
    {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
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
    """Return the variables which lead the SDKs and the CLI to an endpoint on this machine."""
    named = [os.environ.get("NO_PROXY"), os.environ.get("no_proxy"), "127.0.0.1"]
    local = ",".join(dict.fromkeys(filter(None, named)))
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": MADE_UP,
        "AWS_SECRET_ACCESS_KEY": MADE_UP,
        "AWS_DEFAULT_REGION": region_name,
        "AWS_REGION": region_name,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": local,
        "no_proxy": local,
    }


def misleading(names: Iterable[str]) -> list[str]:
    """Return those variables which would lead a client elsewhere, or to other credentials."""
    return [name for name in names if name in _MISLEADING or name.startswith("AWS_ENDPOINT_URL_")]
