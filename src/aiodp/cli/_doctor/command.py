"""`aiodp doctor`: checks what a task runner needs, and says what to mend."""

from __future__ import annotations

import logging
import os
import sys
import time
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

import anyio
import click

from aiodp._redaction import remember
from aiodp.cli._command import command
from aiodp.cli._doctor.checks import Target, run_checks
from aiodp.cli._doctor.findings import Finding, Writer, as_json, is_ok, summary
from aiodp.cli._doctor.handlers import check_handlers, types_done
from aiodp.cli._doctor.options import Options, options_of_run
from aiodp.cli._params import option
from aiodp.cli._run.access import Access

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOTAL_TIMEOUT: Final = 26.0
"""Seconds for all checks. The timeouts of the checks together make 25."""
_JOIN_TIMEOUT: Final = 1.0
"""Seconds for the thread to end after the last finding."""

_EXIT_CODES: Final = """\b
Exit codes:
  0  all is well, warnings allowed
  1  something must be mended
  2  wrong usage, nothing was sent
  74  stdout or stderr cannot be written"""


@command(epilog=_EXIT_CODES)
@option(
    "--json",
    "json_wanted",
    envvar="AIODP_DOCTOR_JSON",
    is_flag=True,
    help="Print one JSON object, for programs.",
)
def doctor(*, json_wanted: bool, **given: Any) -> int:
    """Check what a task runner needs, and say what to mend.

    Give it the options of your aiodp run. In order: region, credentials, endpoint, clock,
    each call that a task runner makes, the account's quota, who uses the worker group, the
    address of the logs, the handlers. Nothing is changed but a probe in S3, which is
    deleted: the calls are about tasks, pipelines and a worker group that there are not.
    About 20 calls are made, which takes a few seconds, and at most 25.
    """
    logging.getLogger().addHandler(logging.NullHandler())  # no log: the findings are the output
    options = Options(**given)
    access = Access.of(options)
    for secret in access.secrets:
        remember(secret)
    target = Target(
        session=access.session(),
        region=options.region,
        endpoint_url=options.endpoint_url,
        keys=access.keys,
        worker_group=options.worker_group,
        log=options.log(),
        tasks=options.tasks,
        handlers=check_handlers(options.handlers),
        types=types_done(options.handlers),
    )
    worker = _Worker(target)
    findings = _print_json(worker) if json_wanted else _print_text(worker)
    code = 0 if is_ok(findings) else 1
    worker.join_or_exit(code)
    return code


doctor.params[:0] = options_of_run()


def _print_json(worker: _Worker) -> list[Finding]:
    findings = list(worker.findings())
    click.echo(as_json(findings))
    return findings


def _print_text(worker: _Worker) -> list[Finding]:
    writer = Writer(sys.stdout.encoding or "ascii")
    findings = []
    for finding in worker.findings():
        findings.append(finding)
        click.echo(writer.lines(finding))
    click.echo(f"\n{summary(findings)}")
    return findings


class _Worker:
    """Runs the checks in a thread, as a resolver or a credential provider may block for ever."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._queue: SimpleQueue[Finding | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="aiodp doctor", daemon=True)

    def findings(self) -> Iterator[Finding]:
        """Yield the findings as they come; the last one comes within the time limit."""
        deadline = time.monotonic() + _TOTAL_TIMEOUT
        self._thread.start()
        try:
            while finding := self._queue.get(timeout=max(0.0, deadline - time.monotonic())):
                yield finding
        except Empty:
            yield _internal(f"the checks were not done within {_TOTAL_TIMEOUT:g} s")

    def join_or_exit(self, code: int) -> None:
        """Return once the thread has ended; if it does not, exit, as the event loop would wait."""
        self._thread.join(_JOIN_TIMEOUT)
        if self._thread.is_alive():
            sys.stdout.flush()
            os._exit(code)

    def _run(self) -> None:
        anyio.run(self._check)

    async def _check(self) -> None:
        try:
            await run_checks(self._target, self._queue.put)
        except Exception as error:  # noqa: BLE001 - any fault becomes a finding
            self._queue.put(_internal(f"a fault of its own, {type(error).__name__}: {error}"))
        finally:
            self._queue.put(None)


def _internal(found: str) -> Finding:
    return Finding.failed("doctor", found)
