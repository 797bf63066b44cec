"""Uploads the runner's log to S3, as AWS's Task Runner does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from aiodp import TaskFailed
from aiodp._log import logger
from aiodp.shell._paths import safe_name
from aiodp.shell._s3 import open_store
from aiodp.shell._uri import S3Uri

if TYPE_CHECKING:
    from aiobotocore.session import AioSession

    from aiodp.cli._run.background import BackgroundCalls
    from aiodp.cli._run.hourly_log import HourlyLog

_FLUSH_TIMEOUT: Final = 5.0


class LogUpload:
    """Uploads log files to `<log-uri>/<taskrunner-id>/`; several runners may share a log-uri.

    A failure is logged as a warning, and the file is uploaded again the next time.
    """

    def __init__(
        self,
        files: HourlyLog,
        calls: BackgroundCalls,
        session: AioSession,
        *,
        region: str,
        log_uri: str,
        taskrunner_id: str,
    ) -> None:
        """Raise `ValueError` if `log_uri` is not an S3 address. `calls` write the `files`."""
        self._files = files
        self._calls = calls
        self._session = session
        self._region = region
        self._uri = S3Uri.parse(log_uri).below(safe_name(taskrunner_id))

    async def run(self, timeout: float) -> None:  # noqa: ASYNC109 - a limit for all files together
        """Upload the files that have changed since the last time, in at most `timeout` seconds."""
        await anyio.to_thread.run_sync(self._calls.flush, _FLUSH_TIMEOUT, abandon_on_cancel=True)
        remaining = self._files.take_changed()
        try:
            with anyio.move_on_after(timeout) as scope:
                await self._upload(remaining)
            if scope.cancelled_caught:
                logger.warning("the log could not be pushed to %s in %g s", self._uri, timeout)
        finally:
            self._files.add_changed(remaining)

    async def _upload(self, remaining: list[str]) -> None:
        """Upload these files; remove each from the list once it is uploaded, or gone."""
        try:
            async with open_store(
                self._session, region_name=self._region, endpoint_url=None
            ) as store:
                while remaining:
                    if path := self._files.find(remaining[0]):
                        await store.put(path, self._uri.below(path.name))
                    del remaining[0]
        except (TaskFailed, OSError) as error:
            logger.warning("the log was not pushed: %s", error)
