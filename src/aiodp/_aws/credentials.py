"""The credentials of our calls: renewed beside them, by one task, and looked for anew if refused.

An attempt to report is soon cut off, and the next one begins. So a renewal that an attempt made
would never end if it takes longer: here attempts wait for it, but none of them carries it.
"""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import anyio
from aiobotocore.credentials import AioCredentials
from botocore import UNSIGNED
from botocore.exceptions import NoCredentialsError

from aiodp._aws.errors import CODES, CredentialsFailed
from aiodp._aws.own_session import follow_source, new_session
from aiodp._aws.renewal import renew
from aiodp._aws.secrets import credentials_of
from aiodp._aws.shared_work import SharedWork
from aiodp._aws.waiting import waiting_for
from aiodp._concurrency import bare_group
from aiodp._log import OncePer, logger
from aiodp._redaction import remember
from aiodp._types import ReportKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from aiobotocore.session import AioSession
    from anyio.abc import TaskGroup

_SLOW: Final = 10.0
_LOG_INTERVAL: Final = 300.0
_DENIED: Final = frozenset(
    {"AccessDenied", "AccessDeniedException", "NotAuthorized", "OptInRequired"}
)
"""The credentials are good, but permit too little: what is cached need not be thrown away."""
_REFUSED: Final = frozenset(CODES[ReportKind.CONFIGURATION])
INVALID: Final = _REFUSED - _DENIED | {"InvalidToken"}
"""What S3 says to bad credentials; to denied access it says so for reasons of a bucket."""
_EXPLICIT: Final = "explicit"
"""What the program itself has given, to a session or to a client."""
_ASSUMED_ROLE: Final = "assume-role"
"""The provider that alone has others behind it, whose keys it reads once."""
_SUCCESSFUL: Final = 300
_GENERATION: Final = "aiodp_generation"


