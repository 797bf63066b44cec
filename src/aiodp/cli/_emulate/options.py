"""The values of the options of `aiodp emulate`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The values, by the options' names. `now` is when the command was given."""

    host: str
    allowed_host: tuple[str, ...]
    port: int
    time_scale: float
    epoch: datetime | None
    catch_up: bool
    resource_worker_group: str | None
    load: tuple[Path, ...]
    parameters: Path | None
    values: Path | None
    activate: bool
    start: datetime | None
    state: Path | None
    ui: bool
    log_format: str
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        """Raise `click.UsageError` for values that make no sense together."""
        needs = dict.fromkeys(("parameters", "values", "activate"), "load") | {"start": "activate"}
        for name, needed in needs.items():
            if getattr(self, name) and not getattr(self, needed):
                raise _usage_error(f"--{name} needs --{needed}.")
        if not self.catch_up:
            return
        if self.epoch is None or self.epoch > self.now:
            raise _usage_error("--catch-up needs an --epoch in the past.")
        if self.state is not None:
            raise _usage_error("--catch-up cannot be with --state: what is kept has its own date.")

    @property
    def first_date(self) -> datetime:
        """The date with which the service's time begins."""
        return self.epoch or self.now

    @property
    def behind(self) -> float | None:
        """The seconds that the service has to catch up, if it is to."""
        return (self.now - self.first_date).total_seconds() if self.catch_up else None


def _usage_error(message: str) -> click.UsageError:
    return click.UsageError(message, click.get_current_context())
