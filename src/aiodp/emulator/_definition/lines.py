"""The lines of a definition file: where its objects, its parameters and their values stand."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_Path = tuple[str | int | None, ...]
_DEPTH: Final = 3  # section, number of the object, key
# A JSON text which is well-formed, taken apart.
_WORD: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|[{}\[\]:,]|[^\s{}\[\]:,"]+')


class Part(StrEnum):
    """The parts of a definition file, by their keys in it."""

    OBJECT = "objects"
    PARAMETER = "parameters"
    VALUE = "values"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An object, a parameter or a value of a file, maybe a field of it; `number` is from 0."""

    part: Part
    number: int
    id: str = ""
    key: str | None = None

    def __str__(self) -> str:
        """Return it as messages have it."""
        if self.part is Part.VALUE:
            return f"value of {self.id!r}"
        named = f"{self.part.removesuffix('s')} {self.id!r}"
        return named if self.key is None else f"{named}: {self.key!r}"


class Lines:
    """Lines of a file of a definition, of parameters or of their values, which is JSON."""

    def __init__(self, text: str) -> None:
        self._lines: dict[_Path, int] = {}
        self._numbers: dict[_Path, int] = {}
        for path, line, word in _places(text):
            self._lines.setdefault(path, line)
            match path:
                case (str() as part, int() as number, "id") if word.startswith('"'):
                    self._numbers[part, json.loads(word)] = number

    def of(self, part: Part, item_id: str, key: str | None = None) -> int | None:
        """Return the line of an object, a parameter or a value, or of a field if it has it.

        Of several objects with the same id the last counts. `None`: there is none.
        """
        if part is Part.VALUE:
            return self._lines.get((part, item_id), self._lines.get((item_id,)))
        number = self._numbers.get((part, item_id))
        return self._lines.get((part, number, key), self._lines.get((part, number)))

    def place(self, place: Place) -> int | None:
        """Return the line of a place, which may be in an object without an id."""
        if place.part is Part.VALUE:
            return self.of(place.part, place.id)
        path = (place.part, place.number)
        return self._lines.get((*path, place.key), self._lines.get(path))


def _places(text: str) -> Iterator[tuple[_Path, int, str]]:
    """Yield the path of each key, then of each value with its first word, and their lines."""
    path: list[str | int | None] = []  # of each open container the key or number it is at
    line, position = 1, 0
    for match in _WORD.finditer(text):
        word = match[0]
        line += text.count("\n", position, match.start())
        position = match.start()
        if word in ("}", "]"):
            path.pop()
        elif word == ",":
            path[-1] = path[-1] + 1 if isinstance(path[-1], int) else None
        elif word != ":":
            is_key = bool(path) and path[-1] is None
            if is_key:
                path[-1] = json.loads(word)
            if len(path) <= _DEPTH:
                yield tuple(path), line, "" if is_key else word
            if word in ("{", "["):
                path.append(None if word == "{" else 0)
