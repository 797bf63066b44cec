"""The grammar of expressions, and the tree which lark builds by it.

This module alone needs lark, so `template.py` imports it at the first expression.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Final

from lark import Lark, Token, Transformer, UnexpectedInput, UnexpectedToken, v_args

from aiodp.emulator._definition.expressions.errors import ReasonError, shortened
from aiodp.emulator._definition.expressions.nodes import (
    Call,
    Literal,
    Member,
    Name,
    Node,
    Operation,
    Operator,
)
from aiodp.emulator._definition.expressions.values import parse_number

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_DEPTH: Final = 50
"""Levels of an expression, brackets included: a limit of our own, for the stack has one."""

# "*" is a multiplication after a value and the mark of an encrypted parameter before one; the
# contextual lexer tells them apart.
_GRAMMAR: Final = r"""
?start: sum
?sum: product
    | product ((PLUS | MINUS) product)+      -> operation
?product: unary
        | unary ((TIMES | OVER) unary)+      -> operation
?unary: power
      | MINUS unary                          -> negation
?power: postfix
      | postfix POWER unary                  -> operation
?postfix: atom
      | postfix "." NAME                     -> member
      | postfix "." NAME "(" arguments ")"   -> method
?atom: NUMBER                                -> number
     | STRING                                -> string
     | NAME                                  -> name
     | NAME "(" arguments ")"                -> call
     | "(" sum ")"                           -> group
arguments: [sum ("," sum)*]

PLUS: "+"
MINUS: "-"
TIMES: "*"
OVER: "/"
POWER: "^"
NUMBER: /[0-9]*\.[0-9]+|[0-9]+/
NAME: /[@*]?[^\W\d]\w*/
STRING: /'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"/s
%ignore /\s+/
"""

_ESCAPE: Final = re.compile(r"\\(['\"\\])")


def parse(source: str) -> Node:
    """Return the tree of what stands between `#{` and `}`.

    Raises `ReasonError` if it is no expression or nests deeper than `MAX_DEPTH`.
    """
    if not source.strip():
        raise ReasonError("it is empty")
    try:
        return _parser().parse(source)  # type: ignore[return-value]  # the transformer's
    except UnexpectedInput as error:
        raise ReasonError(_syntax_message(error, source)) from None


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", transformer=_Builder(), maybe_placeholders=False)


def _syntax_message(error: UnexpectedInput, source: str) -> str:
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        return "syntax error: it ends too early"
    at = error.pos_in_stream or 0
    unexpected = error.token if isinstance(error, UnexpectedToken) else source[at : at + 1]
    return f'syntax error at character {at + 1}: unexpected "{shortened(unexpected)}"'


def _depth_above(nodes: Iterable[Node]) -> int:
    """Return the depth of a node above these."""
    depth = 1 + max((node.depth for node in nodes), default=-1)
    if depth > MAX_DEPTH:
        raise ReasonError(f"it nests deeper than {MAX_DEPTH} levels")
    return depth


@v_args(inline=True)
class _Builder(Transformer[Token, Node]):
    """Builds the tree from the bottom up while lark parses, so no recursion is involved."""

    def number(self, token: Token) -> Node:
        return Literal(value=parse_number(token))

    def string(self, token: Token) -> Node:
        return Literal(value=_ESCAPE.sub(r"\1", token[1:-1]))

    def name(self, token: Token) -> Node:
        return Name(name=str(token))

    def group(self, inner: Node) -> Node:
        return replace(inner, depth=_depth_above([inner]))

    def arguments(self, *arguments: Node) -> tuple[Node, ...]:
        return arguments

    def call(self, function: Token, arguments: tuple[Node, ...]) -> Node:
        return Call(depth=_depth_above(arguments), function=str(function), arguments=arguments)

    def method(self, target: Node, function: Token, arguments: tuple[Node, ...]) -> Node:
        return self.call(function, (target, *arguments))

    def member(self, target: Node, name: Token) -> Node:
        return Member(depth=_depth_above([target]), target=target, name=str(name))

    def negation(self, _minus: Token, operand: Node) -> Node:
        # Java's -x, as 0 - x: the service documents no unary minus, but negative numbers occur.
        return self.operation(Literal(value=0), Operator.SUBTRACT.value, operand)

    def operation(self, first: Node, *rest: Token | str | Node) -> Node:
        operators = [Operator(str(token)) for token in rest[::2]]
        operands: list[Node] = [node for node in rest[1::2] if not isinstance(node, str)]
        return Operation(
            depth=_depth_above([first, *operands]),
            first=first,
            rest=tuple(zip(operators, operands, strict=True)),
        )
