"""What a pipeline's owner does to its runs: activate, deactivate, delete, set statuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aiodp.emulator._records import TERMINAL, Instance, Pipeline, Status
from aiodp.emulator._replies import ServiceError, invalid
from aiodp.emulator._runs import is_activity, make_run
from aiodp.emulator._validation import definition_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiodp.emulator._calendar import Calendar
    from aiodp.emulator._catalog import Catalog
    from aiodp.emulator._desk import Desk
    from aiodp.emulator._settings import Settings

_OF_COMPONENTS: Final = ("PAUSE", "RESUME")
_OF_INSTANCES: Final = ("TRY_CANCEL", "RERUN", "MARK_FINISHED")


class Control:
    """The operations that start, stop and change runs."""

    def __init__(
        self, settings: Settings, calendar: Calendar, catalog: Catalog, desk: Desk
    ) -> None:
        self._settings = settings
        self._calendar = calendar
        self._catalog = catalog
        self._desk = desk

    def activate(self, params: dict[str, Any], now: float) -> dict[str, Any]:
        """ActivatePipeline: one run for each call if on demand, else one at the first call."""
        pipeline = self._catalog.get(params["pipelineId"])
        if pipeline.latest is None:
            raise invalid("The pipeline has no definition")
        if definition_errors(pipeline.latest):
            raise invalid("The pipeline's definition has errors")
        pipeline.active = pipeline.latest.with_values(params.get("parameterValues", []))
        pipeline.components = pipeline.active.components()
        self.run(pipeline, now)
        return {}

    def run(self, pipeline: Pipeline, now: float) -> list[Instance]:
        """Make a run if one is due, and let all that waits be handed out; return the new ones."""
        first = pipeline.activated_at is None
        pipeline.activated_at = now
        if pipeline.state is not Status.FINISHED:  # one that ran once has nothing left to run
            pipeline.state = Status.SCHEDULED
        made: list[Instance] = []
        if first or pipeline.on_demand:
            made = make_run(pipeline, self._settings, self._calendar, now)
        self._desk.offer_waiting(pipeline, now)
        for instance in made:
            self._desk.start(instance, now)
        return made

    def deactivate(self, params: dict[str, Any], now: float) -> dict[str, Any]:
        """DeactivatePipeline: cancels what runs (the default), or lets it come to its end."""
        pipeline = self._catalog.get(params["pipelineId"])
        if pipeline.state is not Status.SCHEDULED:
            raise invalid(f"A pipeline which is {pipeline.state} cannot be deactivated")
        pipeline.state = Status.DEACTIVATING
        pipeline.deactivated_at = now
        if params.get("cancelActive", True):
            for task in list(pipeline.held.values()):
                self._desk.cancel(task.attempt.instance, now)
        self.settle(pipeline, now)
        return {}

    def delete(self, params: dict[str, Any], now: float) -> None:
        """DeletePipeline, which does not know of deleted ones: they are not found."""
        pipeline_id = params["pipelineId"]
        try:
            pipeline = self._catalog.get(pipeline_id)
        except ServiceError as error:
            raise ServiceError("PipelineNotFoundException", error.message) from error
        self._catalog.remove(pipeline)
        self._desk.delete(pipeline, now)

    def set_status(self, params: dict[str, Any], now: float) -> None:
        """SetStatus of components or of instances, never both; its values are of any case."""
        pipeline = self._catalog.get(params["pipelineId"])
        if pipeline.state is Status.FINISHED:
            raise invalid("The pipeline is FINISHED")
        ids, status = params["objectIds"], params["status"].upper()
        if all(one in pipeline.components for one in ids):
            self._set_components(pipeline, ids, status, now)
        elif all(one in pipeline.instances for one in ids):
            self._set_instances(pipeline, ids, status, now)
        else:
            raise invalid("objectIds must all be components or all be instances of the pipeline")

    def settle(self, pipeline: Pipeline, now: float) -> None:
        """Move a pipeline on after something in it ended."""
        if pipeline.state is Status.DEACTIVATING and not pipeline.held:
            pipeline.state = Status.INACTIVE
        if pipeline.open:
            return
        _finish_passive(pipeline, now)
        if pipeline.state is Status.SCHEDULED and _is_over(pipeline):
            pipeline.state = Status.FINISHED
            pipeline.finished_at = now

    def _set_components(self, pipeline: Pipeline, ids: list[str], status: str, now: float) -> None:
        if status not in _OF_COMPONENTS:
            raise invalid(f"The status of components can be set to {_OF_COMPONENTS}, not {status}")
        if status == "PAUSE":
            pipeline.paused.update(ids)
        else:
            pipeline.paused.difference_update(ids)
            self._desk.offer_waiting(pipeline, now)

    def _set_instances(self, pipeline: Pipeline, ids: list[str], status: str, now: float) -> None:
        actions: dict[str, Callable[[Instance], None]] = {
            "TRY_CANCEL": lambda instance: self._desk.cancel(instance, now),
            "MARK_FINISHED": lambda instance: self._mark_finished(instance, now),
            "RERUN": lambda instance: self._rerun(instance, now),
        }
        if status not in actions:
            raise invalid(f"The status of instances can be set to {_OF_INSTANCES}, not {status}")
        chosen = [pipeline.instances[one] for one in dict.fromkeys(ids)]
        if not all(is_activity(one.component) for one in chosen):
            raise invalid("Only the status of activities can be set")
        if status == "RERUN":
            _check_over(chosen)
        for instance in chosen:
            actions[status](instance)

    def _mark_finished(self, instance: Instance, now: float) -> None:
        if instance.status in TERMINAL:
            self._desk.close(instance, Status.FINISHED, now)
        else:
            self._desk.cancel(instance, now, Status.FINISHED)

    def _rerun(self, instance: Instance, now: float) -> None:
        instance.tries_left = instance.max_retries
        instance.ended_at = None
        self._desk.start(instance, now)


def _check_over(chosen: list[Instance]) -> None:
    for instance in chosen:
        if instance.status not in TERMINAL:
            raise invalid(f"{instance.id} is {instance.status}, so it cannot be run again")


def _is_over(pipeline: Pipeline) -> bool:
    """Return whether nothing can come any more: the schedule was for one occurrence."""
    schedules = [one for one in pipeline.components.values() if one.type == "Schedule"]
    once = bool(schedules) and all(one.text("occurrences") == "1" for one in schedules)
    return once and not pipeline.on_demand


def _finish_passive(pipeline: Pipeline, now: float) -> None:
    for instance in pipeline.instances.values():
        if instance.head is None and instance.status not in TERMINAL:
            instance.status = Status.FINISHED
            instance.ended_at = now
