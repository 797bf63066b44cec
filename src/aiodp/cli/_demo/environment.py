"""An environment and a session without the user's AWS configuration."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from aiobotocore.session import get_session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiobotocore.session import AioSession

_PREFIX: Final = "AWS_"
_PROXIES: Final = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy"})
_NO_FILES: Final = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}


@contextmanager
def isolated_environment() -> Iterator[None]:
    """Hide profiles, credentials, endpoints and proxies of the user from this process."""
    hidden = {name: value for name, value in os.environ.items() if _is_hidden(name)}
    for name in hidden:
        del os.environ[name]
    os.environ.update(_NO_FILES)
    try:
        yield
    finally:
        for name in _NO_FILES:
            del os.environ[name]
        os.environ.update(hidden)


def fake_session() -> AioSession:
    """Return a session with invented credentials."""
    session = get_session()
    session.set_credentials("demo", "demo")
    return session


def _is_hidden(name: str) -> bool:
    return name.startswith(_PREFIX) or name.lower() in _PROXIES
