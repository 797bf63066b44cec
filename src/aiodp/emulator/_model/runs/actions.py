"""Actions: what objects have done when they succeed, fail or are late (dp-concepts-actions)."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from aiodp.emulator._definition.expressions import ExpressionError, Work, evaluate
from aiodp.emulator._definition.expressions.template import split
from aiodp.emulator._definition.fields import refs
from aiodp.emulator._definition.plan import ON_DEMAND
from aiodp.emulator._model.audit import AuditKind
from aiodp.emulator._model.records import BAD, GOOD, Status
from aiodp.emulator._model.scopes import ObjectScope
from aiodp.emulator._model.timers import Due
from aiodp.emulator._settings import LateIf

if TYPE_CHECKING:
    from aiodp.emulator._model.context import Context
    from aiodp.emulator._model.records import Instance
    from aiodp.emulator._model.runs.lifecycle import Lifecycle

_FAILED: Final = BAD - {Status.CANCELED}
_TEXTS: Final = ("topicArn", "subject", "message")
_NOT_STARTED: Final = frozenset({Status.WAITING_ON_DEPENDENCIES, Status.WAITING_FOR_RUNNER})


class Actions:
    """Fires `onSuccess`, `onFail` and `onLateAction`."""

    def __init__(self, context: Context, lifecycle: Lifecycle) -> None:
        self._settings = context.settings
        self._calendar = context.calendar
        self._timers = context.timers
        self._reader = context.reader
        self._outside = context.outside
        self._audit = context.audit
        self._lifecycle = lifecycle
        self._timers.handle(Due.LATE, self._late)

    def made(self, instance: Instance, now: float) -> None:
        """Note when a new instance will be late, counted from when it was to run."""
        timeout = self._reader.period(instance, "lateAfterTimeout")
        if timeout is not None and instance.timeline != ON_DEMAND:
            self._timers.set(instance, Due.LATE, max(now, instance.runs_at + timeout))

    def changed(self, instance: Instance, status: Status, now: float) -> None:
        """Fire what the end of an instance calls for."""
        if status is Status.FINISHED:
            self._fire(instance, "onSuccess", now)
        elif status in _FAILED:
            self._fire(instance, "onFail", now)

    def _late(self, instance: Instance, now: float) -> None:
        by_start = self._settings.late_if is LateIf.NOT_STARTED
        late = instance.status in _NOT_STARTED if by_start else instance.status not in GOOD
        if late:
            self._fire(instance, "onLateAction", now)

    def _fire(self, instance: Instance, key: str, now: float) -> None:
        for action_id in instance.component.refs(key):
            action = instance.plan.components.get(action_id)
            if action is None:
                continue
            self._audit.note(AuditKind.ACTION, instance, now, detail=action_id)
            if action.type == "Terminate":
                self._lifecycle.cancel(instance, now, f"{action_id} ended it")
            elif action.type == "SnsAlarm":
                self._alarm(action_id, instance)

    def _alarm(self, action_id: str, instance: Instance) -> None:
        node = refs(node=instance.id)
        scope = ObjectScope(action_id, instance.pipeline, self._calendar, node)
        work = Work()
        topic, subject, message = (_text_of(scope, key, work) for key in _TEXTS)
        self._outside.publish(topic, subject, message)


def _text_of(scope: ObjectScope, key: str, work: Work) -> str:
    """Return a text of an alarm with what can be evaluated; the rest stays as it is written."""
    with suppress(ExpressionError):
        return scope.text(key, work) or ""
    raw = next(field.value for field in scope.fields[key] if not field.is_ref)
    return "".join(_evaluated_if_possible(str(piece), scope, work) for piece in split(raw))


def _evaluated_if_possible(piece: str, scope: ObjectScope, work: Work) -> str:
    with suppress(ExpressionError):
        return ",".join(evaluate(piece, scope, work))
    return piece
