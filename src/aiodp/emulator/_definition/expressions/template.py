"""Texts with `#{...}` in them, taken apart."""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from importlib import import_module
from threading import Lock
from typing import TYPE_CHECKING, Final

from aiodp.emulator._definition.expressions.errors import ExpressionError, ReasonError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aiodp.emulator._definition.expressions.nodes import Node

OPENING: Final = "#{"
_MAX_KEPT: Final = 128 * 1024  # characters of expressions whose trees are kept
_MAX_LENGTH: Final = 10_240  # bytes of a field (dp-limits), so no more characters

_WORD: Final = re.compile(r"""'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+"|\w++|[^\w\s]""", re.DOTALL)
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
            return _TREES.get(self.source)
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


def words(source: str) -> int:
    """Return how many names, values and signs an expression has: what reading it costs."""
    return len(_WORD.findall(source))


class Trees:
    """Keeps the trees of expressions that were read, the latest ones, for any thread.

    It is bounded by what they were read from: a tree takes a hundred times the memory.
    """

    def __init__(self, read: Callable[[str], Node], most: int) -> None:
        self._read = read
        self._most = most
        self._length = 0
        self._kept: OrderedDict[str, Node | ReasonError] = OrderedDict()
        self._lock = Lock()

    def get(self, source: str) -> Node:
        """Return the tree of an expression; raise `ReasonError` if its syntax is broken."""
        with self._lock:
            kept = self._kept.pop(source, None)
            if kept is None:
                kept = self._make(source)
            self._kept[source] = kept  # as the latest
            while self._length > self._most:
                self._length -= len(self._kept.popitem(last=False)[0])
        if isinstance(kept, ReasonError):
            raise ReasonError(str(kept))
        return kept

    def _make(self, source: str) -> Node | ReasonError:
        self._length += len(source)
        try:
            return self._read(source)
        except ReasonError as error:
            return ReasonError(str(error))


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


_TREES: Final = Trees(_parse, _MAX_KEPT)
