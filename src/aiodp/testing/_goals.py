"""What a test waits for: how far some work has come, by the service's state."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from aiodp.emulator._model.records import BAD, TERMINAL, Status, TaskState
from aiodp.testing._local_pipeline import instances_of, parts, pipeline_of
from aiodp.testing._pipelines import Run, run_of
from aiodp.testing._vain_polls import polls_without_work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aiodp.emulator._model.records import Instance
    from aiodp.emulator._model.service import Service
    from aiodp.emulator._model.views import TaskView
    from aiodp.testing._local_pipeline import Part, Work

T = TypeVar("T")

_GOING: Final = frozenset({Status.SCHEDULED, Status.DEACTIVATING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal(Generic[T]):
    """Something to wait for: `check` returns what was reached, or `None` as long as it is not."""

    text: str
    check: Callable[[Service], T | None]
    explain: Callable[[Service], str]


def finished(work: Work) -> Goal[tuple[Run, ...]]:
    """Want all of it FINISHED; the check raises `AssertionError` once some ended otherwise."""

    def check(service: Service) -> tuple[Run, ...] | None:
        if _has_failed(service, work):
            check_finished(service, work)
        return runs(service, work) if _is_over(service, work) else None

    return Goal(text="FINISHED", check=check, explain=lambda service: table(service, work))


def ended(work: Work) -> Goal[tuple[Run, ...]]:
    """Want nothing of it to go on, however it ended."""

    def check(service: Service) -> tuple[Run, ...] | None:
        return runs(service, work) if _is_over(service, work) else None

    return Goal(text="ended", check=check, explain=lambda service: table(service, work))


def held(work: Work) -> Goal[TaskView]:
    """Want a worker that has acknowledged a task of it and holds it now."""

    def check(service: Service) -> TaskView | None:
        heads = [instance.head for instance in instances(service, work)]
        tasks = [head.task for head in heads if head is not None and head.task is not None]
        views = (service.task(task.id) for task in tasks if task.state is TaskState.HELD)
        return next(views, None)

    return Goal(text="held by a worker", check=check, explain=lambda service: table(service, work))


def holds(condition: Callable[[], object]) -> Goal[Any]:
    """Want a condition of the test's own to hold; what is reached then is of no use."""
    return Goal(
        text="true",
        check=lambda _service: _is_true(condition) or None,
        explain=lambda service: "\n".join([f"  {condition}", *_polls(service)]),
    )


def runs(service: Service, work: Work) -> tuple[Run, ...]:
    """Return the instances of this work as they are now."""
    return tuple(run_of(instance, service) for instance in instances(service, work))


def check_finished(service: Service, work: Work) -> None:
    """Raise `AssertionError` unless all of it has FINISHED."""
    __tracebackhide__ = True
    if not _is_over(service, work) or _has_failed(service, work):
        raise AssertionError(f"not all of the work has FINISHED:\n{table(service, work)}")


def instances(service: Service, work: Work) -> list[Instance]:
    """Return the instances of pipelines, and those of tasks by their ids, each once.

    Raises `AssertionError` for a pipeline which is deleted, `TypeError` and `ValueError` for
    what is no work of this service.
    """
    named = [instance for part in parts(work) for instance in instances_of(service, part)]
    return list(dict.fromkeys(named))


def table(service: Service, work: Work) -> str:
    """Return a line for each instance, each note about a pipeline and each poll in vain."""
    lines = [str(run) for run in runs(service, work)]
    lines += [note for part in parts(work) for note in _notes(service, part)]
    return "\n".join([*(f"  {line}" for line in lines), *_polls(service)])


def _polls(service: Service) -> list[str]:
    return [f"  {line}" for line in polls_without_work(service)]


def _notes(service: Service, part: Part) -> Iterator[str]:
    pipeline = pipeline_of(service, part)
    if pipeline is None:
        return
    slot = service.model.context.calendar.maybe(pipeline.next_run_at())
    if pipeline.state is Status.PENDING:
        yield "nothing of it has run; was the pipeline activated?"
    elif pipeline.state is not Status.SCHEDULED:
        yield f"the pipeline {pipeline.name} is {pipeline.state}"
    elif slot is not None:
        yield f"the pipeline {pipeline.name} is SCHEDULED; its next slot comes at {slot}"
    elif not pipeline.instances:
        yield f"nothing of the pipeline {pipeline.name} has run"


def _has_failed(service: Service, work: Work) -> bool:
    return any(instance.status in BAD for instance in instances(service, work))


def _is_over(service: Service, work: Work) -> bool:
    return all(_is_part_over(service, part) for part in parts(work))


def _is_part_over(service: Service, part: Part) -> bool:
    pipeline = pipeline_of(service, part)
    its_instances = instances_of(service, part)
    if not its_instances or not all(run.status in TERMINAL for run in its_instances):
        return False
    return pipeline is None or pipeline.on_demand or pipeline.state not in _GOING


def _is_true(condition: Callable[[], object]) -> bool:
    holds_now = condition()
    if not isawaitable(holds_now):
        return bool(holds_now)
    if hasattr(holds_now, "close"):  # a coroutine which nobody awaits would warn
        holds_now.close()
    raise TypeError(f"a condition is a plain function, but {condition} returned an awaitable")
