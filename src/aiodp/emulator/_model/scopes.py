"""What the expressions of an object can see."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from aiodp.emulator._definition.expressions import evaluate, evaluate_fields, has_expression
from aiodp.emulator._definition.fields import Field, Fields
from aiodp.emulator._model.views import component_fields, fields_of, is_known

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiodp.emulator._calendar import Calendar
    from aiodp.emulator._definition.components import Component
    from aiodp.emulator._definition.expressions import Work
    from aiodp.emulator._definition.plan import Plan
    from aiodp.emulator._model.records import Pipeline


class ObjectScope:
    """An object of any sphere, with its fields, the pipeline's parameters and its references.

    `extra` are more fields which it has, such as `node` of an alarm. Components are those of
    `plan`, by default the active one.
    """

    def __init__(
        self,
        object_id: str,
        pipeline: Pipeline,
        calendar: Calendar,
        extra: Fields | None = None,
        plan: Plan | None = None,
    ) -> None:
        self._id = object_id
        self._pipeline = pipeline
        self._calendar = calendar
        self._extra = extra or {}
        self._plan = plan or pipeline.plan

    @cached_property
    def fields(self) -> Fields:
        """The object's own fields, as they are now, with expressions in them."""
        if self._plan is not None and self._id in self._plan.components:
            component = self._plan.components[self._id]
            return component_fields(component, self._pipeline, self._calendar) | self._extra
        return fields_of(self._id, self._pipeline, self._calendar) | self._extra

    @property
    def _components(self) -> Mapping[str, Component]:
        return self._pipeline.components if self._plan is None else self._plan.components

    def field(self, name: str) -> tuple[Field, ...] | None:
        """Return a field of the object, or else the values of a parameter."""
        if name in ("id", "@id"):
            return (Field(name, self._id),)
        if name == "name":
            component = self._components.get(self._id)
            return (Field(name, self._id if component is None else component.name),)
        return self.fields[name] if name in self.fields else self._parameter(name)

    def follow(self, object_id: str) -> ObjectScope | None:
        """Return the object to which a reference points."""
        if object_id not in self._components and not is_known(object_id, self._pipeline):
            return None
        return ObjectScope(object_id, self._pipeline, self._calendar, plan=self._plan)

    def evaluated(self, work: Work | None = None) -> Fields:
        """Return all fields with their expressions evaluated; raises `ExpressionError`."""
        return evaluate_fields(self.fields, self, work)

    def text(self, key: str, work: Work | None = None) -> str | None:
        """Return the first string value of a field, evaluated; raises `ExpressionError`."""
        values = (field.value for field in self.fields.get(key, ()) if not field.is_ref)
        raw = next(values, None)
        if raw is None or not has_expression(raw):
            return raw
        return next(iter(evaluate(raw, self, work)), None)

    def _parameter(self, name: str) -> tuple[Field, ...] | None:
        values = self._plan.parameters.get(name) if self._plan is not None else None
        return None if values is None else tuple(Field(name, value) for value in values)
