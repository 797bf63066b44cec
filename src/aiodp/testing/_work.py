"""The work which a test speaks of: pipelines, and tasks by their ids."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final, TypeAlias

from aiodp._core.text import shorten
from aiodp.emulator._errors import ServiceError
from aiodp.testing._local_pipeline import LocalPipeline

if TYPE_CHECKING:
    from aiodp.emulator._model.records import Instance, Pipeline
    from aiodp.emulator._model.service import Service

    Part: TypeAlias = LocalPipeline | str
    Work: TypeAlias = Part | Collection[Part]

_RESET: Final = "the service was reset meanwhile, as moto's mock_aws does"


def parts(work: Work) -> list[Part]:
    """Return the pipelines and ids of some work.

    Raises `TypeError` for something else, `ValueError` for no work at all.
    """
    several = isinstance(work, Collection) and not isinstance(work, str)
    found: list[Part] = list(work) if several else [work]  # type: ignore[arg-type, list-item]
    for one in found:
        if not isinstance(one, str | LocalPipeline):
            raise TypeError(f"work is a pipeline, a task id, or several of these, not {one!r}")
    if not found:
        raise ValueError("no work is named: the collection of pipelines and task ids is empty")
    return found


def pipeline_of(service: Service, part: Part) -> Pipeline | None:
    """Return the record of a pipeline; `None` for the id of a task.

    Raises `AssertionError` for a pipeline which is deleted, `ValueError` for an unknown id.
    """
    service.advance()
    if isinstance(part, str) and part in service._desk.tasks:
        return None
    try:
        return service._catalog.get(part if isinstance(part, str) else part.id)
    except ServiceError as error:
        if error.code != "PipelineNotFoundException":
            raise AssertionError(error.message) from error
        if isinstance(part, str):
            raise unknown(part) from None
        raise AssertionError(f"{error.message}; {_RESET}") from error


def instances_of(service: Service, part: Part) -> list[Instance]:
    """Return the instances of a pipeline, or the one of a task; raise as `pipeline_of` does."""
    pipeline = pipeline_of(service, part)
    if pipeline is None:
        return [service._desk.tasks[str(part)].attempt.instance]
    return list(pipeline.instances.values())


def task_id_of(service: Service, given: str) -> str:
    """Return a task's id. Raises `TypeError` if it is none, `ValueError` if nobody has it."""
    if not isinstance(given, str):
        raise TypeError(
            f"a task is named by its id, as in held(pipeline).task_id, not by {given!r}"
        )
    if given not in service._desk.tasks:
        raise unknown(given)
    return given


def unknown(given: str) -> ValueError:
    """Return the error for an id which the service never gave."""
    return ValueError(f"{shorten(given)!r} is no task which was handed out, nor a pipeline")
