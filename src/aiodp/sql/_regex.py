"""The format RegEx (Developer Guide, "RegEx Data Format"): patterns and formats of Java."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Final, Self

from aiodp._core.text import shown
from aiodp.sql._records import ENCODING, ERRORS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiodp.sql._columns import Column
    from aiodp.sql._rows import Batch, Row

_NAMED_GROUP: Final = re.compile(r"\(\?<(?![=!])")
_SPECIFIER: Final = re.compile(
    r"%(?:(?P<index>\d+)\$)?(?P<left>-)?(?P<width>\d+)?(?:\.(?P<most>\d+))?(?P<kind>.?)", re.DOTALL
)
_NULL: Final = "null"
"""What Java's formatter writes for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegEx:
    """A format by a pattern that a whole record matches, and by a format of its groups.

    Either may be None, if the other alone is needed.
    """

    pattern: re.Pattern[str] | None
    template: tuple[str | tuple[int, str], ...] | None
    """Pieces of text, and places of fields with a format of Python."""
    columns: tuple[Column, ...]

    @classmethod
    def read(
        cls, input_regex: str | None, output_format: str | None, columns: tuple[Column, ...]
    ) -> Self:
        """Read what a definition gives; raise `ValueError` for what cannot be done."""
        pattern = None if input_regex is None else _compiled(input_regex)
        if pattern and columns and pattern.groups != len(columns):
            raise ValueError(f"inputRegEx has {pattern.groups} groups for {len(columns)} columns")
        template = None if output_format is None else tuple(_template(output_format))
        return cls(pattern=pattern, template=template, columns=columns)

    @property
    def record_separator(self) -> str:
        """What ends a record, which nothing can change."""
        return "\n"

    @property
    def escape(self) -> str:
        """Nothing is escaped."""
        return ""

    @property
    def extension(self) -> str:
        """How the names of files end that are written in it."""
        return ".txt"

    @property
    def is_readable(self) -> bool:
        """Whether there is an inputRegEx."""
        return self.pattern is not None

    @property
    def is_writable(self) -> bool:
        """Whether there is an outputFormat."""
        return self.template is not None

    def parse(self, record: str) -> Row:
        """Return the groups; raise `ValueError` if the pattern does not match."""
        match = self.pattern and self.pattern.fullmatch(record)
        if not match:
            raise ValueError(f"is not matched by inputRegEx: {shown(record)}")
        return match.groups()

    def encode(self, rows: Batch) -> bytes:
        """Return the records of these rows; raise `ValueError` for what cannot be one."""
        return "".join(map(self._record, rows)).encode(ENCODING, ERRORS)

    def _record(self, row: Row) -> str:
        record = "".join(
            piece if isinstance(piece, str) else _formatted(row, *piece)
            for piece in self.template or ()
        )
        if "\n" in record:
            raise ValueError(f"a field has a line feed, which ends a record: {shown(record)}")
        return f"{record}\n"


def _compiled(text: str) -> re.Pattern[str]:
    """Compile a pattern of Java, most of which is the same in Python."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # sets in sets, which mean something else in Python
        try:
            return re.compile(_NAMED_GROUP.sub("(?P<", text), re.ASCII)
        except (re.error, Warning, RecursionError, OverflowError) as error:
            raise ValueError(f"inputRegEx cannot be read, {error}: {shown(text)}") from error


def _template(text: str) -> Iterator[str | tuple[int, str]]:
    next_place = count()
    end = 0
    for match in _SPECIFIER.finditer(text):
        yield text[end : match.start()]
        end = match.end()
        index, left, width, most, kind = match.groups()
        if kind not in ("s", "%"):
            raise ValueError(f"outputFormat: {shown(match[0])} is not supported; %1$s is")
        if kind == "%":
            yield "%"
            continue
        place = int(index) - 1 if index else next(next_place)
        if place < 0:
            raise ValueError("outputFormat: the first field is %1$s")
        alignment = f"{'<' if left else '>'}{width}" if width else ""
        yield place, alignment + (f".{most}" if most else "")
    yield text[end:]


def _formatted(row: Row, place: int, spec: str) -> str:
    if place >= len(row):
        raise ValueError(f"outputFormat: there is no %{place + 1}$s in {len(row)} fields")
    text = row[place]
    return format(_NULL if text is None else text, spec)
