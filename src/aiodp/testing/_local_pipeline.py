"""A pipeline which a test made, and steers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiodp.emulator._calendar import parse_date
from aiodp.emulator._errors import ServiceError
from aiodp.testing._pipelines import call

if TYPE_CHECKING:
    from aiodp.emulator._model.records import Status
    from aiodp.testing._kit import Kit
    from aiodp.testing._pipelines import Run


class LocalPipeline:
    """A pipeline which a test made."""

    def __init__(self, pipeline_id: str, kit: Kit, warnings: tuple[str, ...] = ()) -> None:
        self.id = pipeline_id
        self.warnings = warnings
        """What the service warns of in its definition."""
        self._kit = kit

    def __repr__(self) -> str:
        return f"<LocalPipeline {self.id}>"

    @property
    def state(self) -> Status:
        """Its state, such as SCHEDULED or FINISHED."""
        with self._kit._model() as service:
            service.advance()
            try:
                return service._catalog.get(self.id).state
            except ServiceError as error:
                raise AssertionError(error.message) from error

    @property
    def runs(self) -> tuple[Run, ...]:
        """Its instances as they are now."""
        return self._kit.runs(self)

    def activate(self, *, start: datetime | str | None = None) -> None:
        """ActivatePipeline; a pipeline on demand runs once more.

        `start` is its startTimestamp: earlier slots are SKIPPED, however long past they are. A
        date without a zone is in UTC, as in `"2026-01-01T00:00:00"`.

        Raises `ValueError` if the service refuses it, and for a text which is no such date.
        """
        given = {} if start is None else {"startTimestamp": _timestamp(start)}
        self._call("ActivatePipeline", **given)

    def deactivate(self, *, cancel_active: bool = True) -> None:
        """DeactivatePipeline, which cancels what runs unless told otherwise."""
        self._call("DeactivatePipeline", cancelActive=cancel_active)

    def delete(self) -> None:
        """DeletePipeline."""
        self._call("DeletePipeline")

    def _call(self, operation: str, **params: Any) -> None:
        with self._kit._model() as service:
            call(service, operation, pipelineId=self.id, **params)


def _timestamp(start: datetime | str) -> float:
    date = parse_date(start) if isinstance(start, str) else start
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
