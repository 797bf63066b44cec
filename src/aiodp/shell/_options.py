"""The checked arguments of a `ShellHandler`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from aiodp._core.text import shown
from aiodp._core.timing import seconds
from aiodp.shell._environment import check_environment
from aiodp.shell._uri import S3Uri

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

_MAX_GRACE: Final = 86_400.0
"""Seconds, a day."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Options:
    """How all commands of one handler are run. `Options.checked` makes it.

    The `repr` shows none of it: the environment may hold secrets.
    """

    output: Path
    log_uri: str | None
    region_name: str | None
    s3_endpoint_url: str | None
    grace: float
    max_output: int
    environment: Mapping[str, str]
    keep_work: bool

    @classmethod
    def checked(cls, *, grace: float | timedelta, **values: Any) -> Options:
        """Return the options; raise `ValueError` that says which is not allowed, and why."""
        return cls(
            output=_directory(values["output"]),
            log_uri=_log_uri(values["log_uri"]),
            region_name=_region(values["region_name"]),
            s3_endpoint_url=_url(values["s3_endpoint_url"]),
            grace=_grace(grace),
            max_output=_bytes(values["max_output"]),
            environment=check_environment(values["environment"] or {}),
            keep_work=bool(values["keep_work"]),
        )


def _directory(output: object) -> Path:
    """Return it as an absolute path: the working directory may change."""
    if not isinstance(output, (str, os.PathLike)) or not str(output) or "\0" in str(output):
        raise ValueError(f"output must be the path of a directory, not {shown(output)}")
    path = Path(output).absolute()
    if path.exists() and not path.is_dir():
        raise ValueError(f"output must be a directory, which {shown(str(output))} is not")
    return path


def _log_uri(log_uri: object) -> str | None:
    if log_uri is None:
        return None
    if not isinstance(log_uri, str):
        raise ValueError(  # noqa: TRY004 - as for every value of the constructor
            f"log_uri must be a str of the form s3://BUCKET/KEY, not {shown(log_uri)}"
        )
    try:
        return str(S3Uri.parse(log_uri))
    except ValueError as error:
        raise ValueError(f"log_uri: {error}") from None


def _region(name: object) -> str | None:
    if name is not None and (not isinstance(name, str) or not name.strip()):
        raise ValueError(f"region_name must be a region such as 'eu-west-1', not {shown(name)}")
    return name


def _url(url: object) -> str | None:
    if url is None:
        return None
    try:
        parts = urlsplit(str(url))
        is_valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, a broken IPv6 address
        is_valid = False
    if not isinstance(url, str) or not is_valid:
        raise ValueError(f"s3_endpoint_url must be http[s]://HOST[:PORT], not {shown(url)}")
    return url


def _grace(grace: float | timedelta) -> float:
    duration = seconds("grace", grace)
    if not 0 <= duration <= _MAX_GRACE:
        raise ValueError(f"grace must be from 0 to {_MAX_GRACE:,.0f} s, but is {duration:g} s")
    return duration


def _bytes(count: object) -> int:
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise ValueError(f"max_output must be a whole number of bytes, at least 0, not {count!r}")
    return count
