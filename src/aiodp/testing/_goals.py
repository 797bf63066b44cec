"""What a test waits for: how far some work has come, judged from the service's state."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeAlias, TypeVar

from aiodp.emulator._records import BAD, TERMINAL, Pipeline, Status, TaskState
from aiodp.emulator._replies import ServiceError
from aiodp.testing._pipelines import Run, run_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiodp.emulator._records import Instance
    from aiodp.emulator._service import Service
    from aiodp.emulator._views import TaskView
    from aiodp.testing._local_pipeline import LocalPipeline

    Work: TypeAlias = LocalPipeline | str | Collection[str]

T = TypeVar("T")

_GOING: Final = frozenset({Status.SCHEDULED, Status.DEACTIVATING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal(Generic[T]):
    """Something to wait for: ``look`` returns what was reached, or ``None`` while it was not."""

    text: str
    look: Callable[[Service], T | None]
    explain: Callable[[Service], str]


def finished(work: Work) -> Goal[tuple[Run, ...]]:
    """Want all of it FINISHED; looking raises ``AssertionError`` once some ended otherwise."""

    def look(service: Service) -> tuple[Run, ...] | None:
        if any(instance.status in BAD for instance in instances(service, work)):
            check_finished(service, work)
        return runs(service, work) if _is_over(service, work) else None

    return Goal(text="FINISHED", look=look, explain=lambda service: table(service, work))


def ended(work: Work) -> Goal[tuple[Run, ...]]:
    """Want nothing of it to go on, however it ended."""

    def look(service: Service) -> tuple[Run, ...] | None:
        return runs(service, work) if _is_over(service, work) else None

    return Goal(text="ended", look=look, explain=lambda service: table(service, work))


def held(work: Work) -> Goal[TaskView]:
    """Want a worker that has acknowledged a task of it and holds it now."""

    def look(service: Service) -> TaskView | None:
        heads = [instance.head for instance in instances(service, work)]
        tasks = [head.task for head in heads if head is not None and head.task is not None]
        found = (task.id for task in tasks if task.state is TaskState.HELD)
        return next((service.task(task_id) for task_id in found), None)

    return Goal(text="held by a worker", look=look, explain=lambda service: table(service, work))


def holds(condition: Callable[[], object]) -> Goal[bool]:
    """Want a condition of the test's own to hold."""
    return Goal(
        text="true",
        look=lambda _service: bool(condition()) or None,
        explain=lambda _service: f"  {condition}",
    )


def runs(service: Service, work: Work) -> tuple[Run, ...]:
    """Return the instances of this work as they are now."""
    return tuple(run_of(instance) for instance in instances(service, work))


def check_finished(service: Service, work: Work) -> None:
    """Raise ``AssertionError`` unless all of it has FINISHED."""
    __tracebackhide__ = True
    if not _is_over(service, work) or any(one.status in BAD for one in instances(service, work)):
        raise AssertionError(f"not all of the work has FINISHED:\n{table(service, work)}")


def instances(service: Service, work: Work) -> list[Instance]:
    """Return the instances of a pipeline, or those of tasks by their ids.

    Raises ``AssertionError`` for a pipeline which is deleted, ``KeyError`` for an unknown task.
    """
    if isinstance(work, str):
        work = [work]
    if isinstance(work, Collection):
        return [service._desk.tasks[task_id].attempt.instance for task_id in work]
    return list(pipeline_record(service, work).instances.values())


def pipeline_record(service: Service, pipeline: LocalPipeline) -> Pipeline:
    """Return the service's record; raise ``AssertionError`` if the pipeline is deleted."""
    service.advance()
    try:
        return service._catalog.get(pipeline.id)
    except ServiceError as error:
        raise AssertionError(error.message) from error


def table(service: Service, work: Work) -> str:
    """Return a line for each instance, for a person to read."""
    lines = [f"  {run}" for run in runs(service, work)]
    return "\n".join(lines or ["  nothing of it has run; was the pipeline activated?"])


def _is_over(service: Service, work: Work) -> bool:
    service.advance()
    found = instances(service, work)
    if not found or not all(instance.status in TERMINAL for instance in found):
        return False
    if isinstance(work, Collection):
        return True
    pipeline = pipeline_record(service, work)
    return pipeline.on_demand or pipeline.state not in _GOING
