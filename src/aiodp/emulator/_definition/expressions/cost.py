"""What the expressions of a definition will cost, found without evaluating any of them.

The evaluation of a text takes a step for each node of its trees, each item of a list, and each
field that it leads to, again and again. Each field is looked at once here, so that a definition
whose fields double from one to the next is found out in as many steps as it has fields.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Final

from aiodp.emulator._definition.expressions.errors import ExpressionError
from aiodp.emulator._definition.expressions.evaluator import (
    LETTERS_IN_STEP,
    MAX_DEPTH,
    MAX_ITEMS,
    is_verbatim,
)
from aiodp.emulator._definition.expressions.nodes import (
    Call,
    Literal,
    Member,
    Name,
    Node,
    Operation,
)
from aiodp.emulator._definition.expressions.template import OPENING, Expression, split
from aiodp.emulator._definition.fields import MAX_VALUE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from aiodp.emulator._definition.fields import Field, Fields

_RUNTIME_LENGTH: Final = 20  # characters of a date, or of what else only an instance has


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Steps of an evaluation, and how many values of which length it makes."""

    steps: int = 1
    items: int = 1
    length: int = _RUNTIME_LENGTH


class TooCostlyError(Exception):
    """The steps are more than may be counted."""


class Costs:
    """The costs of the fields of some objects, which may refer to each other and to parameters.

    All methods raise `TooCostlyError` once more than `most` steps have been counted.
    """

    def __init__(
        self, objects: Mapping[str, Fields], parameters: Mapping[str, tuple[str, ...]], most: int
    ) -> None:
        self._objects = objects
        self._parameters = parameters
        self._left = most
        self._known: dict[tuple[str, str], Cost] = {}
        self._depth = 0

    def of(self, object_id: str) -> int:
        """Return the steps of evaluating each field of an object that has an expression."""
        fields = self._objects[object_id].items()
        keys = [key for key, values in fields if not is_verbatim(key) and _is_open(values)]
        return sum(self._name(key, object_id).steps for key in keys)

    def _name(self, name: str, object_id: str) -> Cost:
        """Return the cost of a field or a parameter, as seen from an object."""
        place = object_id, name
        if place not in self._known:
            self._known[place] = Cost()  # of a field that leads back to itself
            fields = self._objects[object_id].get(name)
            values = self._parameters.get(name) if fields is None else _texts(fields)
            if values is not None:
                self._known[place] = _listed([self._text(text, object_id) for text in values])
        return self._known[place]

    def _text(self, text: str, object_id: str) -> Cost:
        self._spend(1)
        if OPENING not in text:
            return Cost(length=len(text))
        pieces: list[Cost] = []
        with suppress(ExpressionError):  # of broken syntax: nothing behind it is evaluated
            pieces.extend(self._piece(piece, object_id) for piece in split(text))
        return _combined(pieces, 0)

    def _piece(self, piece: str | Expression, object_id: str) -> Cost:
        if isinstance(piece, Expression):
            return self._node(piece.parse(), object_id)
        return Cost(steps=0, length=len(piece))

    def _node(self, node: Node, object_id: str) -> Cost:
        self._spend(1)
        if self._depth >= MAX_DEPTH:
            return Cost()
        self._depth += 1
        try:
            return self._dispatch(node, object_id)
        finally:
            self._depth -= 1

    def _dispatch(self, node: Node, object_id: str) -> Cost:
        match node:
            case Literal():
                return Cost(length=len(str(node.value)))
            case Name():
                return _listed([self._name(node.name, object_id)])
            case Member():
                owners, steps = self._owners(node.target, object_id)
                return _listed([self._member(node.name, owner) for owner in owners], steps)
            case Call() | Operation():
                costs = [self._node(child, object_id) for child in node.children]
                return _combined(costs, LETTERS_IN_STEP if isinstance(node, Call) else 0)

    def _member(self, name: str, owner: str | None) -> Cost:
        """Return the cost of another object's field; an unknown one may be any of them."""
        if owner is not None:
            return self._name(name, owner)
        having = [key for key, fields in self._objects.items() if name in fields]
        costs = [self._name(name, key) for key in having]
        return max(costs, key=lambda cost: cost.steps, default=Cost())

    def _owners(self, target: Node, object_id: str) -> tuple[list[str | None], int]:
        """Return the objects to which a reference leads, and the steps of following it.

        `None` is an object which is known at runtime only.
        """
        outer: list[str | None] = [object_id]
        steps = 0
        if isinstance(target, Member):
            outer, steps = self._owners(target.target, object_id)
        name = target.name if isinstance(target, Name | Member) else ""
        found = [owner for one in outer for owner in self._followed(name, one)]
        return found, steps + len(outer) + len(found)

    def _followed(self, name: str, object_id: str | None) -> Sequence[str | None]:
        fields = None if object_id is None else self._objects[object_id].get(name)
        if fields is None:
            return [None]
        self._spend(len(fields))
        return [field.value for field in fields if field.is_ref and field.value in self._objects]

    def _spend(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise TooCostlyError


def _is_open(values: Iterable[Field]) -> bool:
    return any(not field.is_ref and OPENING in field.value for field in values)


def _texts(fields: Iterable[Field]) -> list[str]:
    """Return what may have expressions; a reference has the text of an id."""
    return [field.value.replace(OPENING, "") if field.is_ref else field.value for field in fields]


def _listed(costs: Sequence[Cost], steps: int = 0) -> Cost:
    """Return the cost of one value after the other."""
    return Cost(
        steps=1 + steps + sum(cost.steps for cost in costs),
        items=sum(cost.items for cost in costs),
        length=max((cost.length for cost in costs), default=0),
    )


def _combined(costs: Sequence[Cost], letters_in_step: int) -> Cost:
    """Return the cost of all combinations of the items."""
    steps = 1 + sum(cost.steps for cost in costs)
    rows = prod(cost.items for cost in costs)
    if rows > MAX_ITEMS:  # which the evaluation refuses
        return Cost(steps=steps)
    length = min(sum(cost.length for cost in costs), MAX_VALUE_BYTES)
    row = 1 + (length // letters_in_step if letters_in_step else 0)
    return Cost(steps=steps + rows * row, items=rows, length=length)
