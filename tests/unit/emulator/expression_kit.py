"""Objects for tests of expressions to stand on."""

from __future__ import annotations

from aiodp.emulator._definition.expressions import evaluate
from aiodp.emulator._definition.fields import Field

REF = "ref:"
"""A value that begins so is a reference."""


class Thing:
    """An object of a pipeline; `others` are the objects which its references may point to."""

    def __init__(self, values, others=None):
        self._values = values
        self._others = {} if others is None else others

    def field(self, name):
        if name not in self._values:
            return None
        value = self._values[name]
        items = value if isinstance(value, tuple) else (value,)
        return tuple(_field(name, item) for item in items)

    def follow(self, object_id):
        return self._others.get(object_id)


def things(**objects):
    """Return things by id, each of which knows its id and all the others."""
    made: dict[str, Thing] = {}
    for object_id, values in objects.items():
        made[object_id] = Thing({"@id": object_id} | values, made)
    return made


def value(text, **values):
    """Evaluate a text without lists in an object with these fields."""
    (only,) = evaluate(text, Thing(values))
    return only


def _field(name, item):
    if item.startswith(REF):
        return Field(name, item.removeprefix(REF), is_ref=True)
    return Field(name, item)
