"""Markers of pages: each names a place in a list, and says of which list.

The API leaves open what a marker is. It is sealed, so that one of another list, or one which the
service never gave, is refused instead of leaving objects out.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from aiodp.emulator._errors import invalid

_SEAL_DIGITS: Final = 16


def write_marker(place: str, *listed: str) -> str:
    """Return the marker of a place in the list which `listed` names."""
    return f"{place}.{_seal(place, *listed)}"


def read_marker(marker: str, *listed: str) -> str:
    """Return the place; raise InvalidRequestException if it is not in this list."""
    place, _, seal = marker.rpartition(".")
    if seal != _seal(place, *listed):
        raise invalid("The marker is not one that the service gave for this list")
    return place


def _seal(*parts: str) -> str:
    return sha256("\0".join(parts).encode()).hexdigest()[:_SEAL_DIGITS]
