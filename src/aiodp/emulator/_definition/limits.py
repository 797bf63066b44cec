"""The check of a whole definition against the limits of `size.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiodp.emulator._definition.expressions import count_words
from aiodp.emulator._definition.size import MAX_PARAMETER_VALUES, MAX_WORDS, Size, too_large

if TYPE_CHECKING:
    from aiodp.emulator._definition.components import Definition


def check_size(definition: Definition) -> None:
    """Raise InvalidRequestException, which names the limit, for a definition that is too large."""
    attributes = sum(len(item.get("attributes", ())) for item in definition.parameter_objects)
    if attributes + len(definition.parameter_values) > MAX_PARAMETER_VALUES:
        raise too_large(f"{MAX_PARAMETER_VALUES} values and attributes of parameters")
    texts = {
        field.get("stringValue") or "" for item in definition.objects for field in item["fields"]
    }
    if count_words(texts) > MAX_WORDS:
        raise too_large(f"{MAX_WORDS} names, values and signs in expressions")
    definition.components(Size())
