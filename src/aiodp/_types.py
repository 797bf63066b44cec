"""The values that users and the layers above exchange."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class TaskStatus(StrEnum):
    """What SetTaskStatus accepts (API reference of SetTaskStatus)."""

    FINISHED = "FINISHED"
    FAILED = "FAILED"
    FALSE = "FALSE"
    """A precondition was evaluated and does not hold (yet)."""


class LeaseState(Enum):
    """Where a lease stands. CANCELED, LOST and RELEASED are final."""

    ASSIGNED = "assigned"
    """Handed out by the service, not yet acknowledged by a first report."""
    HELD = "held"
    """Acknowledged; the task is ours until the deadline."""
    CANCELED = "canceled"
    """The service answered a report with `canceled`."""
    LOST = "lost"
    """The task is no longer ours, or may not be for long; see `LostReason`."""
    RELEASED = "released"
    """Given up by us: `track` was left, or a status was acknowledged."""


class LostReason(StrEnum):
    """Why a lease was lost."""

    EXPIRED = "expired"
    """No report succeeded in time, so the service may give the task to somebody else."""
    REFUSED = "refused"
    """The service no longer knows the task as ours, or its pipeline is gone."""
    OVERLOADED = "overloaded"
    """More tasks are held than the quota can keep alive; the newest are given up first."""
    TIME_LIMIT = "time limit"
    """It was held for `max_lease`; it is reported no more, so that somebody else may get it."""
    REPORTER_FAILED = "reporter failed"
    """The reporter itself crashed; the cause is chained to the error."""
    REPORTER_CLOSED = "reporter closed"
    """The reporter was closed while the task was still tracked."""


class ReportKind(StrEnum):
    """How the service, or the way to it, answered one call. The keys of `Statistics.failed`."""

    OK = "ok"
    """The service took it."""
    REFUSED = "refused"
    """TaskNotFound, PipelineNotFound or PipelineDeleted."""
    THROTTLED = "throttled"
    """The account made more calls than its quota grants."""
    INVALID = "invalid"
    """InvalidRequest: the service does not accept what was sent."""
    CONFIGURATION = "configuration"
    """Credentials, permission or region."""
    SERVER_ERROR = "server_error"
    """The service failed: InternalServiceError, or any HTTP status from 500 on."""
    TIMEOUT = "timeout"
    """No answer came in time, or no connection."""
    CONNECTION = "connection"
    """The connection could not be made, or broke."""
    MALFORMED = "malformed"
    """An answer that is not one of the service: garbage, an empty body, a proxy's page."""
    UNEXPECTED = "unexpected"
    """An error that the service does not document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """Calls that the account may make (Developer Guide, "AWS Data Pipeline Limits").

    `rate` is in calls per second, `burst` in calls. Raises `ValueError` for a rate that is not
    positive or a burst below one.
    """

    rate: float = 10.0
    burst: float = 100.0

    def __post_init__(self) -> None:
        """Refuse what no service grants."""
        if not (self.rate > 0 and math.isfinite(self.rate)):
            raise ValueError(f"quota rate must be a positive number of calls/s, not {self.rate!r}")
        if not (self.burst >= 1 and math.isfinite(self.burst)):
            raise ValueError(f"quota burst must be at least one call, not {self.burst!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The answer to one call: what it means, and the error it came as."""

    kind: ReportKind
    canceled: bool = False
    error: Exception | None = None


class Counts(Mapping[str, int]):
    """Counts by name, which nobody changes; a deep copy, as `asdict` makes it, is a dictionary."""

    __slots__ = ("_counts",)

    def __init__(self, counts: Mapping[str, int]) -> None:
        self._counts = dict(counts)

    def __getitem__(self, name: str) -> int:
        return self._counts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._counts)

    def __len__(self) -> int:
        return len(self._counts)

    def __repr__(self) -> str:
        return repr(self._counts)

    def __deepcopy__(self, _: object) -> dict[str, int]:
        return dict(self._counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """A snapshot of a reporter; `dataclasses.asdict` makes of it what `json.dumps` takes.

    Times are in seconds on the scale of `anyio.current_time()`.
    """

    tracked: int
    """Tasks between entering and leaving `track`."""
    acknowledged: int
    """Of these, the ones that the service has acknowledged and that are still held."""
    sent: int
    """Reports sent since the reporter was opened."""
    succeeded: int
    """Reports that the service has answered, with `canceled` or without."""
    failed: Mapping[str, int]
    """Reports that failed, by `ReportKind`; throttled ones are not among them."""
    throttled: int
    """Reports that the service has throttled."""
    in_flight: int
    """Reports that wait for an answer now."""
    next_due: float | None
    """When the next report falls due; `None` if none is waiting."""
    smallest_remaining_lease: float | None
    """Seconds until the first lease is lost, if no report succeeds; `None` if there is none."""
    worst_lag: float
    """The longest that a report was sent behind its schedule, or that the event loop was blocked
    for more than a second while tasks were tracked; in seconds."""
    effective_rate: float | None
    """Calls per second that the service grants at present, as learned; `None` without a quota."""


class RunEnd(StrEnum):
    """How a task ended for its runner. The keys of `RunnerStatistics.ended`."""

    FINISHED = "FINISHED"
    """The service has this status."""
    FAILED = "FAILED"
    """As above."""
    FALSE = "FALSE"
    """As above; it is a precondition that does not hold."""
    CANCELED = "canceled"
    """The service canceled it: no status was due."""
    LOST = "lost"
    """It was given to somebody else, or may be: no status was due."""
    NO_STATUS = "no status"
    """Its status could not be set, or was not acknowledged in time."""
    IN_DOUBT = "in doubt"
    """Its status was sent without an answer, and nobody says whether it is set."""
    UNACKNOWLEDGED = "unacknowledged"
    """It could not be acknowledged; the service offers it again."""
    DUPLICATE = "duplicate"
    """The runner was working on it already."""
    INTERRUPTED = "interrupted"
    """The runner had to stop; if the handler runs in a thread, that may go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerStatistics:
    """A snapshot of a task runner; `dataclasses.asdict` makes of it what `json.dumps` takes."""

    polls: int = 0
    """PollForTask calls made."""
    polls_failed: int = 0
    """Of these, the ones that had no answer of the service."""
    polling: int = 0
    """Polls that wait for an answer now."""
    received: int = 0
    """Tasks that polls have brought, but for those in `left`."""
    left: int = 0
    """Tasks that were left to other runners, for none of the handlers takes their type."""
    running: int = 0
    """Tasks that the runner works on now."""
    ended: Mapping[str, int] = field(default_factory=lambda: Counts({}))
    """Tasks that ended, by `RunEnd`."""
    reports: Statistics | None = None
    """Of the runner's reporter; None before the runner is run."""
