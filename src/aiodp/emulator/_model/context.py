"""What all the rules of one service share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiodp.emulator._calendar import Calendar
from aiodp.emulator._model.audit import Audit
from aiodp.emulator._model.changes import Restored
from aiodp.emulator._model.ids import Ids
from aiodp.emulator._model.outside import FakeOutside
from aiodp.emulator._model.reading import Reader
from aiodp.emulator._model.timers import Timers

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiodp.emulator._model.changes import Changes
    from aiodp.emulator._model.outside import Outside
    from aiodp.emulator._settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the rules of one service read and write besides its pipelines.

    `changes` is where its records note that they have changed, `notify` is to be called when work
    may be available.
    """

    settings: Settings
    calendar: Calendar
    timers: Timers
    reader: Reader
    ids: Ids
    outside: Outside
    audit: Audit
    changes: Changes | None
    notify: Callable[[], None]

    @classmethod
    def make(
        cls,
        settings: Settings,
        outside: Outside | None,
        restored: Restored | None,
        *,
        now: float,
        notify: Callable[[], None],
    ) -> Context:
        """Return the context of a new service or of a restored one.

        `notify` is called also when something is due earlier than all that was due before.
        """
        restored = restored or Restored()
        origin = now if restored.origin is None else restored.origin
        calendar = Calendar(settings.epoch, origin)
        return cls(
            settings=settings,
            calendar=calendar,
            timers=Timers(notify),
            reader=Reader(settings, calendar),
            ids=Ids(settings.seed, restored.life),
            outside=outside or FakeOutside(),
            audit=Audit(),
            changes=restored.changes,
            notify=notify,
        )
