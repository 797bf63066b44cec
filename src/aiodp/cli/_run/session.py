"""`aiodp run` from its first log line to its exit code."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio
from botocore.exceptions import BotoCoreError

from aiodp import ReportRejected
from aiodp._aws.processes import no_process_left
from aiodp._log import logger
from aiodp.cli._run.exit_codes import Exit, exit_after, exit_code
from aiodp.cli._run.health import Health
from aiodp.cli._run.hourly_log import HOUR
from aiodp.cli._run.log_upload import LogUpload
from aiodp.cli._run.signals import Signals
from aiodp.cli._run.systemd import Systemd
from aiodp.cli._shared import KILLED_BY_SIGNAL

if TYPE_CHECKING:
    import signal
    from collections.abc import Awaitable, Callable, Mapping

    from aiobotocore.session import AioSession

    from aiodp import TaskRunner
    from aiodp.cli._run.log import Log
    from aiodp.cli._run.options import Options

_START_TIMEOUT: Final = 90.0
"""Seconds in which credentials must be found.

A credential_process may take long, and a machine's metadata service may begin after us.
"""
_METADATA_INTERVAL: Final = 2.0
_ROTATION_DELAY: Final = 5.0
"""Seconds after the end of an hour at which its log file is taken to be complete."""
_INTERRUPTED_TIMEOUT: Final = 80.0
"""Seconds from the second signal, or the end of --drain-timeout, to the exit.

