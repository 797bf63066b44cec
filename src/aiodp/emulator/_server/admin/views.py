"""Values of the model as the control paths show them in JSON."""

from __future__ import annotations

from dataclasses import fields
from enum import Enum, StrEnum
from typing import Any


def shown(value: Any) -> dict[str, Any]:
    """Return a dataclass as a JSON object, with names as the service's API writes them."""
    return {_camel(field.name): _plain(getattr(value, field.name)) for field in fields(value)}


def _plain(value: Any) -> Any:
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, frozenset):
        return sorted(value)
    return value


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))
