"""Hides in texts what no output may show: secrets of the credentials in use, passwords in URLs.

AWS quotes the request in its answer to a wrong signature, with the session token; an echoed body
has more. So texts of errors are changed where they come in, and all output once more.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

HIDDEN: Final = "***"
MIN_SECRET_LENGTH: Final = 8
"""AWS's have 40 characters. Hiding a short one wherever it stands would make it guessable."""
_MAX_SECRETS: Final = 64
"""How many are remembered; credentials that are renewed hourly make two an hour."""
_MAX_CAUSES: Final = 16
_PATTERNS: Final = (
    re.compile(
        r"((?<![a-z0-9+.-])[a-z0-9+.-]+://)"
        r"(?:[^\s/?#\"']*|[^\s/?#\"'@:\[]*:(?!\d*[/?#])[^\s\"']*)(?=@)",
        re.IGNORECASE,
    ),
    re.compile(r"(x-amz-security-token[\"']?\s*[:=]\s*[\"']?)[^\s\"'&,;]+", re.IGNORECASE),
    re.compile(r"(Port could not be cast to integer value as ).+"),
)
"""User and password in a URL; a session token in a header or a query; what is taken for a port.

A password with a slash that is not quoted ends where no port can be, and Python quotes the part
before it. A scheme is looked for once in each run of its characters, or long runs would take
quadratic time.
"""

_secrets: Final[dict[str, None]] = {}


def remember(secret: object) -> None:
    """Hide this secret in all texts from now on, unless it is too short to be one."""
    if not isinstance(secret, str) or len(secret) < MIN_SECRET_LENGTH or secret in _secrets:
        return
    while len(_secrets) >= _MAX_SECRETS:
        _secrets.pop(next(iter(_secrets)), None)
    for form in (secret, quote(secret, safe="")):
        _secrets[form] = None


def redact(text: str) -> str:
    """Return the text without secrets."""
    for secret in sorted(_secrets.copy(), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\1{HIDDEN}", text)
    return text


def redact_error(error: BaseException | None, shortened: Mapping[str, str]) -> None:
    """Redact the texts of an exception and of its causes, and shorten what the mapping names.

    It is changed, for users print it and its traceback.
    """
    for _ in range(_MAX_CAUSES):
        if error is None:
            return
        with suppress(Exception):  # a foreign class may refuse what its base has
            error.args = tuple(_cleaned(part, shortened) for part in error.args)
            for texts in (getattr(error, "response", None), getattr(error, "kwargs", None)):
                if isinstance(texts, dict):
                    texts.update({name: _cleaned(part, shortened) for name, part in texts.items()})
        error = error.__cause__ or error.__context__


def _cleaned(part: Any, shortened: Mapping[str, str]) -> Any:
    if isinstance(part, str):
        for long, short in shortened.items():
            part = part.replace(long, short)
        return redact(part)
    if type(part) is dict:
        return {name: _cleaned(value, shortened) for name, value in part.items()}
    return part
