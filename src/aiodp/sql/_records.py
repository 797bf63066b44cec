"""Bytes that come in chunks, split into records; what all data formats have in common."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from aiodp.sql._columns import Column
    from aiodp.sql._rows import Batch, Row

ENCODING: Final = "utf-8"
ERRORS: Final = "surrogateescape"
"""Bytes that are no UTF-8, such as those of a BLOB, come out as they came in."""
MAX_RECORD: Final = 16 * 1024 * 1024
"""Characters of one record: what is longer has no end, for all that is known of it."""


class Format(Protocol):
    """How rows are written."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """The declared columns; empty if none are."""
        ...

    @property
    def record_separator(self) -> str:
        """What ends a record."""
        ...

    @property
    def escape(self) -> str:
        """The character after which a separator is none; empty if there is none."""
        ...

    @property
    def extension(self) -> str:
        """How the names of files end that are written in it."""
        ...

    @property
    def is_readable(self) -> bool:
        """Whether `parse` knows what a record is."""
        ...

    @property
    def is_writable(self) -> bool:
        """Whether `encode` knows how a record is written."""
        ...

    def parse(self, record: str) -> Row:
        """Return the fields of a record; raise `ValueError` that says what it is instead."""
        ...

    def encode(self, rows: Batch) -> bytes:
        """Return the records of these rows; raise `ValueError` for what cannot be one."""
        ...


class Decoder:
    """Decodes one object's bytes to rows, chunk by chunk.

    `width` is the number of fields that each row must have; None for that of the first one.
    """

    def __init__(self, data_format: Format, width: int | None = None) -> None:
        self.width = width or len(data_format.columns) or None
        self._format = data_format
        self._text = codecs.getincrementaldecoder(ENCODING)(ERRORS)
        self._rest = ""
        self._count = 0

    def decode(self, data: bytes) -> list[Row]:
        """Return the rows that end in this chunk.

        Raises `ValueError` that names a record and says what is wrong with it.
        """
        text = self._rest + self._text.decode(data)
        separator, escape = self._format.record_separator, self._format.escape
        *records, self._rest = split_unescaped(text, separator, escape)
        rows = [self._row(record) for record in records]
        if len(self._rest) > MAX_RECORD:
            raise ValueError(
                f"record {self._count + 1} has no end in {MAX_RECORD:,} characters; is this data "
                f"compressed, or of another format?"
            )
        return rows

    def end(self) -> list[Row]:
        """Return the last row, if it has no separator at its end; raise `ValueError` as `decode`.

        The data is over then.
        """
        last = self._rest + self._text.decode(b"", final=True)
        return [self._row(last)] if last else []

    def _row(self, record: str) -> Row:
        self._count += 1
        try:
            row = self._format.parse(record)
            self.width = self.width or len(row)
            check_width(row, self.width)
        except ValueError as error:
            raise ValueError(f"record {self._count} {error}") from error
        return row


def check_width(row: Row, width: int) -> None:
    """Raise `ValueError` if a row has another number of fields."""
    if len(row) != width:
        raise ValueError(f"has {len(row)} fields, not {width}")


def split_unescaped(text: str, separator: str, escape: str) -> list[str]:
    """Split a text where the separator is not escaped."""
    pieces = text.split(separator)
    if not escape or escape not in text:
        return pieces
    joined: list[str] = []
    parts: list[str] = []
    for piece in pieces:
        parts.append(piece)
        if not ends_escaped(piece, escape):
            joined.append(separator.join(parts))
            parts = []
    if parts:
        joined.append(separator.join(parts))
    return joined


def ends_escaped(text: str, escape: str) -> bool:
    """Return whether the character that follows a text is escaped."""
    return text.endswith(escape) and (len(text) - len(text.rstrip(escape))) % 2 == 1
