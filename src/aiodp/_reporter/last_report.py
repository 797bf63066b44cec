"""The report before a status: it carries the fields that no other report has carried."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import anyio

if TYPE_CHECKING:
    from aiodp._reporter.engine import Engine
    from aiodp._reporter.record import TaskRecord

_MAX_WAIT: Final = 5.0  # seconds: half of what a status has when a runner stops at once


async def report_fields(engine: Engine, record: TaskRecord) -> None:
    """Report the fields that wait for it; return after a short time even if that fails."""
    if record.fields:
        engine.make_due(record)
        limit = min(_MAX_WAIT, record.attempt_timeout(engine.clock.now()) / 2)
        with anyio.move_on_after(limit):
            await record.wait_until(partial(_are_reported, engine))


def _are_reported(engine: Engine, record: TaskRecord) -> bool:
    """Return whether no field waits for a report that can be made; make the next one due."""
    if not (record.fields and record.reportable):
        return True
    if not (record.in_flight or record.failures):  # the one in flight did not carry all of them
        engine.make_due(record)
    return False
