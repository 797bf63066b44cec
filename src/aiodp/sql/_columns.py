"""The columns that a data format declares: `Name STRING`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiodp._core.text import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiodp.sql._rows import Batch

_BETWEEN: Final = re.compile(r",(?![^()]*\))")
"""A comma that is not within the parentheses of a type such as `DECIMAL(10,2)`."""
_NOT_TEXT: Final = re.compile(
    r"(?:TINY|SMALL|MEDIUM|BIG)?INT(?:EGER)?|FLOAT|DOUBLE|REAL|DECIMAL|NUMERIC|BOOL(?:EAN)?"
    r"|DATE|TIME|DATETIME|TIMESTAMP",
    re.IGNORECASE,
)
"""Types of which an empty text is no value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """The name and the type of a column; one that is not given is empty."""

    name: str
    type: str

    @property
    def is_text(self) -> bool:
        """Whether an empty text may be a value of it."""
        return _NOT_TEXT.fullmatch(self.type.partition("(")[0].strip()) is None


def read_columns(texts: Iterable[str]) -> tuple[Column, ...]:
    """Read the field `column`: one or several columns a value; raise `ValueError`."""
    return tuple(_column(text) for value in texts for text in _BETWEEN.split(value))


def empty_as_null(batch: Batch, columns: tuple[Column, ...]) -> Batch:
    """Return the rows with None for what is empty where it cannot be a text."""
    places = [place for place, column in enumerate(columns) if not column.is_text]
    if not any(row[place] == "" for row in batch for place in places):
        return batch
    nullable = frozenset(places)
    return [
        tuple(None if text == "" and n in nullable else text for n, text in enumerate(row))
        for row in batch
    ]


def _column(text: str) -> Column:
    name, _, kind = text.strip().partition(" ")
    if not name:
        raise ValueError(f"column {shown(text)} has no name")
    return Column(name=name, type=kind.strip())
