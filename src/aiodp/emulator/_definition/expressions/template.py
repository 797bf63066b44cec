"""Texts with `#{...}` in them, taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Final

from aiodp.emulator._definition.expressions.errors import ExpressionError, ReasonError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiodp.emulator._definition.expressions.nodes import Node

OPENING: Final = "#{"
_MAX_LENGTH: Final = 10_240  # bytes of a field (dp-limits), so no more characters

# Possessive, so that a hostile text costs no backtracking. A brace within quotes closes nothing.
_INSIDE: Final = r"""(?:[^}'"]|'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+")*+"""
_BODY: Final = re.compile(rf"({_INSIDE})\}}", re.DOTALL)
_ITEM: Final = rf"\s*#\{{{_INSIDE}\}}\s*"
_LIST: Final = re.compile(rf"\s*\[{_ITEM}(?:,{_ITEM})+\]\s*", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """What stands between `#{` and `}`."""

    source: str

    def __str__(self) -> str:
        return f"{OPENING}{self.source}}}"

    def parse(self) -> Node:
        """Return its tree; raise `ExpressionError` if its syntax is broken."""
        if len(self.source) > _MAX_LENGTH:
            raise ExpressionError(str(self), f"it has more than {_MAX_LENGTH} characters")
        try:
            return _parse(self.source)
        except ReasonError as error:
            raise ExpressionError(str(self), str(error)) from None


def split(text: str) -> Iterator[str | Expression]:
    """Yield the parts of the text; raise `ExpressionError` at a `#{` which is never closed."""
    position = 0
    while (opening := text.find(OPENING, position)) >= 0:
        if opening > position:
            yield text[position:opening]
        body = _BODY.match(text, opening + len(OPENING))
        if body is None:
            raise ExpressionError(text[opening:], 'its "#{" is never closed')
        yield Expression(source=body[1])
        position = body.end()
    if position < len(text):
        yield text[position:]


def is_list(text: str) -> bool:
    """Return whether the text is expressions within brackets, such as `[#{myList1}, #{myList2}]`.

    If one of them is a list, it is one flat list of all their items (Developer Guide,
    dp-pipeline-expressions).
    """
    return _LIST.fullmatch(text) is not None


@lru_cache(maxsize=256)
def _parse(source: str) -> Node:
    try:
        grammar = import_module("aiodp.emulator._definition.expressions.grammar")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("aiodp"):
            raise
        message = 'Expressions need lark: pip install "aiodp[emulator]"'
        raise ModuleNotFoundError(message, name=error.name) from error
    tree: Node = grammar.parse(source)
    return tree
