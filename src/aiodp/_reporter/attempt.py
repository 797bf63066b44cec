"""One attempt to report, of which an outcome always comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from aiodp._aws.errors import TIMED_OUT
from aiodp._aws.waiting import answer_within
from aiodp._types import LeaseState, Outcome, ReportKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiodp._aws.transport import Transport
    from aiodp._core.fields import WireField
    from aiodp._core.registration import Registration


async def attempt(
    transport: Transport, registration: Registration, fields: Sequence[WireField], now: float
) -> Outcome:
    """Report, unless the lease was lost since its turn came, and must not be reported any more."""
    if registration.state is LeaseState.LOST and not registration.winding_down:
        return TIMED_OUT
    limit = registration.attempt_timeout(now)
    try:
        return await answer_within(limit, transport.report(registration.task_id, fields))
    except anyio.get_cancelled_exc_class() as error:
        # Nobody here cancels a report. What it awaited was canceled, or the event loop ends; in
        # both cases the lease goes on, and there is nothing left to await in this task.
        return Outcome(kind=ReportKind.UNEXPECTED, error=RuntimeError(f"canceled: {error!r}"))
