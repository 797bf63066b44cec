"""Takes the runner's log to S3, as AWS's Task Runner does."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from aiodp import TaskFailed
from aiodp.shell._places import safe_name
from aiodp.shell._s3 import open_store
from aiodp.shell._uri import S3Uri

if TYPE_CHECKING:
    from aiobotocore.session import AioSession

    from aiodp.cli._run.background import Sideline
    from aiodp.cli._run.hourly_log import HourlyLog

logger = logging.getLogger("aiodp")

_FLUSH_TIMEOUT: Final = 5.0


class LogPush:
    """Pushes what was written to `<log-uri>/<taskrunner-id>/`, for several runners may share it.

    A failure is a warning, and the file goes with the next push.
    """

    def __init__(
        self,
        files: HourlyLog,
        sideline: Sideline,
        session: AioSession,
        *,
        region: str,
        log_uri: str,
        taskrunner_id: str,
    ) -> None:
        """Raise `ValueError` if the address is none in S3."""
        self._files = files
        self._sideline = sideline
        self._session = session
        self._region = region
        self._uri = S3Uri.parse(log_uri).below(safe_name(taskrunner_id))

    async def push(self, timeout: float) -> None:  # noqa: ASYNC109 - a limit of the whole
        """Push what was written since the last time, in so many seconds."""
        await anyio.to_thread.run_sync(self._sideline.flush, _FLUSH_TIMEOUT, abandon_on_cancel=True)
        names = self._files.take_changed()
        left = list(names)
        try:
            with anyio.move_on_after(timeout) as scope:
                await self._push_all(left)
            if scope.cancelled_caught:
                logger.warning("the log could not be pushed to %s in %g s", self._uri, timeout)
        finally:
            self._files.give_back(left)

    async def _push_all(self, left: list[str]) -> None:
        """Push files; those that were are no longer on the list."""
        try:
            async with open_store(
                self._session, region_name=self._region, endpoint_url=None
            ) as store:
                while left:
                    if path := self._files.find(left[0]):
                        await store.put(path, self._uri.below(path.name))
                    del left[0]
        except (TaskFailed, OSError) as error:
            logger.warning("the log was not pushed: %s", error)
