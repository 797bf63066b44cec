"""A pipeline which a test made, and the work that a test names: pipelines and ids of tasks."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from aiodp._core.text import shorten
from aiodp.emulator._calendar import parse_date
from aiodp.emulator._errors import ServiceError
from aiodp.testing._pipelines import call, run_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from aiodp.emulator._model.records import Instance, Pipeline, Status
    from aiodp.emulator._model.service import Service
    from aiodp.testing._pipelines import Run

    Part: TypeAlias = "LocalPipeline | str"
    Work: TypeAlias = Part | Collection[Part]

_RESET: Final = "the service was reset meanwhile, as moto's mock_aws does"


class LocalPipeline:
    """A pipeline which a test made.

    `model` gives the service's model, and keeps others from it until the block ends.
    """

    def __init__(
        self,
        pipeline_id: str,
        model: Callable[[], AbstractContextManager[Service]],
        warnings: tuple[str, ...] = (),
    ) -> None:
        self.id = pipeline_id
        self.warnings = warnings
        """What the service warns of in its definition."""
        self._model = model

    def __repr__(self) -> str:
        return f"<LocalPipeline {self.id}>"

    @property
    def state(self) -> Status:
        """Its state, such as SCHEDULED or FINISHED."""
        with self._model() as service:
            service.advance()
            try:
                return service.model.catalog.get(self.id).state
            except ServiceError as error:
                raise AssertionError(error.message) from error

    @property
    def runs(self) -> tuple[Run, ...]:
        """Its instances as they are now."""
        with self._model() as service:
            return tuple(run_of(instance, service) for instance in instances_of(service, self))

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
        with self._model() as service:
            call(service, operation, pipelineId=self.id, **params)


def parts(work: Work) -> list[Part]:
    """Return the pipelines and ids of some work.

    Raises `TypeError` for something else, `ValueError` for no work at all.
    """
    several = isinstance(work, Collection) and not isinstance(work, str)
    listed: list[Part] = list(work) if several else [work]  # type: ignore[arg-type, list-item]
    for part in listed:
        if not isinstance(part, str | LocalPipeline):
            raise TypeError(f"work is a pipeline, a task id, or several of these, not {part!r}")
    if not listed:
        raise ValueError("no work is named: the collection of pipelines and task ids is empty")
    return listed


def pipeline_of(service: Service, part: Part) -> Pipeline | None:
    """Return the record of a pipeline; `None` for the id of a task.

    Raises `AssertionError` for a pipeline which is deleted, `ValueError` for an unknown id.
    """
    service.advance()
    if isinstance(part, str) and part in service.model.leases.tasks:
        return None
    try:
        return service.model.catalog.get(part if isinstance(part, str) else part.id)
    except ServiceError as error:
        if error.code != "PipelineNotFoundException":
            raise AssertionError(error.message) from error
        if isinstance(part, str):
            raise _unknown(part) from None
        raise AssertionError(f"{error.message}; {_RESET}") from error


def instances_of(service: Service, part: Part) -> list[Instance]:
    """Return the instances of a pipeline, or the one of a task; raise as `pipeline_of` does."""
    pipeline = pipeline_of(service, part)
    if pipeline is None:
        return [service.model.leases.tasks[str(part)].attempt.instance]
    return list(pipeline.instances.values())


def task_id_of(service: Service, given: str) -> str:
    """Return a task's id. Raises `TypeError` if it is none, `ValueError` if nobody has it."""
    if not isinstance(given, str):
        raise TypeError(
            f"a task is named by its id, as in held(pipeline).task_id, not by {given!r}"
        )
    if given not in service.model.leases.tasks:
        raise _unknown(given)
    return given


def _unknown(given: str) -> ValueError:
    """Return the error for an id which the service never gave."""
    return ValueError(f"{shorten(given)!r} is no task which was handed out, nor a pipeline")


def _timestamp(start: datetime | str) -> float:
    date = parse_date(start) if isinstance(start, str) else start
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
