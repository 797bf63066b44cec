"""The evaluation of expressions in the scope of an object.

Everything is a tuple of values, because fields may be lists: an operator, a function or a text
is applied to each item, two lists to all pairs of their items (the left one changes slowest), and
nested lists become flat (Developer Guide, dp-pipeline-expressions). A field which holds an
expression itself is evaluated first, in the scope of the object it belongs to.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from aiodp.emulator._definition.expressions.errors import ExpressionError, ReasonError, shortened
from aiodp.emulator._definition.expressions.functions import call
from aiodp.emulator._definition.expressions.nodes import (
    Call,
    Literal,
    Member,
    Name,
    Node,
    Operation,
)
from aiodp.emulator._definition.expressions.template import OPENING, Expression, is_list, split
from aiodp.emulator._definition.expressions.values import (
    FieldText,
    Reference,
    Value,
    apply,
    text_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiodp.emulator._definition.expressions.work import Work
    from aiodp.emulator._definition.fields import Field

MAX_DEPTH: Final = 50
MAX_ITEMS: Final = 1_000
LETTERS_IN_STEP: Final = 8

T = TypeVar("T")

_VERBATIM: Final = frozenset(
    {
        "id",
        "name",
        "type",
        "parent",
        "attemptStatus",
        "cancellationReason",
        "errorId",
        "errorMessage",
        "errorStackTrace",
        "hostname",
    }
)


class Scope(Protocol):
    """What an object offers to its expressions."""

    def field(self, name: str) -> tuple[Field, ...] | None:
        """Return a field, `@` fields and `@id` included, or else a parameter's values.

        `None` if there is neither; an empty tuple is a list without items.
        """

    def follow(self, object_id: str) -> Scope | None:
        """Return the object which a reference field of this one points to, if it exists."""


def is_verbatim(key: str) -> bool:
    """Return whether a field is never evaluated.

    Those are id, name, type and sphere (Developer Guide, dp-pipeline-expressions), and what the
    service or a worker wrote at runtime: an error message may well quote an expression.
    """
    return key.startswith("@") or key in _VERBATIM


class Evaluator:
    """One evaluation, with the limits which keep it finite. The depth counts all fields passed.

    `max_bytes` is of each text, `work` of all together.
    """

    def __init__(self, max_bytes: int, work: Work) -> None:
        self._max_bytes = max_bytes
        self._work = work
        self._depth = 0
        self._trail: list[tuple[object, str]] = []

    def text(self, text: str, scope: Scope) -> tuple[str, ...]:
        """Return the text with its expressions evaluated: several texts if a list takes part."""
        columns: list[Sequence[str]] = [
            self._expression(part, scope) if isinstance(part, Expression) else (part,)
            for part in split(text)
        ]
        if is_list(text) and any(len(column) != 1 for column in columns):
            columns = [[item for column in columns[1::2] for item in column]]
        try:
            return tuple(self._sized("".join(row)) for row in self._rows(columns))
        except ReasonError as error:
            raise ExpressionError(text, str(error)) from None

    def _expression(self, expression: Expression, scope: Scope) -> tuple[str, ...]:
        try:
            self._work.read(expression.source)
            node = expression.parse()
            return tuple(text_of(value) for value in self._values(node, scope))
        except ReasonError as error:
            raise ExpressionError(str(expression), str(error)) from None

    def _values(self, node: Node, scope: Scope) -> tuple[Value, ...]:
        self._work.spend(1)
        if self._depth >= MAX_DEPTH:
            raise ReasonError(f"it leads through more than {MAX_DEPTH} levels")
        self._depth += 1
        try:
            return self._dispatch(node, scope)
        finally:
            self._depth -= 1

    def _dispatch(self, node: Node, scope: Scope) -> tuple[Value, ...]:
        match node:
            case Literal():
                return (node.value,)
            case Name():
                return self._field(node.name, scope)
            case Member():
                return self._member(node, scope)
            case Call():
                rows = self._rows([self._values(argument, scope) for argument in node.arguments])
                return tuple(self._checked(self._call(node.function, row)) for row in rows)
            case Operation():
                return self._operation(node, scope)

    def _call(self, function: str, row: tuple[Value, ...]) -> Value:
        # A pattern may have as many letters as a text has, each of which is written out.
        letters = sum(len(value) for value in row if isinstance(value, str))
        self._work.spend(letters // LETTERS_IN_STEP)
        return call(function, row)

    def _operation(self, node: Operation, scope: Scope) -> tuple[Value, ...]:
        left = self._values(node.first, scope)
        for operator, operand in node.rest:
            rows = self._rows([left, self._values(operand, scope)])
            left = tuple(self._checked(apply(operator, *row)) for row in rows)
        return left

    def _member(self, node: Member, scope: Scope) -> tuple[Value, ...]:
        owners = self._owners(node.target, scope)
        return tuple(value for owner in owners for value in self._field(node.name, owner))

    def _owners(self, target: Node, scope: Scope) -> list[Scope]:
        """Return the objects which `target` refers to."""
        if not isinstance(target, Name | Member):
            raise ReasonError("only a reference has fields")
        if target.name.startswith("@"):
            # Developer Guide, dp-pipeline-expressions: not transitive through runtime fields.
            raise ReasonError(f"references do not lead through the runtime field {target.name}")
        if isinstance(target, Name):
            return self._followed(target.name, scope)
        outer = self._owners(target.target, scope)
        return [owner for object_ in outer for owner in self._followed(target.name, object_)]

    def _followed(self, name: str, scope: Scope) -> list[Scope]:
        fields = _known(name, scope)
        self._work.spend(1 + len(fields))
        owners = []
        for field in fields:
            if not field.is_ref:
                raise ReasonError(f'"{name}" is no reference')
            owner = scope.follow(field.value)
            if owner is None:
                raise ReasonError(f'"{name}" refers to "{field.value}", which does not exist')
            owners.append(owner)
        return owners

    def _field(self, name: str, scope: Scope) -> tuple[Value, ...]:
        fields = _known(name, scope)
        self._work.spend(len(fields))
        return tuple(value for field in fields for value in self._field_values(field, scope))

    def _field_values(self, field: Field, scope: Scope) -> Sequence[Value]:
        if field.is_ref:
            return [Reference(object_id=field.value)]
        if OPENING not in field.value or is_verbatim(field.key):
            return [FieldText(field.value)]
        return [FieldText(text) for text in self._nested(field, scope)]

    def _nested(self, field: Field, scope: Scope) -> tuple[str, ...]:
        """Evaluate a field which holds expressions itself."""
        here = (_identity(scope), field.key)
        if here in self._trail:
            names = [key for _, key in self._trail[self._trail.index(here) :]]
            raise ReasonError(f"it refers to itself: {' > '.join([*names, field.key])}")
        self._trail.append(here)
        try:
            return self.text(field.value, scope)
        finally:
            self._trail.pop()

    def _rows(self, columns: Sequence[Sequence[T]]) -> product[tuple[T, ...]]:
        count = prod(len(column) for column in columns)
        if count > MAX_ITEMS:
            raise ReasonError(f"it makes a list of more than {MAX_ITEMS} items")
        self._work.spend(count)
        return product(*columns)

    def _checked(self, value: Value) -> Value:
        return self._sized(value) if isinstance(value, str) else value

    def _sized(self, text: str) -> str:
        size = len(text.encode(errors="surrogatepass"))
        if size > self._max_bytes:
            raise ReasonError(f"the result exceeds {self._max_bytes} bytes")
        self._work.keep(size)
        return text


def _known(name: str, scope: Scope) -> tuple[Field, ...]:
    fields = scope.field(name)
    if fields is None:
        raise ReasonError(f'there is no field or parameter "{shortened(name)}"')
    return fields


def _identity(scope: Scope) -> object:
    """Return what tells objects apart: scopes may be made anew each time they are followed."""
    fields = scope.field("@id")
    return fields[0].value if fields else id(scope)
