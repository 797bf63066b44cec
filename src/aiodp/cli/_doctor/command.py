"""`aiodp doctor`: checks what a task runner needs, and says what to mend."""

from __future__ import annotations

import logging
import os
import sys
import time
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Final

import anyio
import click
from aiobotocore.session import get_session

from aiodp._core.text import checked_string
from aiodp.cli._doctor.checks import Case, visit
from aiodp.cli._doctor.findings import Finding, Verdict, Writer, as_json, is_well, summary
from aiodp.cli._params import Url, option

if TYPE_CHECKING:
    from collections.abc import Iterator

_LIMIT: Final = 16.0
"""Seconds for all checks; each has a bound of its own, which together make 15."""
_LAST_MOMENT: Final = 1.0
"""Seconds for the checks' thread to end, once all is found."""

_EXIT_CODES: Final = """\b
Exit codes:
  0  all is well, warnings allowed
  1  something must be mended
  2  wrong usage, nothing was sent"""


def _group(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        return checked_string("the name", value)
    except ValueError as error:
        raise click.BadParameter(f"{error}.", ctx, param) from error


@click.command(epilog=_EXIT_CODES)
@option(
    "--worker-group",
    "--workerGroup",
    metavar="NAME",
    callback=_group,
    help="The worker group of the task runner, for messages; it is never polled.",
)
@option("--region", metavar="NAME", help="AWS region, unless the AWS configuration names it.")
@option(
    "--endpoint-url",
    "--endpoint",
    metavar="URL",
    type=Url(),
    help="Another endpoint than the region's.",
)
@option(
    "--tasks",
    metavar="N",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="How many tasks shall run at once, in all task runners of the account.",
)
@option(
    "--json",
    "json_wanted",
    envvar="AIODP_DOCTOR_JSON",
    is_flag=True,
    help="Print one JSON object, for programs.",
)
def doctor(
    *,
    worker_group: str | None,
    region: str | None,
    endpoint_url: str | None,
    tasks: int,
    json_wanted: bool,
) -> int:
    """Check what a task runner needs, and say what to mend.

    In order: region, credentials, endpoint, clock, each call that a task runner makes,
    and the account's quota. Nothing is changed: the calls are about tasks, pipelines and
    a worker group that there are not. About 20 calls are made, which takes a few
    seconds, and at most 15. Access to S3 is not checked.
    """
    logging.getLogger().addHandler(logging.NullHandler())  # findings say it all
    case = Case(
        session=get_session(),
        region=region,
        endpoint_url=endpoint_url,
        worker_group=worker_group,
        tasks=tasks,
    )
    worker = _Worker(case)
    findings = _print_json(worker) if json_wanted else _print_text(worker)
    code = 0 if is_well(findings) else 1
    worker.leave(code)
    return code


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
    """Makes the checks in a thread, which a name server or a provider may hold up for ever."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._found: SimpleQueue[Finding | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="aiodp doctor", daemon=True)

    def findings(self) -> Iterator[Finding]:
        """Give the findings as they come, the last one within the limit."""
        deadline = time.monotonic() + _LIMIT
        self._thread.start()
        try:
            while finding := self._found.get(timeout=max(0.0, deadline - time.monotonic())):
                yield finding
        except Empty:
            yield _broken(f"the checks were not done within {_LIMIT:g} s")

    def leave(self, code: int) -> None:
        """Return if the thread ends; else end the process, which would wait for it."""
        self._thread.join(_LAST_MOMENT)
        if self._thread.is_alive():
            sys.stdout.flush()
            os._exit(code)

    def _run(self) -> None:
        anyio.run(self._visit)

    async def _visit(self) -> None:
        try:
            await visit(self._case, self._found.put)
        except Exception as error:  # noqa: BLE001 - the last resort: a finding, no traceback
            self._found.put(_broken(f"a fault of its own, {type(error).__name__}: {error}"))
        finally:
            self._found.put(None)


def _broken(found: str) -> Finding:
    return Finding(check="doctor", verdict=Verdict.FAILED, found=found)
