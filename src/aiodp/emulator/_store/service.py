"""One service in a state file: it is restored from there, and saved there after each call.

Saved are pipelines with their definitions and everything that was made of them, leases, queues and
whatever is due, the audit, task runners and the counters of calls. Not saved are faults, the quotas
(they are full again), polls which are held, and messages that were not delivered yet; nor are
moto's other services, such as the objects in S3 for which preconditions look.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from aiodp.emulator._model.changes import Changes, Restored
from aiodp.emulator._model.service import Service
from aiodp.emulator._store.restore import restore
from aiodp.emulator._store.tables import DELETE, FIND, INSERT, REOPEN, TABLES, UPDATE_TIME
from aiodp.emulator._store.unsaved import Unsaved

if TYPE_CHECKING:
    from aiodp.emulator._clock import JumpingClock
    from aiodp.emulator._model.outside import Outside
    from aiodp.emulator._settings import Settings
    from aiodp.emulator._store.file import Store

_TOLERANCE_SECONDS: Final = 0.05
"""Real seconds by which the time in the file may be wrong; more means that time has jumped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moment:
    """The service's time `now` at the time of day `wall`, in seconds since 1970."""

    now: float
    wall: float

    def later(self, wall: float, rate: float) -> float:
        """Return the service's time at a later time of day."""
        return self.now + max(0.0, wall - self.wall) * rate

    def is_wrong(self, other: _Moment, rate: float) -> bool:
        """Return whether time has jumped between this moment and a later one."""
        return abs(other.now - self.later(other.wall, rate)) > _TOLERANCE_SECONDS * rate


class _Entry(NamedTuple):
    """A service in the table of services."""

    number: int
    life: int
    epoch: str
    origin: float
    now: float
    wall: float

    def moment(self) -> _Moment:
        return _Moment(now=self.now, wall=self.wall)


class _BeyondCalendarError(ValueError):
    """The file is sound, but more time has passed since than dates have."""


class ServiceStore:
    """Saves the service of one account in one region; see `Persistence` for its methods."""

    _time: JumpingClock
    _rate: float
    _moment: _Moment
    _unsaved: Unsaved

    def __init__(self, store: Store, account: str, region: str) -> None:
        self._store = store
        self._account = account
        self._region = region
        self._number = 0  # no service has it
        self._life = 0

    def begin(
        self, time: JumpingClock, rate: float, settings: Settings, outside: Outside | None
    ) -> Service:
        """Return the service as it was saved, or a new one."""
        self._time, self._rate = time, rate
        rows = self._store.read(FIND, self._account, self._region)
        if not rows:
            return self._new(time, settings, outside)
        try:
            entry = _Entry(*rows[0])
            later = entry.moment().later(self._store.time_of_day(), rate)
            self._catch_up(later)
            return self._restored(entry, settings, outside)
        except (OSError, _BeyondCalendarError):
            raise
        except Exception as error:  # wrong rows may make any rule of the service fail
            raise ValueError(
                f"the state file {self._store.path} is damaged: the service {self._name} cannot be "
                f"read: {error!r}"
            ) from error

    def save(self) -> None:
        """Save what has changed, in one transaction."""
        rows, moment = self._unsaved.rows(), self._moment_of(self._time)
        if not rows and not self._moment.is_wrong(moment, self._rate):
            return
        with self._store.transaction() as connection:
            for statement, values in rows:
                connection.executemany(statement, [(self._number, *row) for row in values])
            connection.execute(UPDATE_TIME, (moment.now, moment.wall, self._number))
        self._moment = moment
        self._unsaved.saved()

    def renew(self, time: JumpingClock, settings: Settings, outside: Outside | None) -> Service:
        """Replace the service in the file by a new one, which gives no id that the old one gave."""
        return self._new(time, settings, outside, self._life + 1)

    def _new(
        self, time: JumpingClock, settings: Settings, outside: Outside | None, life: int = 0
    ) -> Service:
        changes, moment = Changes(), self._moment_of(time)
        restored = Restored(origin=moment.now, life=life, changes=changes)
        service = Service(time, settings, outside, restored)
        key = (self._account, self._region, life, settings.epoch.isoformat(), moment.now)
        with self._store.transaction() as connection:  # a crash leaves either
            for table in TABLES:
                connection.execute(table.clear, (self._number,))
            connection.execute(DELETE, (self._number,))
            inserted = connection.execute(INSERT, (*key, moment.now, moment.wall))
        self._number, self._life = int(inserted.lastrowid or 0), life
        self._time, self._moment, self._unsaved = time, moment, Unsaved(service, changes)
        return service

    def _restored(self, entry: _Entry, settings: Settings, outside: Outside | None) -> Service:
        self._number, self._life = entry.number, entry.life + 1
        self._moment, changes = self._moment_of(self._time), Changes()
        restored = Restored(origin=entry.origin, life=self._life, changes=changes)
        settings = replace(settings, epoch=datetime.fromisoformat(entry.epoch))
        service = Service(self._time, settings, outside, restored)
        restore(service, lambda table: self._store.read(table.read, entry.number))
        self._unsaved = Unsaved(service, changes)
        self._unsaved.saved()
        with self._store.transaction() as connection:
            reopened = (self._life, self._moment.now, self._moment.wall, entry.number)
            connection.execute(REOPEN, reopened)
        return service

    def _catch_up(self, now: float) -> None:
        """Let the time jump to where it would be had the process never ended."""
        seconds = max(0.0, now - self._time())
        try:
            self._time.jump(seconds)
        except ValueError as error:
            raise _BeyondCalendarError(
                f"the service {self._name} cannot go on from the state file {self._store.path}: "
                f"since then {seconds:g} s of its time would have passed, which end beyond the "
                "calendar; the clock of this machine is wrong, or the time scale is too large"
            ) from error

    @property
    def _name(self) -> str:
        return f"of account {self._account} in {self._region}"

    def _moment_of(self, time: JumpingClock) -> _Moment:
        return _Moment(now=time(), wall=self._store.time_of_day())
