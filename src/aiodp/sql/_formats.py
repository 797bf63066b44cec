"""The data formats of S3 data nodes, read from their objects (Developer Guide, "Data Formats")."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from aiodp._core.text import shown
from aiodp.shell._errors import bad_definition
from aiodp.sql._columns import read_columns
from aiodp.sql._delimited import Delimited
from aiodp.sql._regex import RegEx

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiodp._core.objects import PipelineObject
    from aiodp.sql._records import Format

_BACKSLASH: Final = "\\"
DEFAULT: Final = Delimited(
    column_separator=",", record_separator="\n", escape=_BACKSLASH, columns=()
)
"""The format of a node without one: CSV, as the guide's tutorial "Export MySQL Data to Amazon S3"
writes it."""
_SEPARATORS: Final[Mapping[str, str | None]] = {"CSV": ",", "TSV": "\t", "Custom": None}
"""The types of delimited formats, and what separates their columns by default."""
_ESCAPES: Final = {"t": "\t", "n": "\n", "r": "\r", _BACKSLASH: _BACKSLASH, "b": "\b", "f": "\f"}
_CODE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|([0-7]{1,3}))")


def read_format(item: PipelineObject) -> Format:
    """Read a data format; raise `TaskFailed` (`BadDefinition`)."""
    try:
        if item.type in _SEPARATORS:
            return _delimited(item)
        if item.type == "RegEx":
            return _regex(item)
    except ValueError as error:
        raise bad_definition(f"{item.id}: {error}") from error
    raise bad_definition(
        f"{item.id} is a {item.type or 'object without a type'}; only the formats "
        f"{', '.join(_SEPARATORS)} and RegEx are supported"
    )


def _delimited(item: PipelineObject) -> Delimited:
    separator = _character(item, "columnSeparator", _SEPARATORS[item.type])
    end = _character(item, "recordSeparator", "\n")
    if item.type == "CSV" and (separator, end) != (",", "\n"):
        raise ValueError("a CSV has commas and line feeds; for other separators there is Custom")
    return Delimited(
        column_separator=separator,
        record_separator=end,
        escape=_character(item, "escapeChar", _BACKSLASH),
        columns=read_columns(item.texts("column")),
    )


def _regex(item: PipelineObject) -> RegEx:
    return RegEx.read(
        item.text("inputRegEx", None),
        item.text("outputFormat", None),
        read_columns(item.texts("column")),
    )


def _character(item: PipelineObject, key: str, default: str | None) -> str:
    r"""Return the one character that a field gives; it may be written as in Java, as `\t` is."""
    text = item.text(key, None) or default
    if text is None:
        raise ValueError(f"a {item.type} must have a {key}")
    character = _unescaped(text)
    if len(character) != 1:
        raise ValueError(f"{key} must be one character, not {shown(text)}")
    return character


def _unescaped(text: str) -> str:
    if match := _CODE.fullmatch(text):
        unicode, octal = match.groups()
        return chr(int(unicode, 16) if unicode else int(octal, 8))
    if len(text) == 2 and text[0] == _BACKSLASH:  # noqa: PLR2004 - a backslash and what it escapes
        return _ESCAPES.get(text[1], text)
    return text
