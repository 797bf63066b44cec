"""Fields of pipeline objects: a key with a string or with a reference, and their limits."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aiodp.emulator._errors import invalid

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_FIELDS: Final = 50
MAX_KEY_BYTES: Final = 256
MAX_VALUE_BYTES: Final = 10_240
MAX_OBJECT_BYTES: Final = 15_360
_USER_FIELD: Final = re.compile("my[A-Z_].*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Field:
    """A key and its value, which is the id of another object if `is_ref`."""

    key: str
    value: str
    is_ref: bool = False

    def wire(self) -> dict[str, str]:
        """Return the field as the API writes it."""
        return {"key": self.key, "refValue" if self.is_ref else "stringValue": self.value}


Fields = dict[str, tuple[Field, ...]]
"""Fields by key; a repeated key is a list value."""


def from_wire(wire: Iterable[dict[str, Any]]) -> Fields:
    """Group the API's fields by key. Of a string and a reference in one field the string wins."""
    grouped: defaultdict[str, list[Field]] = defaultdict(list)
    for item in wire:
        field = _field(item)
        grouped[field.key].append(field)
    return {key: tuple(fields) for key, fields in grouped.items()}


def to_wire(fields: Fields) -> list[dict[str, str]]:
    """Return the fields as the API lists them."""
    return [field.wire() for values in fields.values() for field in values]


def strings(**values: str | None) -> Fields:
    """Return single string fields; what is `None` is left out. `at_x` stands for `@x`."""
    keyed = {_at(key): value for key, value in values.items()}
    return {key: (Field(key, value),) for key, value in keyed.items() if value is not None}


def refs(**values: str | None) -> Fields:
    """Return single reference fields, as `strings` does."""
    keyed = {_at(key): value for key, value in values.items()}
    return {key: (Field(key, value, is_ref=True),) for key, value in keyed.items() if value}


def check_reported(reported: Fields, stored: Fields) -> Fields:
    """Return `stored` with what was reported in it; raise InvalidRequestException beyond a limit.

    The limits are those of an object, so they hold for all that was ever reported (dp-limits).
    """
    for key in reported:
        if key.startswith("@"):
            raise invalid(f"Field {key} is read-only")
    merged = stored | reported
    if limit := beyond_limit(merged):
        raise invalid(limit)
    return merged


def beyond_limit(fields: Fields) -> str | None:
    """Return which limit of an object these fields exceed, if they do (dp-limits)."""
    flat = [field for values in fields.values() for field in values]
    for field in flat:
        if not 1 <= _size(field.key) <= MAX_KEY_BYTES:
            return f"A field name must have 1 to {MAX_KEY_BYTES} bytes"
        if _size(field.value) > MAX_VALUE_BYTES:
            return f"The value of field {field.key} exceeds {MAX_VALUE_BYTES} bytes"
    if len(flat) > MAX_FIELDS:
        return f"An object may not have more than {MAX_FIELDS} fields"
    if sum(_size(field.key) + _size(field.value) for field in flat) > MAX_OBJECT_BYTES:
        return f"An object may not exceed {MAX_OBJECT_BYTES} bytes"
    return None


def is_user_field(key: str) -> bool:
    """Return whether a field is the user's own: `my` and a capital or an underscore.

    Source: the Developer Guide, dp-writing-pipeline-definition.
    """
    return _USER_FIELD.fullmatch(key) is not None


def _at(key: str) -> str:
    return "@" + key[3:] if key.startswith("at_") else key


def _field(item: dict[str, Any]) -> Field:
    value = item.get("stringValue")
    if value is not None:
        return Field(item["key"], str(value))
    if item.get("refValue") is None:
        raise invalid(f"Field {item['key']} has neither stringValue nor refValue")
    return Field(item["key"], item["refValue"], is_ref=True)


def _size(text: str) -> int:
    return len(text.encode())
