"""The question marks of an SQL text: those that stand for values, not in literals or comments."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_BLOCK_COMMENT: Final = r"/\*.*?(?:\*/|\Z)"
_POSTGRESQL: Final = re.compile(
    r"(?P<skipped>--[^\n]*|(?P<nested>/\*)"
    r"|\b[eE]'(?:[^'\\]|\\.|'')*(?:'|\Z)|'[^']*(?:'|\Z)|\"[^\"]*(?:\"|\Z)"
    r"|(?<![\w$])(?P<tag>\$(?:[^\W\d]\w*)?\$).*?(?:(?P=tag)|\Z))"
    r"|(?P<escaped>\?\?)|(?P<value>\?)",
    re.DOTALL,
)
_MYSQL: Final = re.compile(
    r"(?P<skipped>--(?=\s|\Z)[^\n]*|\#[^\n]*|" + _BLOCK_COMMENT + r"|`[^`]*(?:`|\Z)"
    r"|'(?:[^'\\]|\\.|'')*(?:'|\Z)|\"(?:[^\"\\]|\\.|\"\")*(?:\"|\Z))"
    r"|(?P<escaped>\?\?)|(?P<value>\?)",
    re.DOTALL,
)
_COMMENT_ENDS: Final = re.compile(r"/\*|\*/")


def replace_marks(
    sql: str,
    value: Callable[[int], str],
    *,
    mysql: bool,
    other: Callable[[str], str] = str,
) -> str:
    """Return the text with its nth question mark replaced by `value(n)`, n from 0.

    Two of them are one that stands for no value, as JDBC has it for PostgreSQL's operators. What
    is between is passed through `other`.
    """
    tokens = _MYSQL if mysql else _POSTGRESQL
    parts: list[str] = []
    count = position = start = 0
    while match := tokens.search(sql, position):
        position = match.end()
        if match["value"] or match["escaped"]:
            parts.append(other(sql[start : match.start()]))
            parts.append(value(count) if match["value"] else "?")
            count += match["value"] is not None
            start = position
        elif not mysql and match["nested"]:
            position = _comment_end(sql, position)
    return "".join((*parts, other(sql[start:])))


def count_marks(sql: str, *, mysql: bool) -> int:
    """Return how many question marks stand for values."""
    numbers: list[int] = []

    def note(number: int) -> str:
        numbers.append(number)
        return ""

    replace_marks(sql, note, mysql=mysql)
    return len(numbers)


def _comment_end(sql: str, position: int) -> int:
    """Return where a comment ends, in which there may be others: that is PostgreSQL's way."""
    depth = 1
    for match in _COMMENT_ENDS.finditer(sql, position):
        depth += 1 if match.group() == "/*" else -1
        if not depth:
            return match.end()
    return len(sql)
