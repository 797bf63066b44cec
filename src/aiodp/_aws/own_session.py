"""A session for the event loop of another thread.

Credentials and tokens that refresh have a lock, which belongs to one event loop, and so have the
connections to the metadata service. A session of its own shares what never changes: configuration,
hooks, keys. It starts with the credentials that the user's session has loaded, but refreshes them
by itself, so neither loop waits for a refresh of the other.
"""

from __future__ import annotations

import copy
import inspect
from contextlib import AsyncExitStack
from functools import partial
from getpass import getpass
from types import CellType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Final

from aiobotocore.session import AioSession
from botocore.exceptions import RefreshWithMFAUnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterable

_HTTP: Final = frozenset({"aiobotocore.httpsession", "aiobotocore.httpxsession"})
BOTOCORE: Final = _HTTP | {
    f"{package}.{module}"
    for package in ("aiobotocore", "botocore")
    for module in ("credentials", "tokens", "utils")
}
"""The modules of the classes that know how to get credentials, and of what they get them by."""
_CLOSED: Final = {
    "_RefCountedSessionMixin__lock": None,
    "_RefCountedSessionMixin__ref_count": 0,
    "_entered": False,
    "_session": None,
    "_sessions": None,
}
"""What a session of HTTP is before it is opened."""
_SOURCE: Final = "_aiodp_source"
"""Where a session notes which one it is a copy of, and what credentials that had."""
_IDENTITY: Final = frozenset({"_credentials", "_auth_token"})
_LOCATORS: Final = frozenset({"_components", "_internal_components"})
_PARTS: Final = ("credential_provider", "token_provider")


def own_session(session: AioSession) -> AioSession:
    """Return a session with the same identity, for clients in another thread's event loop."""
    if not isinstance(session, AioSession):  # what else makes clients is the user's own
        return session
    return _Copier(session).own


def own_credentials(session: AioSession, held: Any) -> Any:
    """Return a copy of a session's credentials, to be renewed in another thread's event loop."""
    return _Copier(session).copy(held)


def follow_source(own: AioSession) -> None:
    """Take over the credentials that were set in the session that this is a copy of, if any."""
    source, before = getattr(own, "__dict__", {}).get(_SOURCE, (own, None))
    found = getattr(source, "_credentials", None)
    if source is not own and found is not None and found is not before:
        vars(own).update({"_credentials": own_credentials(source, found), _SOURCE: (source, found)})


def new_session(session: AioSession) -> AioSession:
    """Return a session with the same identity that has read no file yet, and has nothing cached.

    Nobody is asked for the code of a device: it would stop the event loop.
    """
    own = own_session(session)
    if own is session:
        return session
    for name in ("_config", "_credentials"):
        setattr(own, name, None)
    providers = getattr(own.get_component("credential_provider"), "providers", ())
    for provider in (one for one in providers if _modules(one) & BOTOCORE):
        cache = getattr(provider, "cache", None)
        if type(cache) is dict:
            cache.clear()  # it may be that of several providers
        elif cache is not None:
            provider.cache = {}
        if "_visited_profiles" in vars(provider):  # older versions go on with what they visited
            vars(provider)["_visited_profiles"] = [vars(provider)["_profile_name"]]
        if getattr(provider, "_prompter", None) is getpass:
            vars(provider)["_prompter"] = _ask_nobody
    return own


def _ask_nobody(_: str) -> str:
    raise RefreshWithMFAUnsupportedError


class _Copier:
    """Copies what is botocore's, with new locks; what is the user's is shared.

    An attribute that another version of botocore does not have is left out.
    """

    def __init__(self, session: AioSession) -> None:
        self.own = copy.copy(session)
        self._done: dict[int, Any] = {id(session): self.own}
        self._kept: list[Any] = []  # so that no id is given twice
        known, parts = vars(session), vars(self.own)
        parts[_SOURCE] = (session, known.get("_credentials"))
        parts |= {name: self.copy(known[name]) for name in _IDENTITY & known.keys()}
        parts |= {name: self._copy_locator(known[name]) for name in _LOCATORS & known.keys()}

    def copy(self, value: Any) -> Any:
        """Return the other session's own of a value."""
        if id(value) not in self._done:
            self._kept.append(value)
            self._done[id(value)] = value  # for circles through what is not copied as a whole
            self._done[id(value)] = self._copy(value)
        return self._done[id(value)]

    def _copy_locator(self, locator: Any) -> Any:
        """Return a locator of components with its own that refresh, made or still to be made."""
        own, known = copy.copy(locator), vars(locator)
        made, deferred = known.get("_components", {}), known.get("_deferred", {})
        vars(own).update(
            _components={
                name: self.copy(part) if name in _PARTS else part for name, part in made.items()
            },
            _deferred={name: self.copy(make) for name, make in deferred.items()},
        )
        return own

    def _copy(self, value: Any) -> Any:  # noqa: PLR0911 - one line for each kind
        acquire = getattr(value, "acquire", None)
        if hasattr(value, "locked") and inspect.iscoroutinefunction(acquire):
            return type(value)()
        match value:
            case AsyncExitStack():
                return AsyncExitStack()
            case MethodType():
                return MethodType(value.__func__, self.copy(value.__self__))
            case FunctionType() if value.__closure__ and value.__module__ in BOTOCORE:
                return self._copy_function(value)
            case partial():
                words = {name: self.copy(part) for name, part in value.keywords.items()}
                return partial(self.copy(value.func), *self._copies(value.args), **words)
            case dict() if type(value) is dict:
                return {key: self.copy(part) for key, part in value.items()}
            case list() | tuple() | set() if type(value) in (list, tuple, set):
                return type(value)(self._copies(value))
        return self._copy_object(value) if _modules(value) & BOTOCORE else value

    def _copy_object(self, value: Any) -> Any:
        if not hasattr(value, "__dict__") or isinstance(value, type):
            return value
        own = self._done[id(value)] = copy.copy(value)
        for name, part in vars(value).items():
            vars(own)[name] = self.copy(part)
        if _modules(value) & _HTTP:
            for name in vars(own).keys() & _CLOSED.keys():
                vars(own)[name] = _CLOSED[name]
        return own

    def _copy_function(self, value: FunctionType) -> FunctionType:
        """Copy a function of botocore's together with what it refers to, such as the session."""
        cells = tuple(CellType(self.copy(cell.cell_contents)) for cell in value.__closure__ or ())
        own = FunctionType(
            value.__code__, value.__globals__, value.__name__, value.__defaults__, cells
        )
        own.__kwdefaults__ = value.__kwdefaults__
        return own

    def _copies(self, values: Iterable[Any]) -> list[Any]:
        return [self.copy(value) for value in values]


def _modules(value: object) -> set[str]:
    return {base.__module__ for base in type(value).__mro__}
