"""Remembers the secrets of the credentials that a client uses, so that no output shows them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from aiodp._redaction import remember

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOKEN_HEADER: Final = "X-Amz-Security-Token"  # noqa: S105 - its name
_SECRETS: Final = ("secret_key", "token", "_secret_key", "_token")
"""Attributes of botocore's credentials; the private ones are of those that are renewed."""


def remember_secrets(client: Any) -> None:
    """Remember them at each call of the client, for they may be renewed in between."""
    client.meta.events.register("before-send", partial(_remember, credentials_of(client)))


def credentials_of(client: Any) -> Any:
    """Return the credentials that a client was made with; None if that cannot be told."""
    signer = getattr(client, "_request_signer", None)  # botocore has no public name for both
    return getattr(signer, "_credentials", None)


def _remember(credentials: Any, request: Any, **_: Any) -> None:
    held = getattr(credentials, "__dict__", {})  # a property might renew them
    for name in _SECRETS:
        remember(held.get(name))
    headers: Mapping[str, str | bytes] = request.headers
    token = headers.get(_TOKEN_HEADER)
    remember(token.decode() if isinstance(token, bytes) else token)
