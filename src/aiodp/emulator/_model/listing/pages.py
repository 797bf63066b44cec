"""QueryObjects, page by page. A page costs as much as it lists, wherever in the list it is.

The marker names a place which stays while objects change: instances and attempts are numbered in
the order in which they were made, components are listed by id, for a definition can be replaced.
"""

from __future__ import annotations

from bisect import bisect_right
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from aiodp.emulator._errors import invalid
from aiodp.emulator._model.listing.markers import read_marker, write_marker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiodp.emulator._model.listing.selectors import Selectors
    from aiodp.emulator._model.records import Pipeline

PAGE_SIZE: Final = 100
_MAX_PLACE_LENGTH: Final = 512  # a marker has 1,024 characters at most


def list_objects(
    pipeline: Pipeline, selectors: Selectors, *, sphere: str, marker: str | None, limit: int
) -> dict[str, Any]:
    """Return the answer of QueryObjects: ids, and the marker of the next page if there is one."""
    sphere = sphere.upper()
    ids, by_id = _ids(pipeline, sphere), sphere == "COMPONENT"
    if limit < 1:
        raise invalid(f"limit must be 1 or more, not {limit}")
    start = 0
    if marker:
        place = read_marker(marker, pipeline.id, sphere)
        start = bisect_right(ids, place, key=_short) if by_id else int(place)
    matching = (n for n in range(start, len(ids)) if selectors.hold(ids[n]))
    found = list(islice(matching, min(limit, PAGE_SIZE)))
    page: dict[str, Any] = {"ids": [ids[n] for n in found], "hasMoreResults": False}
    if next(matching, None) is not None:
        place = _short(ids[found[-1]]) if by_id else str(found[-1] + 1)
        next_marker = write_marker(place, pipeline.id, sphere)
        page |= {"hasMoreResults": True, "marker": next_marker}
    return page


def _ids(pipeline: Pipeline, sphere: str) -> Sequence[str]:
    match sphere:
        case "COMPONENT":
            return sorted(pipeline.components, key=_short)
        case "INSTANCE":
            return pipeline.instances.ids
        case "ATTEMPT":
            return pipeline.attempts.ids
    raise invalid(f"sphere must be COMPONENT, INSTANCE or ATTEMPT, not {sphere}")


def _short(object_id: str) -> str:
    """Return an id, or of a long one its beginning and a digest, as a marker has room for it."""
    if len(object_id) <= _MAX_PLACE_LENGTH:
        return object_id
    return object_id[:_MAX_PLACE_LENGTH] + sha256(object_id.encode()).hexdigest()
