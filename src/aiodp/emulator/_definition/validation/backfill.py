"""The warning of a cascade together with a backfill: many objects may come and go in vain.

Source: the Developer Guide, dp-manage-cascade-failandrerun, which has the words of the warning.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from aiodp.emulator._calendar import parse_date
from aiodp.emulator._definition.components import lineage
from aiodp.emulator._definition.kinds import SCHEDULED, kind_of
from aiodp.emulator._definition.validation.parts import Subject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from aiodp.emulator._definition.validation.parts import Draft, Finding

_MODE: Final = "failureAndRerunMode"


def backfill_findings(draft: Draft, now: datetime) -> Iterator[Finding]:
    """Warn of each object that says cascade for what starts in the past, once for each start."""
    told: set[tuple[str, str]] = set()
    for subject in draft.subjects:
        start = _past_start(subject, now)
        if start is None or (subject.component.text(_MODE) or "").lower() != "cascade":
            continue
        writer = next(key for key in lineage(subject.id, draft.own) if _MODE in draft.own[key])
        if (writer, start) not in told:
            told.add((writer, start))
            name = draft.components[writer].name
            yield Subject(draft=draft, id=writer).warning(
                f"{name} has '{_MODE}' field set to 'cascade' and you are about to create a "
                f"backfill with scheduleStartTime {start}. This can result in rapid creation of "
                "pipeline objects in case of failures.",
                _MODE,
            )


def _past_start(subject: Subject, now: datetime) -> str | None:
    if kind_of(subject.component.type) not in SCHEDULED:
        return None
    schedule = subject.draft.components.get(subject.component.ref("schedule") or "")
    start = schedule and schedule.text("startDateTime")
    with suppress(ValueError):  # an expression, or wrong in itself
        return start if start and parse_date(start) < now else None
    return None
