"""Checks of single values beyond their slot types: sizes, limits and expressions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from aiodp._core.period import parse_period
from aiodp.emulator._definition.expressions import names, syntax_errors
from aiodp.emulator._definition.fields import MAX_KEY_BYTES, beyond_limit, is_user_field
from aiodp.emulator._definition.object_types import BaseType
from aiodp.emulator._definition.validation.parts import is_open

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiodp.emulator._definition.fields import Field
    from aiodp.emulator._definition.validation.parts import Finding, Subject

_WITH_NODE: Final = frozenset({BaseType.ACTION, BaseType.PRECONDITION})
_MIN_RETRY_DELAY: Final = 120.0  # seconds (dp-limits)
_MAX_COUNT: Final = 5  # retries of a task, active instances of an object (dp-limits)
_NUMBER: Final = re.compile(r"\d{1,9}", re.ASCII)


def limit_findings(subject: Subject) -> Iterator[Finding]:
    """Check the sizes of an object (the Developer Guide, dp-limits)."""
    if limit := beyond_limit(subject.own):
        yield subject.error(f"LIMIT_EXCEEDED: {limit}.")
    if len(subject.id.encode()) > MAX_KEY_BYTES:
        yield subject.error(f"LIMIT_EXCEEDED: An id may not exceed {MAX_KEY_BYTES} bytes.")


def cap_findings(subject: Subject) -> Iterator[Finding]:
    """Warn of values which the service brings within its limits (dp-limits)."""
    for field in subject.written("maximumRetries", "maxActiveInstances"):
        if _NUMBER.fullmatch(field.value) and int(field.value) > _MAX_COUNT:
            text = f"'{field.key}' is above {_MAX_COUNT}, the most that is allowed."
            yield subject.warning(text, field.key)
    for field in subject.written("retryDelay"):
        if not field.is_ref and 0.0 < _seconds(field.value) < _MIN_RETRY_DELAY:
            text = "'retryDelay' is below 2 minutes, the least delay there is."
            yield subject.warning(text, field.key)


def expression_findings(subject: Subject) -> Iterator[Finding]:
    """Check the syntax of expressions, and warn where they are not evaluated.

    Source: the Developer Guide, dp-pipeline-expressions.
    """
    name = subject.component.name
    for key, value in (("id", subject.id), ("name", name)):
        if is_open(value):
            text = f"'{key}' is used as it is: expressions in it mean nothing."
            yield subject.warning(text, key)
    for values in subject.own.values():
        for field in values:
            if not field.is_ref and is_open(field.value):
                for fault in syntax_errors(field.value):
                    text = f"INVALID_EXPRESSION: '{field.key}': {fault}"
                    yield subject.error(text, field.key)
                yield from _name_findings(subject, field)


def _name_findings(subject: Subject, field: Field) -> Iterator[Finding]:
    used = names(field.value)
    if "node" in used and subject.base is not None and subject.base not in _WITH_NODE:
        text = f"'{field.key}': 'node' is for preconditions and actions alone."
        yield subject.warning(text, field.key)
    known = subject.draft.parameters | subject.component.fields.keys()
    if subject.base is None:  # others may inherit it, and have these names
        known = known.union(*subject.draft.own.values())
    for name in sorted(used - known):
        if is_user_field(name.removeprefix("*")):
            text = f"'{field.key}': '{name}' is neither a field nor a parameter."
            yield subject.warning(text, field.key)


def _seconds(text: str) -> float:
    try:
        return parse_period(text)
    except ValueError:
        return 0.0
