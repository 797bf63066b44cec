"""Preconditions which the service checks (the Developer Guide, dp-concepts-preconditions)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiodp._core.text import S3_SCHEME
from aiodp.emulator._definition.expressions import ExpressionError
from aiodp.emulator._definition.kinds import Kind
from aiodp.emulator._definition.object_types import CHECKED_FIELDS
from aiodp.emulator._model.records import Status
from aiodp.emulator._model.scopes import ObjectScope
from aiodp.emulator._model.timers import Due

if TYPE_CHECKING:
    from aiodp.emulator._model.context import Context
    from aiodp.emulator._model.records import Instance
    from aiodp.emulator._model.runs.lifecycle import Lifecycle

_MIN_CHECK_DELAY: Final = 1.0  # seconds; without one the checks would never end


class Preconditions:
    """Checks whether what they wait for is there, until it is."""

    def __init__(self, context: Context, lifecycle: Lifecycle) -> None:
        self._calendar = context.calendar
        self._timers = context.timers
        self._reader = context.reader
        self._outside = context.outside
        self._lifecycle = lifecycle
        self._timers.handle(Due.CHECK, self._check)

    def changed(self, instance: Instance, status: Status, now: float) -> None:
        """Begin to check a precondition which has been started."""
        if instance.kind is Kind.SERVICE_PRECONDITION and status is Status.RUNNING:
            self._check(instance, now)

    def _check(self, instance: Instance, now: float) -> None:
        if instance.status is not Status.RUNNING:
            return
        pipeline = instance.pipeline
        held_back = pipeline.state is not Status.SCHEDULED
        held_back = held_back or instance.component.id in pipeline.paused
        try:
            met = not held_back and self._holds(instance)
        except ExpressionError as error:
            self._lifecycle.end(instance, Status.FAILED, now, str(error))
            return
        if not held_back:
            instance.checks += 1
            instance.checked_at = now
        if met:
            self._lifecycle.set(instance, Status.FINISHED, now)
        else:
            delay = max(_MIN_CHECK_DELAY, self._reader.retry_delay(instance))
            self._timers.set(instance, Due.CHECK, now + delay)

    def _holds(self, instance: Instance) -> bool:
        kind = instance.component.type
        scope = ObjectScope(instance.id, instance.pipeline, self._calendar)
        name = scope.text(CHECKED_FIELDS[kind]) or ""
        bucket, _, key = S3_SCHEME.sub("", name, count=1).partition("/")
        match kind:
            case "S3KeyExists":
                return self._outside.s3_key_exists(bucket, key)
            case "S3PrefixNotEmpty":
                return self._outside.s3_prefix_not_empty(bucket, key)
            case "DynamoDBTableExists":
                return self._outside.dynamodb_table_exists(name)
        return self._outside.dynamodb_data_exists(name)
