"""Checks which credentials a task runner would use, and when they expire."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import anyio

from aiodp._aws.processes import no_process_left
from aiodp.cli._doctor.findings import Finding

if TYPE_CHECKING:
    from aiobotocore.session import AioSession

    from aiodp.cli._run.access import Keys

_PROVIDERS_TIMEOUT: Final = 4.0
"""Seconds for all providers together: metadata services, processes, calls to STS."""
_EXPIRY_WARNING: Final = 900.0
"""Seconds. Credentials that expire sooner, and that nobody renews, are a warning."""

_PROVIDERS: Final = {
    "assume-role": "a role that is assumed",
    "assume-role-with-web-identity": "a role that is assumed with a web identity",
    "config-file": "the AWS config file",
    "container-role": "the role of this container",
    "custom-process": "the credential_process of the profile",
    "env": "environment variables",
    "explicit": "the session",
    "iam-role": "the instance profile of this machine",
    "login": "aws login",
    "shared-credentials-file": "the shared credentials file",
    "sso": "IAM Identity Center",
}
"""Common names of botocore's providers."""
_FIXED: Final = frozenset({"config-file", "env", "explicit", "shared-credentials-file"})
"""Providers whose credentials are not renewed while a program runs."""

_HOW_TO_GIVE: Final = (
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile in AWS_PROFILE, or give this "
    "machine a role."
)


async def check_credentials(session: AioSession, keys: Keys | None = None) -> Finding:
    """Return the finding; it shows only the access key, and that shortened.

    `keys` are those of the options, which the session has then.
    """
    try:
        with anyio.fail_after(_PROVIDERS_TIMEOUT):
            async with no_process_left():
                credentials = await session.get_credentials()
                if credentials is None:
                    return Finding.failed("credentials", "none", _HOW_TO_GIVE)
                frozen = await credentials.get_frozen_credentials()
    except TimeoutError:
        return Finding.failed(
            "credentials",
            f"not to be had within {_PROVIDERS_TIMEOUT:g} s",
            f"See what holds it up. {_HOW_TO_GIVE}",
        )
    except Exception as error:  # noqa: BLE001 - a provider may raise anything
        return Finding.failed("credentials", f"{type(error).__name__}: {error}", _HOW_TO_GIVE)
    if not (frozen.access_key and frozen.secret_key):
        return Finding.failed(
            "credentials", "the access key or the secret key is empty", _HOW_TO_GIVE
        )
    return credentials_finding(
        method=credentials.method if keys is None else keys.source,
        access_key=frozen.access_key,
        temporary=bool(frozen.token),
        expires=_expiry_of(credentials),
        now=datetime.now(UTC),
    )


def credentials_finding(
    *, method: str, access_key: str, temporary: bool, expires: datetime | None, now: datetime
) -> Finding:
    """Return the finding about credentials that were found."""
    provider = _PROVIDERS.get(method, method)
    found = f"from {provider}, access key {shorten_key(access_key)}"
    fixed = method in _FIXED
    if expires is None:
        return _of_unknown_expiry(found, doubtful=temporary and fixed)
    left = (expires - now).total_seconds()
    found += f", {_expiry(expires, left)}"
    if left <= 0:
        return Finding.failed("credentials", found, "Renew them.")
    if fixed and left < _EXPIRY_WARNING:
        return Finding.warning(
            "credentials", found, "Renew them: a task runner works longer than that."
        )
    return Finding.ok("credentials", found if fixed else f"{found} and are renewed by themselves")


def shorten_key(access_key: str) -> str:
    """Return an access key as it may be shown.

    A text of another form is not shown at all: it may be a secret key in the wrong place.
    """
    if re.fullmatch(r"[A-Z0-9]{16,128}", access_key):
        return f"{access_key[:4]}…{access_key[-4:]}"
    return f"of {len(access_key)} characters, which is not of AWS's form"


def _of_unknown_expiry(found: str, *, doubtful: bool) -> Finding:
    if not doubtful:
        return Finding.ok("credentials", found)
    return Finding.warning(
        "credentials",
        f"{found}, temporary, and nothing says until when",
        "Use a provider that renews them, such as a role: a task runner outlives these.",
    )


def _expiry(expires: datetime, left: float) -> str:
    when = f"{expires.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if left <= 0:
        return f"which expired at {when}"
    return f"which expire in {left / 60:,.0f} min, at {when}"


def _expiry_of(credentials: Any) -> datetime | None:
    """Return when refreshable credentials expire; botocore has no public name for it."""
    expires = getattr(credentials, "_expiry_time", None)
    return expires if isinstance(expires, datetime) else None
