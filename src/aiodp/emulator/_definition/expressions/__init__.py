r"""Expressions: `#{...}` in fields of a definition (Developer Guide, dp-pipeline-expressions).

An expression names fields of its own object (`#{@scheduledStartTime}`), of objects it refers to
(`#{input.tableName}`, `#{parent.@id}`), and parameters (`#{myVar}`, `#{*myVar}`); it has
strings in single or double quotes, integers and decimals, `+ - * / ^` with brackets, and the
guide's functions, which may also be written as methods of their first argument. A text
`[#{myList1}, #{myList2}]` is one flat list of all their items.

Where the guide is silent: `^` binds to the right and tighter than the minus of a negative number;
`\'`, `\"` and `\\` are the escapes of a string; two lists make all pairs; a list
without items makes a text without values; numbers are Java's (`values.py`).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Final

from aiodp.emulator._definition.expressions.errors import ExpressionError, ReasonError
from aiodp.emulator._definition.expressions.evaluator import Evaluator, Scope, is_verbatim
from aiodp.emulator._definition.expressions.functions import check_call
from aiodp.emulator._definition.expressions.nodes import Call, Name, Node, walk
from aiodp.emulator._definition.expressions.template import OPENING, Expression, split, words
from aiodp.emulator._definition.expressions.work import Work
from aiodp.emulator._definition.fields import MAX_VALUE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aiodp.emulator._definition.fields import Field, Fields

__all__ = [
    "ExpressionError",
    "Scope",
    "Work",
    "count_words",
    "evaluate",
    "evaluate_fields",
    "has_expression",
    "names",
    "syntax_errors",
]

_MAX_ERRORS: Final = 10
_KEPT_TEXTS: Final = 1_000  # of 10,240 bytes at most


def has_expression(text: str) -> bool:
    """Return whether the text holds an expression, well-formed or not."""
    return OPENING in text


def evaluate(
    text: str, scope: Scope, work: Work | None = None, *, max_bytes: int = MAX_VALUE_BYTES
) -> tuple[str, ...]:
    """Return the text with every expression in it evaluated.

    That is one text, unless lists take part: then one for each item. A text without expressions is
    returned as it is. Raises `ExpressionError` if an expression has no value, if a result has
    more than `max_bytes` (by default what a field may hold, dp-limits), or if it takes more than
    what is left of `work`.
    """
    if not has_expression(text):
        return (text,)
    return Evaluator(max_bytes, work or Work()).text(text, scope)


def evaluate_fields(fields: Fields, scope: Scope, work: Work | None = None) -> Fields:
    """Return the fields with their strings evaluated, lists flat; raise as `evaluate` does.

    References stay as they are, and so do id, name, type and runtime fields. A field whose
    expression is a list without items is left out.
    """
    work = work or Work()
    evaluated = {
        key: tuple(evaluated for field in values for evaluated in _evaluated(field, scope, work))
        for key, values in fields.items()
    }
    return {key: values for key, values in evaluated.items() if values}


def syntax_errors(text: str) -> list[str]:
    """Return what is wrong with the expressions of a text, whatever the object: ten errors at most.

    That is broken syntax, an unknown function, a wrong number of arguments, or an unclosed `#{`.
    """
    return list(_syntax_errors(text))


def names(text: str) -> set[str]:
    """Return the names which the expressions look up in their own object or in the parameters.

    Of `#{input.tableName}` that is `input`. Expressions of broken syntax have none.
    """
    return set(_names(text))


def count_words(texts: Iterable[str]) -> int:
    """Return how many names, values and signs are in the expressions of texts.

    Expressions that are written in the same way count once, since they are read once.
    """
    return sum(map(words, {source for text in texts for source in _sources(text)}))


@lru_cache(_KEPT_TEXTS)
def _syntax_errors(text: str) -> tuple[str, ...]:
    return tuple(islice(_all_faults(text), _MAX_ERRORS))


@lru_cache(_KEPT_TEXTS)
def _names(text: str) -> frozenset[str]:
    return frozenset(node.name for node in _nodes(text) if isinstance(node, Name))


def _all_faults(text: str) -> Iterator[str]:
    try:
        for expression in _expressions(text):
            yield from _faults(expression)
    except ExpressionError as error:
        yield str(error)


def _sources(text: str) -> Iterator[str]:
    with suppress(ExpressionError):  # never closed: what stands before has been yielded
        yield from (expression.source for expression in _expressions(text))


def _evaluated(field: Field, scope: Scope, work: Work) -> Iterator[Field]:
    if field.is_ref or is_verbatim(field.key) or not has_expression(field.value):
        yield field
        return
    for text in evaluate(field.value, scope, work):
        yield replace(field, value=text)


def _expressions(text: str) -> Iterator[Expression]:
    return (part for part in split(text) if isinstance(part, Expression))


def _nodes(text: str) -> Iterator[Node]:
    try:
        for expression in _expressions(text):
            yield from _walked(expression)
    except ExpressionError:  # never closed: what stands before has been yielded
        return


def _walked(expression: Expression) -> Iterator[Node]:
    try:
        tree = expression.parse()
    except ExpressionError:
        return
    yield from walk(tree)


def _faults(expression: Expression) -> Iterator[str]:
    try:
        tree = expression.parse()
    except ExpressionError as error:
        yield str(error)
        return
    for node in walk(tree):
        if isinstance(node, Call):
            yield from _call_faults(expression, node)


def _call_faults(expression: Expression, node: Call) -> Iterator[str]:
    try:
        check_call(node.function, len(node.arguments))
    except ReasonError as error:
        yield str(ExpressionError(str(expression), str(error)))
