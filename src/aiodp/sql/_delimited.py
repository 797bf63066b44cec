"""The formats CSV, TSV and Custom (Developer Guide, "CSV Data Format" and so on, "CopyActivity").

Records are not quoted: a quotation mark is a character as any other. An escape character takes its
meaning from the character that follows it. NULL is the escape character and `N`, as PostgreSQL,
MySQL, Hive and Redshift read it; the guide prints it as `n`, which is read as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiodp.sql._records import ENCODING, ERRORS, check_width, ends_escaped, split_unescaped

if TYPE_CHECKING:
    from aiodp.sql._columns import Column
    from aiodp.sql._rows import Batch, Row

_NULL: Final = "N"
_ALSO_NULL: Final = "n"
_EXTENSIONS: Final = {",": ".csv", "\t": ".tsv"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Delimited:
    """A format by its separators and its escape character, each of one character."""

    column_separator: str
    record_separator: str
    escape: str
    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        """Raise `ValueError` for characters that cannot be told apart."""
        used = (self.column_separator, self.record_separator, self.escape, _NULL, _ALSO_NULL)
        if len(set(used)) != len(used):
            raise ValueError(
                "columnSeparator, recordSeparator and escapeChar must differ from each other, and "
                "from the N of NULL"
            )

    @property
    def extension(self) -> str:
        """How the names of files end that are written in it."""
        return _EXTENSIONS.get(self.column_separator, ".txt")

    @property
    def is_readable(self) -> bool:
        """It always is."""
        return True

    @property
    def is_writable(self) -> bool:
        """It always is."""
        return True

    def parse(self, record: str) -> Row:
        """Return the fields of a record; raise `ValueError` for what is none."""
        escape = self.escape
        is_windows = record.endswith("\r") and self.record_separator == "\n"
        if is_windows and not ends_escaped(record[:-1], escape):
            raise ValueError(
                "ends with CR LF, as in files of Windows; CopyActivity reads records that end "
                "with LF alone"
            )
        if escape not in record:
            return tuple(record.split(self.column_separator))
        if ends_escaped(record, escape):
            raise ValueError("ends with an escape character, which nothing follows")
        fields = split_unescaped(record, self.column_separator, escape)
        return tuple([self._unescaped(field) if escape in field else field for field in fields])

    def encode(self, rows: Batch) -> bytes:
        """Return the records of these rows; raise `ValueError` for a row of another width."""
        if self.columns:
            for row in rows:
                check_width(row, len(self.columns))
        text = self._plain(rows)
        if text is None:
            text = self._escaped(rows)
        return text.encode(ENCODING, ERRORS)

    def _plain(self, rows: Batch) -> str | None:
        """Return the records if nothing in them must be escaped, which is found out at once."""
        separator, end = self.column_separator, self.record_separator
        try:
            text = end.join([*map(separator.join, rows), ""])  # type: ignore[arg-type]
        except TypeError:
            return None  # there is a NULL
        separators = sum(map(len, rows)) - len(rows)
        is_plain = text.count(separator) == separators and text.count(end) == len(rows)
        return text if is_plain and self.escape not in text and "\r" not in text else None

    def _escaped(self, rows: Batch) -> str:
        special = {self.column_separator, self.record_separator, self.escape, "\r"}
        table = str.maketrans({character: self.escape + character for character in special})
        null = self.escape + _NULL
        return "".join(
            self.column_separator.join(
                [null if field is None else field.translate(table) for field in row]
            )
            + self.record_separator
            for row in rows
        )

    def _unescaped(self, field: str) -> str | None:
        escape = self.escape
        if field in (escape + _NULL, escape + _ALSO_NULL):
            return None
        return escape.join([part.replace(escape, "") for part in field.split(2 * escape)])