30 to clean up, 10 for a status, 30 for the log, and some more.
"""
_HOURLY_UPLOAD_TIMEOUT: Final = 600.0
LAST_UPLOAD_TIMEOUT: Final = 30.0
_REFRESH_INTERVAL: Final = 0.5
_HEALTH_INTERVAL: Final = 1.0


@dataclass(slots=True, kw_only=True)
class Session:
    """One run of one task runner; not to be reused."""

    options: Options
    runner: TaskRunner
    types: str
    """Which types of tasks the runner does."""
    aws_session: AioSession
    region: str
    log: Log
    health: Health = field(default_factory=Health)
    _signals: Signals = field(init=False)
    _ended_before_stop: Mapping[str, int] = field(init=False, default_factory=dict)
    _starting: anyio.CancelScope = field(init=False)
    _upload: LogUpload | None = field(init=False)
    _last_upload: anyio.CancelScope = field(init=False)
    _runner_ended: bool = field(init=False, default=False)

    async def run(self) -> int:
        """Run the task runner to its end; return the exit code.

        The process then ends with this code after a few seconds, even if threads still run.
        """
        self._starting = anyio.CancelScope()
        self._upload = self._make_upload()
        self._last_upload = anyio.CancelScope()
        self._signals = Signals(self._on_stop, _on_suspend, self._limit_end)
        self._signals.listen()
        async with anyio.create_task_group() as group:
            group.start_soon(_log_failure, self._rotate_hourly, name="aiodp run hourly")
            group.start_soon(_log_failure, self._watch_health, name="aiodp run health")
            if self.log.screen is not None:
                group.start_soon(_log_failure, self._refresh_table, name="aiodp run table")
            code = await self._run_tasks()
            group.cancel_scope.cancel()
        self._runner_ended = True
        await _log_failure(self._draw_table)
        await _log_failure(self._upload_last)
        self.log.close()
        exit_after(code)
        return code

    async def _run_tasks(self) -> int:
        try:
            with self._starting:
                await self._log_start()
            if not self._starting.cancel_called:
                await self.runner.run(max_tasks=self.options.max_tasks, once=self.options.once)
            return self._exit_code()
        except ReportRejected as error:
            logger.error("%s", error)  # noqa: TRY400 - the message is complete
            return Exit.REJECTED
        except Exception:  # the end of the command: any fault becomes an exit code
            logger.critical("a fault in aiodp run itself", exc_info=True)
            return Exit.INTERNAL_ERROR

    async def _log_start(self) -> None:
        """Log what is run, and where; raise `ReportRejected` if no client can be made."""
        logger.info(
            "task runner %s works on %s in %s at %s, %d tasks at once; types: %s; output: %s; "
            "log: %s",
            self.runner.taskrunner_id,
            self.runner.worker_group,
            self.region,
            await self._endpoint(),
            self.options.tasks,
            self.types,
            self.options.output,
            self.log.files.path,
        )
        self.log.start_table()

    async def _endpoint(self) -> str:
        try:
            with anyio.fail_after(_START_TIMEOUT):
                async with (
                    no_process_left(),
                    self.aws_session.create_client(
                        "datapipeline",
                        region_name=self.region,
                        endpoint_url=self.options.endpoint_url,
                    ) as client,
                ):
                    credentials = await self._find_credentials()
        except (BotoCoreError, ValueError, TimeoutError) as error:
            why = str(error) or f"no credentials in {_START_TIMEOUT:g} s"  # of a TimeoutError
            raise ReportRejected(f"no client for Data Pipeline could be made: {why}") from error
        if credentials is None:
            raise ReportRejected(
                "no AWS credentials were found: give --config or --access-id and --secret-key, or "
                "see the AWS configuration"
            )
        endpoint: str = client.meta.endpoint_url
        return endpoint

    async def _find_credentials(self) -> object:
        """Return the credentials; wait for them where a metadata service may give them later."""
        is_told = False
        while (found := await self.aws_session.get_credentials()) is None:
            if os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
                break
            if not is_told:
                is_told = True
                message = "no AWS credentials yet; waiting for a metadata service for up to %.0f s"
                logger.warning(message, _START_TIMEOUT)
            await anyio.sleep(_METADATA_INTERVAL)
        return found

    def _exit_code(self) -> int:
        end = self.runner.statistics()
        counts = ", ".join(f"{count} {name}" for name, count in end.ended.items() if count)
        logger.info("stopped; tasks received: %d%s", end.received, counts and f" ({counts})")
        return exit_code(
            end,
            once=self.options.once,
            counted=self.options.max_tasks is not None,
            signals=self._signals.received,
            before_stop=self._ended_before_stop,
        )

    def _on_stop(self, number: signal.Signals, count: int) -> None:
        if self._runner_ended:
            logger.warning("%s: the log is pushed no further", number.name)
            self._last_upload.cancel()
        elif count > 1:
            logger.warning("%s: the tasks are interrupted; the next one ends all", number.name)
            self.runner.cancel()
        else:
            logger.warning("%s: draining; the next one interrupts the tasks", number.name)
            self._starting.cancel()  # which may wait for credentials
            self._ended_before_stop = self.runner.statistics().ended
            self.runner.stop()

    def _limit_end(self, number: signal.Signals, count: int) -> None:
        """Bound the time to the end of the process; called in a thread."""
        drain_timeout = self.options.drain_timeout
        if self._runner_ended:
            return
        if count > 1:
            exit_after(KILLED_BY_SIGNAL + number, _INTERRUPTED_TIMEOUT)
        elif drain_timeout is not None:
            exit_after(Exit.TASK_FAILED, drain_timeout + _INTERRUPTED_TIMEOUT)

    async def _refresh_table(self) -> None:
        while True:
            await self._draw_table()
            await anyio.sleep(_REFRESH_INTERVAL)

    async def _draw_table(self) -> None:
        """Draw the present state, unless the terminal has not shown the last one yet."""
        if self.log.screen is not None and (self._runner_ended or self.log.display.idle):
            frame = self.log.screen.sample(self.runner, ended=self._runner_ended)
            self.log.display.call(self.log.screen.show, frame)

    async def _watch_health(self) -> None:
        systemd = Systemd()
        while True:
            is_draining = bool(self._signals.received)
            self.health.take(
                self.runner.statistics(), anyio.current_time(), is_draining=is_draining
            )
            systemd.tell(self.health)
            await anyio.sleep(_HEALTH_INTERVAL)

    async def _rotate_hourly(self) -> None:
        while True:
            await anyio.sleep(HOUR - time.time() % HOUR + _ROTATION_DELAY)
            self.log.disk.call(self.log.files.rotate, time.time())
            if self._upload is not None:
                await self._upload.run(_HOURLY_UPLOAD_TIMEOUT)

    def _make_upload(self) -> LogUpload | None:
        if self.options.log_uri is None:
            return None
        return LogUpload(
            self.log.files,
            self.log.disk,
            self.aws_session,
            region=self.region,
            log_uri=self.options.log_uri,
            taskrunner_id=self.runner.taskrunner_id,
        )

    async def _upload_last(self) -> None:
        if self._upload is not None:
            with self._last_upload:
                await self._upload.run(LAST_UPLOAD_TIMEOUT)


async def _log_failure(part: Callable[[], Awaitable[None]]) -> None:
    """Run a part that the tasks do not need: an exception ends this part only, and is logged."""
    try:
        await part()
    except Exception:  # the tasks go on
        logger.critical("a fault in aiodp run itself, which goes on without that", exc_info=True)


def _on_suspend() -> None:
    logger.warning("not suspended: the tasks would be lost while their commands run")
