"""What `aiodp validate` says of files, and how it is written."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from aiodp._core.text import printable
from aiodp.emulator._definition.lines import Part
from aiodp.emulator._definition.validation.parts import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


class Format(StrEnum):
    """The forms of the output."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """An error or a warning of a file: of an object or a parameter, maybe of one of its fields."""

    path: Path
    text: str
    severity: Severity = Severity.ERROR
    line: int | None = None
    part: Part | None = None
    id: str = ""
    field: str | None = None


_ABOUT: Final = {Part.OBJECT: "", Part.PARAMETER: "parameter ", Part.VALUE: "value of "}


def is_ok(remarks: Iterable[Remark]) -> bool:
    """Return whether there is no error."""
    return all(remark.severity is not Severity.ERROR for remark in remarks)


def as_text(remarks: Sequence[Remark], files: int) -> str:
    """Return a line for each remark, in the form of compilers, and one that counts them."""
    count = Counter(remark.severity for remark in remarks)
    numbers = {"file": files, "error": count[Severity.ERROR], "warning": count[Severity.WARNING]}
    counted = ", ".join(f"{n} {word}{'' if n == 1 else 's'}" for word, n in numbers.items())
    return "\n".join([*map(_line, remarks), f"{counted}."])


def as_json(remarks: Sequence[Remark]) -> str:
    """Return all remarks as one JSON object, on one line."""
    return json.dumps({"ok": is_ok(remarks), "findings": list(map(_row, remarks))})


def _line(remark: Remark) -> str:
    pieces = [f"{remark.path}" if remark.line is None else f"{remark.path}:{remark.line}"]
    pieces.append(remark.severity.name.lower())
    if remark.part is not None:
        field = "" if remark.field is None else f".{remark.field}"
        pieces.append(f"{_ABOUT[remark.part]}{remark.id}{field}")
    return printable(": ".join([*pieces, remark.text]))


def _row(remark: Remark) -> dict[str, str | int | None]:
    is_object = remark.part is Part.OBJECT
    return {
        "file": str(remark.path),
        "line": remark.line,
        "severity": remark.severity.name.lower(),
        "object": remark.id if is_object else None,
        "parameter": None if is_object or remark.part is None else remark.id,
        "field": remark.field,
        "text": remark.text,
    }
