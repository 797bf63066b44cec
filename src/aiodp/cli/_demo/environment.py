"""A session that nothing of the user's can disturb, nor leak into."""

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
def undisturbed() -> Iterator[None]:
    """Hide profiles, credentials, endpoints and proxies of the user from this process."""
    hidden = {name: value for name, value in os.environ.items() if _disturbs(name)}
    for name in hidden:
        del os.environ[name]
    os.environ.update(_NO_FILES)
    try:
        yield
    finally:
        for name in _NO_FILES:
            del os.environ[name]
        os.environ.update(hidden)


def made_up_session() -> AioSession:
    """Return a session whose credentials are nobody's."""
    session = get_session()
    session.set_credentials("demo", "demo")
    return session


def _disturbs(name: str) -> bool:
    return name.startswith(_PREFIX) or name.lower() in _PROXIES
