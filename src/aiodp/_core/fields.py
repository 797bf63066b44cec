"""The fields of a report: converted and checked when they are set, never when they are sent.

Limits: Developer Guide, "AWS Data Pipeline Limits" (50 fields an object, 256 bytes a field name or
identifier, 10,240 bytes a field value, 15,360 bytes an object with its names, all in UTF-8);
characters: the API's pattern for every string, which is XML's. Fields whose names begin with `@`
are read-only (API reference of Operator).
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias

from aiodp._core.text import MAX_VALUE_BYTES, illegal_character, shown

MAX_FIELDS: Final = 50
MAX_NAME_BYTES: Final = 256
MAX_OBJECT_BYTES: Final = 15_360

# The work may call `update` from a thread. One lock serves all: it is held briefly.
CHANGING: Final = threading.Lock()


@dataclass(frozen=True, slots=True)
class Ref:
    """A field's value that refers to another object of the pipeline; sent as `refValue`.

    Raises `ValueError` unless the object's id has 1 to 256 bytes of legal characters.
    """

    object_id: str

    def __post_init__(self) -> None:
        """Refuse an id that no object can have."""
        _check_text("Ref", self.object_id, MAX_NAME_BYTES, empty=False)


Scalar: TypeAlias = str | int | float | bool | datetime | Ref
FieldValue: TypeAlias = Scalar | Sequence[Scalar]
WireField: TypeAlias = Mapping[str, str]


def _check_text(what: str, text: object, limit: int, *, empty: bool = True) -> str:
    if not isinstance(text, str):
        raise ValueError(f"{what} must be a str, not {shown(text)}")  # noqa: TRY004
    if not text and not empty:
        raise ValueError(f"{what} must not be empty")
    if (bad := illegal_character(text)) is not None:
        raise ValueError(f"{what} holds the character {bad!a}, which the service does not accept")
    if (size := len(text.encode())) > limit:
        raise ValueError(f"{what} has {size:,} bytes, the limit is {limit:,}")
    return text


def _text(key: str, value: object) -> str:
    """Return a scalar as the string that the service stores."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"field {shown(key)}: {value!r} is not a finite number")
        return float.__repr__(value)
    if isinstance(value, datetime):
        # UTC without a zone, to the second: Developer Guide, "DateTime".
        utc = value.astimezone(UTC) if value.tzinfo else value
        return utc.replace(tzinfo=None).isoformat(timespec="seconds")
    raise ValueError(
        f"field {shown(key)}: a value must be a str, int, float, bool, datetime, Ref or a "
        f"sequence of these, not {shown(value)} ({type(value).__name__})"
    )


def _wire_field(key: str, value: object) -> WireField:
    if isinstance(value, Ref):
        return {"key": key, "refValue": value.object_id}
    text = _check_text(f"the value of field {shown(key)}", _text(key, value), MAX_VALUE_BYTES)
    return {"key": key, "stringValue": text}


def _encode(key: object, value: object) -> tuple[WireField, ...]:
    name = _check_text(f"field name {shown(key)}", key, MAX_NAME_BYTES, empty=False)
    if name.startswith("@"):
        raise ValueError(f"field {shown(name)}: names that begin with '@' are the service's own")
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray, memoryview)):
        if not value:
            raise ValueError(f"field {shown(name)}: an empty sequence cannot be sent")
        return tuple(_wire_field(name, item) for item in value)
    return (_wire_field(name, value),)


def _size(fields: Sequence[WireField]) -> int:
    return sum(len(text.encode()) for field in fields for text in field.values())


class PendingFields:
    """What was set and has not been reported with success. The newest value of a key wins."""

    __slots__ = ("_fields", "_version")

    def __init__(self) -> None:
        self._fields: dict[str, tuple[int, tuple[WireField, ...]]] = {}
        self._version = 0

    def __len__(self) -> int:
        return len(self._fields)

    def update(self, fields: Mapping[str, FieldValue]) -> None:
        """Set fields; raise `ValueError` and change nothing if the service would not take them."""
        if not isinstance(fields, Mapping):
            raise ValueError(f"fields must be a mapping, not {shown(fields)}")  # noqa: TRY004
        encoded = {key: _encode(key, value) for key, value in fields.items()}
        with CHANGING:
            self._merge(encoded)

    def _merge(self, encoded: dict[str, tuple[WireField, ...]]) -> None:
        merged = {key: wire for key, (_, wire) in self._fields.items()} | encoded
        sent = [field for wire in merged.values() for field in wire]
        if len(sent) > MAX_FIELDS:
            raise ValueError(f"{len(sent)} fields wait to be reported, the limit is {MAX_FIELDS}")
        if (size := _size(sent)) > MAX_OBJECT_BYTES:
            raise ValueError(
                f"the fields that wait to be reported have {size:,} bytes with their names, "
                f"the limit is {MAX_OBJECT_BYTES:,}"
            )
        self._version += 1
        self._fields |= {key: (self._version, wire) for key, wire in encoded.items()}

    def snapshot(self) -> tuple[int, list[WireField]]:
        """Return the fields to send, and the version to acknowledge."""
        with CHANGING:
            return self._version, [field for _, wire in self._fields.values() for field in wire]

    def acknowledge(self, version: int) -> None:
        """Forget what was set up to this version: it was reported, or can never be."""
        with CHANGING:
            self._fields = {key: entry for key, entry in self._fields.items() if entry[0] > version}
