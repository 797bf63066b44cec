"""The syntax tree of an expression."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator


class Operator(Enum):
    """The operators of the Developer Guide's mathematical and string functions."""

    ADD = "+"
    SUBTRACT = "-"
    MULTIPLY = "*"
    DIVIDE = "/"
    POWER = "^"


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """What all nodes have: how many levels stand below, brackets included."""

    depth: int = 0

    @property
    def children(self) -> tuple[Node, ...]:
        """The nodes right below."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Literal(Branch):
    """A quoted string or a number."""

    value: str | int | float


@dataclass(frozen=True, slots=True, kw_only=True)
class Name(Branch):
    """A field of the object, or a parameter."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Member(Branch):
    """A field of the object which `target` refers to."""

    target: Node
    name: str

    @property
    def children(self) -> tuple[Node, ...]:
        """The reference."""
        return (self.target,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Branch):
    """A function with its arguments; of `object.function(...)` the object is the first."""

    function: str
    arguments: tuple[Node, ...]

    @property
    def children(self) -> tuple[Node, ...]:
        """The arguments."""
        return self.arguments


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(Branch):
    """Operators of one precedence, from left to right: a long sum is no deeper than a short one."""

    first: Node
    rest: tuple[tuple[Operator, Node], ...]

    @property
    def children(self) -> tuple[Node, ...]:
        """The operands."""
        return (self.first, *(operand for _, operand in self.rest))


Node: TypeAlias = Literal | Name | Member | Call | Operation


def walk(root: Node) -> Iterator[Node]:
    """Yield every node of the tree, in the order in which they are written."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(node.children))
