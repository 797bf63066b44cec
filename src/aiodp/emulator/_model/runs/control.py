"""What a pipeline's owner does to its runs: activate, deactivate, delete, set statuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aiodp.emulator._definition.kinds import Kind
from aiodp.emulator._definition.limits import check_size
from aiodp.emulator._definition.plan import Plan
from aiodp.emulator._definition.validation import activation_errors
from aiodp.emulator._errors import ServiceError, invalid
from aiodp.emulator._model.records import Instance, Pipeline, Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiodp.emulator._definition.components import Definition
    from aiodp.emulator._model.catalog import Catalog
    from aiodp.emulator._model.context import Context
    from aiodp.emulator._model.leases import Leases
    from aiodp.emulator._model.runs.attempts import Attempts
    from aiodp.emulator._model.runs.lifecycle import Lifecycle
    from aiodp.emulator._model.runs.resources import Resources
    from aiodp.emulator._model.runs.scheduler import Scheduler

_OF_COMPONENTS: Final = ("PAUSE", "RESUME")
_OF_INSTANCES: Final = "TRY_CANCEL, RERUN or MARK_FINISHED"


class Control:
    """The operations that start, stop and change runs."""

    def __init__(
        self,
        context: Context,
        catalog: Catalog,
        leases: Leases,
        lifecycle: Lifecycle,
        attempts: Attempts,
        resources: Resources,
        scheduler: Scheduler,
    ) -> None:
        self._calendar = context.calendar
        self._timers = context.timers
        self._catalog = catalog
        self._leases = leases
        self._lifecycle = lifecycle
        self._attempts = attempts
        self._resources = resources
        self._scheduler = scheduler

    def activate(self, params: dict[str, Any], now: float) -> dict[str, Any]:
        """ActivatePipeline: begins with its slots, or makes a run if it is on demand."""
        pipeline = self._catalog.get(params["pipelineId"])
        if pipeline.latest is None:
            raise invalid("The pipeline has no definition")
        definition = pipeline.latest.with_values(params.get("parameterValues", []))
        if definition is not pipeline.latest:  # which was checked as it was put
            check_size(definition)
        errors = activation_errors(definition, pipeline.active)
        if errors:
            raise invalid(f"The pipeline's definition has errors: {'; '.join(errors)}")
        self.start(pipeline, definition, now, self._start(params))
        return {}

    def start(
        self, pipeline: Pipeline, definition: Definition, now: float, start: float | None = None
    ) -> list[Instance]:
        """Make a definition the active one and let it run; return the new instances on demand."""
        plan = Plan.of(definition)
        self._scheduler.check(pipeline, plan, start, now)
        if pipeline.state is Status.SCHEDULED:  # otherwise it goes on with what has waited
            self._scheduler.cancel_runs(pipeline, plan, now)
        pipeline.active = definition
        pipeline.components = dict(plan.components)
        if not pipeline.plans or pipeline.plans[-1].definition != definition:
            pipeline.plans.append(plan)
        if pipeline.first_activated_at is None:
            pipeline.first_activated_at = now
        pipeline.state = Status.SCHEDULED
        made = self._scheduler.activate(pipeline, start, now)
        self._timers.run(now)  # for the slots that have begun already
        for resource in _resources(pipeline):
            self._resources.release(resource, now)  # activities it was kept for may not come now
        self._resume(pipeline, now)
        self.on_idle(pipeline, now)
        return made

    def deactivate(self, params: dict[str, Any], now: float) -> dict[str, Any]:
        """DeactivatePipeline: cancels what runs (the default), or lets it finish."""
        pipeline = self._catalog.get(params["pipelineId"])
        cancel = params.get("cancelActive", True)
        cancels_rest = cancel and pipeline.state is Status.DEACTIVATING
        if pipeline.state is not Status.SCHEDULED and not cancels_rest:
            raise invalid(f"A pipeline which is {pipeline.state} cannot be deactivated")
        pipeline.state = Status.DEACTIVATING
        pipeline.deactivated_at = now
        self._scheduler.stop(pipeline)
        if cancel:
            for instance in _running(pipeline):
                self._lifecycle.cancel(instance, now, "The pipeline was deactivated")
        self.on_idle(pipeline, now)
        return {}

    def delete(self, params: dict[str, Any], now: float) -> None:
        """DeletePipeline; of a deleted pipeline it says that there is none."""
        pipeline_id = params["pipelineId"]
        try:
            pipeline = self._catalog.get(pipeline_id)
        except ServiceError as error:
            raise ServiceError("PipelineNotFoundException", error.message) from error
        self._catalog.remove(pipeline)
        for task in list(pipeline.held.values()):
            task.attempt.status = Status.CANCELED
            task.attempt.ended_at = now
            pipeline.change(task.attempt.instance, Status.CANCELED)
        self._leases.delete(pipeline, now)
        self._timers.stop_all(
            *pipeline.timelines.values(), *pipeline.instances.values(), *pipeline.attempts.values()
        )
        self._catalog.deleted.add(pipeline)

    def set_status(self, params: dict[str, Any], now: float) -> None:
        """SetStatus of components or of instances, never both; its values are of any case."""
        pipeline = self._catalog.get(params["pipelineId"])
        if pipeline.state is Status.FINISHED:
            raise invalid("The pipeline is FINISHED")
        ids, status = params["objectIds"], params["status"].upper()
        if all(object_id in pipeline.components for object_id in ids):
            self._set_components(pipeline, ids, status, now)
        elif all(object_id in pipeline.instances for object_id in ids):
            chosen = [pipeline.instances[object_id] for object_id in dict.fromkeys(ids)]
            self.set_instances(chosen, status, now)
        else:
            raise invalid("objectIds must all be components or all be instances of the pipeline")

    def set_instances(self, chosen: list[Instance], status: str, now: float) -> None:
        """Cancel instances, run them again, or mark them as finished."""
        match status:
            case "TRY_CANCEL":
                for instance in chosen:
                    self._lifecycle.cancel(instance, now, "A user canceled it")
            case "MARK_FINISHED":
                for instance in chosen:
                    if instance.status is not Status.FINISHED:
                        self._lifecycle.end(instance, Status.FINISHED, now)
            case "RERUN":
                _check_over(chosen)
                self._lifecycle.rerun(chosen, now)
            case _:
                raise invalid(f"The status of instances can be {_OF_INSTANCES}, not {status}")

    def on_idle(self, pipeline: Pipeline, now: float) -> None:
        """Deactivate a pipeline in which nothing runs any more; finish one with nothing to come."""
        if pipeline.state is Status.DEACTIVATING and not pipeline.held:
            self._finish_deactivation(pipeline, now)
        over = not pipeline.open and self._scheduler.is_over(pipeline)
        if over and pipeline.state is Status.SCHEDULED and not pipeline.on_demand:
            pipeline.state = Status.FINISHED
            pipeline.finished_at = now
            self._scheduler.stop(pipeline)

    def _finish_deactivation(self, pipeline: Pipeline, now: float) -> None:
        """Shut the resources down; once none is left the pipeline is INACTIVE."""
        resources = _resources(pipeline)
        for resource in resources:
            self._resources.shut_down(resource, now)
        if not any(resource.status is Status.SHUTTING_DOWN for resource in resources):
            pipeline.state = Status.INACTIVE

    def _start(self, params: dict[str, Any]) -> float | None:
        stamp = params.get("startTimestamp")
        return None if stamp is None else self._calendar.at_timestamp(stamp)

    def _resume(self, pipeline: Pipeline, now: float) -> None:
        """Start what has waited for the pipeline, or for a paused component of it."""
        for waiting in list(pipeline.waiting.values()):
            self._lifecycle.consider_all(waiting.values(), now)
        for instance in list(pipeline.open.values()):
            if instance.status is Status.WAITING_FOR_RUNNER:
                # A deactivation may have ended its resource, which is to be brought back.
                self._resources.changed(instance, instance.status, now)
        self._attempts.offer_waiting(pipeline, now)

    def _set_components(self, pipeline: Pipeline, ids: list[str], status: str, now: float) -> None:
        if status not in _OF_COMPONENTS:
            raise invalid(f"The status of components can be PAUSE or RESUME, not {status}")
        if status == "PAUSE":
            pipeline.paused = pipeline.paused.union(ids)
        else:
            pipeline.paused = pipeline.paused.difference(ids)
            self._resume(pipeline, now)


def _running(pipeline: Pipeline) -> list[Instance]:
    """Return the instances which a worker has, and the resources that are up."""
    held = [task.attempt.instance for task in pipeline.held.values()]
    up = (Status.CREATING, Status.RUNNING, Status.SHUTTING_DOWN)
    return held + [resource for resource in _resources(pipeline) if resource.status in up]


def _resources(pipeline: Pipeline) -> list[Instance]:
    """Return those which have not ended."""
    return [instance for instance in pipeline.open.values() if instance.kind is Kind.RESOURCE]


def _check_over(chosen: Iterable[Instance]) -> None:
    for instance in chosen:
        if instance.is_open():
            raise invalid(f"{instance.id} is {instance.status}, so it cannot be run again")
