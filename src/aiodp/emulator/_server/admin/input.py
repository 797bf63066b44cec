"""The parameters and the body of a request to the control paths, checked by name and type."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

from moto.core.models import DEFAULT_ACCOUNT_ID
from werkzeug.exceptions import BadRequest

from aiodp._core.text import illegal_character
from aiodp.emulator._errors import ServiceError
from aiodp.emulator._server.call import DEFAULT_REGION

if TYPE_CHECKING:
    from collections.abc import Callable

    from werkzeug.wrappers import Request

    from aiodp.emulator._server.locked import LockedService
    from aiodp.emulator._server.moto import Emulation

_ACCOUNT: Final = re.compile(r"[0-9]{12}")
_ADDRESS: Final = ("account", "region")
_MAX_TEXT: Final = 2048  # characters, of the longest id of the service, which is a task's
_MAX_NAME: Final = 1024  # characters
_LEGAL: Final = "characters which are legal in XML"
_MAX_SHOWN: Final = 100  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of a body: its kind, and whether it is required.

    The kinds are "text", "texts", "name" (a shorter text), "number" (a finite number), "count" (a
    whole number which is not negative), "flag" and "object" (any JSON object). A text has only
    characters which are legal in XML, as in the requests of the service itself.
    """

    kind: str
    required: bool = False


class Input:
    """One request to the control paths, and the service which it is about."""

    def __init__(self, request: Request, emulation: Emulation) -> None:
        self._request = request
        self.emulation = emulation

    def service(self) -> LockedService:
        """Return the service which the query names: the default account's, in us-east-1, if none.

        To read a service that nobody has used yet does not make it. Raises `BadRequest` for an
        account which is no account's number, and for a region which AWS does not have.
        """
        account = self._request.args.get("account", DEFAULT_ACCOUNT_ID)
        region = self._request.args.get("region", DEFAULT_REGION)
        if not _ACCOUNT.fullmatch(account):
            raise BadRequest(f"account must be twelve digits, not {_shown(account)}")
        reads = self._request.method in ("GET", "HEAD")
        find = self.emulation.service_to_read if reads else self.emulation.service
        try:
            return find(account, region)
        except KeyError:
            raise BadRequest(f"AWS has no region {_shown(region)}") from None
        except ServiceError as error:
            raise BadRequest(error.message) from None

    def query(self, *names: str) -> dict[str, str]:
        """Return the parameters of the query with these names, of which any may be missing.

        Raises `BadRequest` for an unknown or a repeated one.
        """
        args = self._request.args
        _check_names(args, (*_ADDRESS, *names), "parameter")
        for name in args:
            if len(args.getlist(name)) > 1:
                raise BadRequest(f"the parameter {name} is there more than once")
        return {name: args[name] for name in names if name in args}

    def body(self, **members: Member) -> dict[str, Any]:
        """Return the members of the body; a member which is `null` counts as missing.

        Raises `BadRequest` if it is no JSON object of these members.
        """
        self.query()
        given = _object(self._request.get_data())
        _check_names(given, members, "member")
        read = {
            name: _read(name, members[name].kind, value)
            for name, value in given.items()
            if value is not None
        }
        for name, member in members.items():
            if member.required and name not in read:
                raise BadRequest(f"{name} is missing")
        return read


def whole(name: str, text: str) -> int:
    """Return a parameter of the query which must be a count; raises `BadRequest`."""
    if not (text.isascii() and text.isdecimal() and len(text) < 16):  # noqa: PLR2004 - sys.maxsize
        raise BadRequest(f"{name} must be a whole number from 0 on, not {_shown(text)}")
    return int(text)


def _check_names(given: Any, allowed: Any, what: str) -> None:
    for name in given:
        if name not in allowed:
            known = ", ".join(sorted(allowed)) or "none"
            raise BadRequest(f"unknown {what} {_shown(name)}; there are: {known}")


def _object(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body or b"{}", parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        content = None
    if isinstance(content, dict):
        return content
    raise BadRequest("the body must be a JSON object")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _read(name: str, kind: str, value: Any) -> Any:
    accepts, expected = _KINDS[kind]
    if not accepts(value):
        raise BadRequest(f"{name} must be {expected}, not {_shown(value)}")
    return value


def _is_text(value: Any, limit: int = _MAX_TEXT) -> bool:
    is_string = isinstance(value, str) and 1 <= len(value) <= limit
    return is_string and illegal_character(value) is None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15  # noqa: PLR2004 - so neither infinite nor NaN


_KINDS: Final[dict[str, tuple[Callable[[Any], bool], str]]] = {
    "text": (_is_text, f"a string of 1 to {_MAX_TEXT} {_LEGAL}"),
    "texts": (
        lambda value: isinstance(value, list) and all(map(_is_text, value)),
        "a list of strings",
    ),
    "name": (lambda value: _is_text(value, _MAX_NAME), f"a string of 1 to {_MAX_NAME} {_LEGAL}"),
    "number": (_is_number, "a number"),
    "count": (
        lambda value: _is_number(value) and isinstance(value, int) and value >= 0,
        "a whole number from 0 on",
    ),
    "flag": (lambda value: isinstance(value, bool), "true or false"),
    "object": (lambda value: isinstance(value, dict), "a JSON object"),
}


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…"
