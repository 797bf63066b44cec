"""A task runner in the foreground of a process, from its first line to its exit code."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio
from botocore.exceptions import BotoCoreError

from aiodp import ReportRejected
from aiodp.cli._run.exit_codes import Exit, insist, verdict
from aiodp.cli._run.hourly_log import HOUR
from aiodp.cli._run.log_upload import LogPush
from aiodp.cli._run.signals import DIED, Signals

if TYPE_CHECKING:
    import signal
    from collections.abc import Awaitable, Callable, Mapping

    from aiobotocore.session import AioSession

    from aiodp import TaskRunner
    from aiodp.cli._run.log import Log
    from aiodp.cli._run.options import Options

logger = logging.getLogger("aiodp")

_START_TIMEOUT: Final = 60.0
"""Seconds in which credentials must be found; a program may be asked for them."""
_AFTER: Final = 5.0
"""Seconds of a new hour after which the log of the old one is taken to be complete."""
_INTERRUPTION: Final = 80.0
"""Seconds after a second signal: 30 to clean up, 10 for a status, 30 for the log, and some more."""
_HOURLY_PUSH: Final = 600.0
_LAST_PUSH: Final = 30.0
_REFRESH: Final = 0.5


@dataclass(slots=True, kw_only=True)
class Work:
    """One runner, once."""

    options: Options
    runner: TaskRunner
    session: AioSession
    region: str
    log: Log
    _signals: Signals = field(init=False)
    _before_stop: Mapping[str, int] = field(init=False, default_factory=dict)
    _push: LogPush | None = field(init=False)
    _pushing: anyio.CancelScope = field(init=False)
    _over: bool = field(init=False, default=False)

    async def run(self) -> int:
        """Work until the end; return the exit code, with which the process then does end."""
        self._push = self._make_push()
        self._pushing = anyio.CancelScope()
        self._signals = Signals(self._on_signal, _refuse_suspension)
        self._signals.listen()
        async with anyio.create_task_group() as group:
            group.start_soon(_guarded, self._each_hour, name="aiodp run hourly")
            if self.log.screen is not None:
                group.start_soon(_guarded, self._draw, name="aiodp run table")
            code = await self._work()
            group.cancel_scope.cancel()
        self._over = True
        await _guarded(self._show)
        await _guarded(self._push_last)
        self.log.close()
        insist(code)
        return code

    async def _work(self) -> int:
        try:
            await self._greet()
            await self.runner.run(max_tasks=self.options.max_tasks, once=self.options.once)
            return self._verdict()
        except ReportRejected as error:
            logger.error("%s", error)  # noqa: TRY400 - the message says it all
            return Exit.REJECTED
        except Exception:  # the last resort
            logger.critical("a fault in aiodp run itself", exc_info=True)
            return Exit.BROKEN

    async def _greet(self) -> None:
        """Say what is done, and where; raise `ReportRejected` if no client can be made."""
        logger.info(
            "task runner %s works on %s in %s at %s, %d tasks at once; output: %s; log: %s",
            self.runner.taskrunner_id,
            self.runner.worker_group,
            self.region,
            await self._endpoint(),
            self.options.tasks,
            self.options.output,
            self.log.files.path,
        )
        self.log.start_table()

    async def _endpoint(self) -> str:
        try:
            with anyio.fail_after(_START_TIMEOUT):
                async with self.session.create_client(
                    "datapipeline", region_name=self.region, endpoint_url=self.options.endpoint_url
                ) as client:
                    credentials = await self.session.get_credentials()
        except (BotoCoreError, ValueError, TimeoutError) as error:
            raise ReportRejected(
                f"no client for Data Pipeline could be made: {error or 'no credentials in time'}"
            ) from error
        if credentials is None:
            raise ReportRejected(
                "no AWS credentials were found: give --config or --access-id and --secret-key, or "
                "see the AWS configuration"
            )
        endpoint: str = client.meta.endpoint_url
        return endpoint

    def _verdict(self) -> int:
        end = self.runner.statistics()
        told = ", ".join(f"{count} {one}" for one, count in end.ended.items() if count)
        logger.info("stopped; tasks received: %d%s", end.received, told and f" ({told})")
        return verdict(
            end,
            once=self.options.once,
            counted=self.options.max_tasks is not None,
            signals=self._signals.heard,
            before_stop=self._before_stop,
        )

    def _on_signal(self, number: signal.Signals, count: int) -> None:
        if self._over:
            logger.warning("%s: the log is pushed no further", number.name)
            self._pushing.cancel()
        elif count > 1:
            logger.warning("%s: the tasks are interrupted; the next one ends all", number.name)
            self.runner.cancel()
            insist(DIED + number, _INTERRUPTION)
        else:
            logger.warning("%s: draining; the next one interrupts the tasks", number.name)
            self._before_stop = self.runner.statistics().ended
            self.runner.stop()

    async def _draw(self) -> None:
        while True:
            await self._show()
            await anyio.sleep(_REFRESH)

    async def _show(self) -> None:
        """Draw what there is now, unless the terminal is behind."""
        if self.log.screen is not None and (self._over or self.log.display.idle):
            self.log.display.call(self.log.screen.show, self.log.screen.look(self.runner))

    async def _each_hour(self) -> None:
        while True:
            await anyio.sleep(HOUR - time.time() % HOUR + _AFTER)
            self.log.disk.call(self.log.files.turn, time.time())
            if self._push is not None:
                await self._push.push(_HOURLY_PUSH)

    def _make_push(self) -> LogPush | None:
        if self.options.log_uri is None:
            return None
        return LogPush(
            self.log.files,
            self.log.disk,
            self.session,
            region=self.region,
            log_uri=self.options.log_uri,
            taskrunner_id=self.runner.taskrunner_id,
        )

    async def _push_last(self) -> None:
        if self._push is not None:
            with self._pushing:
                await self._push.push(_LAST_PUSH)


async def _guarded(part: Callable[[], Awaitable[None]]) -> None:
    """Let a fault in what is an extra end that, and nothing else."""
    try:
        await part()
    except Exception:  # the tasks must not pay for it
        logger.critical("a fault in aiodp run itself, which goes on without that", exc_info=True)


def _refuse_suspension() -> None:
    logger.warning("not suspended: the tasks would be lost while their commands run")
