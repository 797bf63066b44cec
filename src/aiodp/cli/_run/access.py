"""The keys, proxy and region with which `aiodp run` calls AWS."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote, urlsplit

import click
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from aiobotocore.session import AioSession

_REGION: Final = "us-east-1"
"""The default of Task Runner (Developer Guide, "Task Runner Configuration Options")."""
_SECRET_VARIABLES: Final = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AIODP_RUN_SECRET_KEY",
)
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_KEY_MEMBERS: Final = ("access-id", "private-key")
_NOT_IN_HOSTNAMES: Final = frozenset("/@?#[] \t\r\n")
_UNSUPPORTED: Final = ("proxy_domain", "proxy_workstation")


@dataclass(frozen=True, kw_only=True, repr=False)
class AccessOptions:
    """The values of the options that say how AWS is called. The `repr` shows none."""

    region: str | None
    endpoint_url: str | None
    config: Path | None
    access_id: str | None
    secret_key: str | None
    proxy_host: str | None
    proxy_port: int | None
    proxy_username: str | None
    proxy_password: str | None
    proxy_domain: str | None
    proxy_workstation: str | None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Keys:
    """An access key id and its secret; the `repr` shows neither."""

    access_id: str
    secret: str
    source: str
    """The options that gave them."""
    unused: tuple[str, ...] = ()
    """Names of the other members of the file."""

    @classmethod
    def of(cls, options: AccessOptions) -> Self | None:
        """Return the keys of the command line, else of the file; None if there are none.

        Raises `click.UsageError` for one key without the other, and for a file without both.
        """
        from_file = _read_keys(options.config) if options.config else {}
        access_id, secret = options.access_id, options.secret_key
        source = "--access-id and --secret-key"
        if not access_id and not secret:  # never one from here and one from there
            access_id, secret = map(from_file.get, _KEY_MEMBERS)
            source = "the file of --config"
        if not access_id and not secret:
            return None
        if not access_id or not secret:
            given, missing = ("--access-id", "--secret-key")[:: 1 if access_id else -1]
            raise click.UsageError(f"{given} needs {missing}.", click.get_current_context())
        unused = tuple(name for name in from_file if name not in _KEY_MEMBERS)
        return cls(access_id=access_id, secret=secret, source=source, unused=unused)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Proxy:
    """An HTTP proxy, with a user's name and password if it needs them."""

    host: str
    port: int
    username: str | None
    password: str | None

    @classmethod
    def of(cls, options: AccessOptions) -> Self | None:
        """Return the proxy of the options, None if there is none; raise `click.UsageError`."""
        _refuse_ntlm(options)
        given = [name for name in _REQUIRED_WITH if getattr(options, name)]
        if not given:
            return None
        for name in given:
            needed = _REQUIRED_WITH[name]
            if not getattr(options, needed):
                message = f"{_option_name(name)} needs {_option_name(needed)}."
                raise click.UsageError(message, click.get_current_context())
        host, port = options.proxy_host or "", options.proxy_port or 0
        if _NOT_IN_HOSTNAMES.intersection(host):
            raise click.BadParameter(
                f"{host!r:.60} is not the name or address of a machine.",
                ctx=click.get_current_context(),
                param_hint="'--proxy-host'",
            )
        for name in ("proxy_username", "proxy_password"):
            _check_for_header(name, getattr(options, name) or "")
        return cls(
            host=host, port=port, username=options.proxy_username, password=options.proxy_password
        )

    @property
    def url(self) -> str:
        """The proxy as a URL, which botocore expects."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{self._user}{host}:{self.port}"

    @property
    def _user(self) -> str:
        if not self.username:
            return ""
        password = "" if self.password is None else f":{quote(self.password, safe='')}"
        return f"{quote(self.username, safe='')}{password}@"


def _check_for_header(name: str, value: str) -> None:
    """Refuse what "Proxy-Authorization: Basic" cannot hold, without showing it (RFC 7617)."""
    wrong = [place for place, char in enumerate(value, 1) if not char.isprintable() or char > "ÿ"]
    if wrong:
        raise click.BadParameter(
            f"its character {wrong[0]} cannot be in a proxy's header: only those of Latin-1 can.",
            ctx=click.get_current_context(),
            param_hint=f"'{_option_name(name)}'",
        )


_REQUIRED_WITH: Final = {
    "proxy_host": "proxy_port",
    "proxy_port": "proxy_host",
    "proxy_username": "proxy_host",
    "proxy_password": "proxy_username",
}
"""The option without which each option of the proxy has no meaning."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Access:
    """Keys and proxy, if they are given."""

    keys: Keys | None
    proxy: Proxy | None

    @classmethod
    def of(cls, options: AccessOptions) -> Self:
        """Return those of the options; raise `click.UsageError`."""
        return cls(keys=Keys.of(options), proxy=Proxy.of(options))

    def session(self) -> AioSession:
        """Return a session for the clients of Data Pipeline and of S3."""
        session = get_session()
        if self.keys is not None:
            session.set_credentials(self.keys.access_id, self.keys.secret)
        if self.proxy is not None:
            proxies = {"http": self.proxy.url, "https": self.proxy.url}
            session.set_default_client_config(AioConfig(proxies=proxies))
        return session

    @property
    def secrets(self) -> Iterator[str]:
        """Yield the texts that no log may show."""
        if self.keys is not None:
            yield self.keys.secret
        for name in _SECRET_VARIABLES:  # commands inherit these and may print them
            if value := os.environ.get(name):
                yield value
        if self.proxy is not None and self.proxy.password:
            for form in (quote(self.proxy.password, safe=""), self.proxy.password):
                yield f":{form}@"


def mixes_local_and_aws(session: AioSession, options: AccessOptions) -> bool:
    """Return whether Data Pipeline is a local service but S3 is AWS's: probably by mistake."""
    if options.endpoint_url is None or urlsplit(options.endpoint_url).hostname not in _LOOPBACK:
        return False
    variables = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")
    configured = session.get_scoped_config().get("endpoint_url")
    return not configured and not any(os.environ.get(name) for name in variables)


def region_of(session: AioSession, options: AccessOptions) -> str:
    """Return the region; raise `BotoCoreError` if the AWS configuration cannot be read."""
    configured: str | None = session.get_config_variable("region")
    return options.region or configured or _REGION


def _read_keys(path: Path) -> dict[str, Any]:
    """Read Task Runner's file of keys. Error messages show nothing of its content."""
    try:
        keys = json.loads(path.read_bytes())
    except OSError as error:
        raise _bad_file(path, f"cannot be read: {error.strerror}") from None
    except ValueError:
        raise _bad_file(path, "is no JSON") from None
    if not isinstance(keys, dict):
        raise _bad_file(path, "is no JSON object")
    for name in _KEY_MEMBERS:
        if not isinstance(keys.get(name), str) or not keys[name]:
            raise _bad_file(path, f'needs a text "{name}"')
    return keys


def _bad_file(path: Path, what: str) -> click.BadParameter:
    context = click.get_current_context()
    return click.BadParameter(f"{path} {what}.", ctx=context, param_hint="'--config'")


def _refuse_ntlm(options: AccessOptions) -> None:
    for name in _UNSUPPORTED:
        if getattr(options, name):
            raise click.UsageError(
                f"{_option_name(name)} is of NTLM, which is not supported: leave it out, and use a "
                f"proxy with basic authentication or none.",
                click.get_current_context(),
            )


def _option_name(name: str) -> str:
    return "--" + name.replace("_", "-")
