"""Whether each instance that waits has to, seen in the records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiodp.emulator._definition.kinds import PRECONDITIONS, Kind
from aiodp.emulator._model.dependencies import needed
from aiodp.emulator._model.timers import Due

if TYPE_CHECKING:
    from aiodp.emulator import Service


def check_turns(service: Service, pipeline_id: str) -> None:
    """Nothing waits which could start: it waits for others, for its time, or until some end."""
    pipeline = service.model.catalog.pipelines[pipeline_id]
    context = service.model.context
    for waiting in pipeline.waiting.values() if pipeline.state == "SCHEDULED" else ():
        for instance in waiting.values():
            component, timed = instance.component.id, instance.due(Due.TURN) is not None
            barred = timed or component in pipeline.paused or instance.kind is Kind.RESOURCE
            if barred or not needed(instance, context.calendar).met():
                continue
            free = instance.rerun or instance.kind in PRECONDITIONS
            active, most = pipeline.active_instances[component], context.reader.max_active(instance)
            assert not free, f"nothing holds {instance.id} back"
            assert active >= most, f"{instance.id} could start, for only {active} are active"
