"""What a user gives as the session."""

from __future__ import annotations

from typing import Final

from aiobotocore.session import AioSession
from botocore.session import Session

_WANTED: Final = (
    "session must be a session of aiobotocore, as aiobotocore.session.get_session() makes it"
)


def check_session(session: object) -> None:
    """Raise `TypeError` for what cannot make clients that are awaited."""
    is_synchronous = isinstance(session, Session) and not isinstance(session, AioSession)
    if is_synchronous or not hasattr(session, "create_client"):
        raise TypeError(f"{_WANTED}, not {type(session).__module__}.{type(session).__name__}")


def region_of(session: AioSession, region_name: str | None) -> str | None:
    """Return the region of clients; what makes clients and is no session need not say it."""
    if region_name is not None or not isinstance(session, AioSession):
        return region_name
    configured: str | None = session.get_config_variable("region")
    return configured