class SharedCredentials:
    """Signs the calls of clients with the credentials of their session, or with newer ones.

    These are looked for when the service answers with one of the codes in `refused`.
    """

    def __init__(self, session: AioSession, group: TaskGroup, refused: Collection[str]) -> None:
        self._session = session
        self._refused = refused
        self._of_session: Any = None
        self._held: Any = None
        self._last: Any = None  # the last ones that were good, frozen
        self._generation = 0
        self._is_invalid = False
        self._load = SharedWork(group, self._load_those_of_session, self._fail)
        self._renewal = SharedWork(group, self._renew, self._fail)
        self._search = SharedWork(group, self._look_for_others, self._fail)
        self._log = OncePer(_LOG_INTERVAL)

    def attach(self, client: Any) -> None:
        """Sign the calls of a client from now on, unless it was given keys of its own."""
        given = credentials_of(client)
        if getattr(given, "method", None) == _EXPLICIT and given is not self._loaded:
            return
        service = client.meta.service_model.service_id.hyphenize()
        client.meta.events.register(f"before-sign.{service}", self._sign)
        client.meta.events.register_first(f"needs-retry.{service}", self._repeat_if_refused)

    def stop(self) -> None:
        """Break off what is under way, for nothing is signed any more."""
        for shared in (self._load, self._renewal, self._search):
            shared.stop()

    async def _sign(self, request: Any, signature_version: Any = None, **_: Any) -> None:
        if signature_version is UNSIGNED:
            return
        with waiting_for("credentials"):
            await self._find()
        with waiting_for(f"credentials{self._provider}"):
            frozen = await self._current()
        remember(frozen.secret_key)
        own = AioCredentials(frozen.access_key, frozen.secret_key, frozen.token)
        signing = request.context.get("signing") or {}
        request.context["signing"] = {**signing, "request_credentials": own}
        request.context[_GENERATION] = self._generation

    @property
    def _provider(self) -> str:
        method = getattr(self._held, "method", None)
        return f" of {method}" if method else ""

    async def _find(self) -> None:
        """Take those of the session; raise `CredentialsFailed` if it finds none."""
        follow_source(self._session)
        if self._of_session is None:
            await self._load.wait()
        elif (found := await self._session.get_credentials()) is not self._of_session:
            self._hold(found)  # the user has set other ones

    def _hold(self, found: Any) -> None:
        self._of_session = self._held = found
        self._last = getattr(found, "_frozen_credentials", None)  # not renewed
        self._renewal.forgive()

    @property
    def _loaded(self) -> Any:
        return getattr(self._session, "_credentials", None)

    @property
    def _are_to_be_renewed(self) -> bool:
        needs = getattr(self._held, "refresh_needed", None)
        return needs is not None and needs()

    @property
    def _are_expired(self) -> bool:
        return self._last is None or self._held.refresh_needed(0)

    async def _current(self) -> Any:
        """Return credentials to sign with, frozen; raise `CredentialsFailed`."""
        if not self._are_to_be_renewed:
            self._last = await self._held.get_frozen_credentials()
        elif self._are_expired:
            await self._renewal.wait()
            if self._are_to_be_renewed and self._are_expired:
                raise self._fail(RuntimeError("others were set while they were renewed"))
        else:
            self._renewal.begin()
            self._log_if_slow()
        return self._last

    async def _load_those_of_session(self) -> bool:
        found = await self._session.get_credentials()
        if found is None:
            raise NoCredentialsError
        self._hold(found)
        return True

    async def _renew(self) -> bool:
        """Ask the provider, once; return whether what it gave need not be renewed at once."""
        held, before = self._held, self._last
        try:
            frozen = await renew(self._session, held)
        except Exception:
            if self._held is held and not await self._is_assumed_anew():
                raise
        else:
            if self._held is held:  # and the user has not set others meanwhile
                self._last = frozen
                if frozen == before:  # it failed, which is no error yet
                    await self._is_assumed_anew()
        return not self._are_to_be_renewed

    async def _is_assumed_anew(self) -> bool:
        """Assume a role by the keys that the files hold now: those that were read may be gone."""
        if getattr(self._held, "method", None) != _ASSUMED_ROLE:
            return False
        with suppress(Exception):  # the failure of the renewal is the answer
            return await self._take_others(new_session(self._session), "could not be renewed")
        return False

    def _fail(self, error: Exception) -> Exception:
        failed = CredentialsFailed(error, getattr(self._held, "method", None))
        self._log.log(logging.WARNING, "failed", "%s", failed)
        return failed

    def _log_if_slow(self) -> None:
        began_at = self._renewal.began_at
        if began_at is not None and (lasts := anyio.current_time() - began_at) > _SLOW:
            message = "the renewal of credentials%s lasts for %.0f s; the old ones are valid still"
            self._log.log(logging.WARNING, "slow", message, self._provider, lasts)

    async def _repeat_if_refused(
        self, response: Any, request_dict: dict[str, Any], attempts: int, **_: Any
    ) -> float | None:
        """Look for other credentials if the service does not take these; return 0 to try again."""
        if response is None:
            return None
        http, parsed = response
        if http.status_code < _SUCCESSFUL:
            self._search.forgive()
        generation = request_dict["context"].get(_GENERATION)
        code = parsed.get("Error", {}).get("Code")
        if code not in self._refused or attempts > 1 or generation is None:
            return None
        self._is_invalid = code not in _DENIED
        with waiting_for("other credentials than those that were refused"):
            return 0 if await self._is_renewed_since(generation) else None

    async def _is_renewed_since(self, generation: int) -> bool:
        if self._generation == generation and getattr(self._held, "method", "") != _EXPLICIT:
            with suppress(CredentialsFailed):  # the refusal is the answer
                await self._search.wait()
        return self._generation != generation

    async def _look_for_others(self) -> bool:
        """Ask all providers again, as a new session would: a file may hold new keys by now."""
        is_invalid, self._is_invalid = self._is_invalid, False
        session = new_session(self._session) if is_invalid else self._session
        await self._take_others(session, "were refused")
        return False

    async def _take_others(self, session: AioSession, what: str) -> bool:
        """Use what the providers of a session find, if it is not what is used; return whether."""
        found = await session.get_component("credential_provider").load_credentials()
        frozen = None if found is None else await found.get_frozen_credentials()
        if frozen is None or frozen == self._last:
            return False
        if self._loaded is self._of_session:
            setattr(self._session, "_credentials", found)  # noqa: B010 - for clients made later
            self._of_session = found
        self._held, self._last = found, frozen
        self._generation += 1
        logger.warning("credentials %s; others were found, and are used from now on", what)
        return True


@asynccontextmanager
async def shared_credentials(
    session: AioSession, refused: Collection[str] = _REFUSED
) -> AsyncIterator[SharedCredentials]:
    """Renew the credentials of a session beside the block."""
    async with bare_group() as group:
        credentials = SharedCredentials(session, group, refused)
        try:
            yield credentials
        finally:
            credentials.stop()
