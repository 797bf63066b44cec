"""What PutPipelineDefinition and ValidatePipelineDefinition find wrong with a definition.

A message begins with a code as in the service's published example, `INVALID_FIELD_VALUE`; the
other codes are this service's own, as no public text lists them. Where a text of the service itself
is known, which may lack a code, that is used.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from aiodp.emulator._definition.validation.backfill import backfill_findings
from aiodp.emulator._definition.validation.edits import edit_findings
from aiodp.emulator._definition.validation.parameters import missing_values, parameter_findings
from aiodp.emulator._definition.validation.parts import Draft, Finding, Severity, errors_of
from aiodp.emulator._definition.validation.references import circle_findings, reference_findings
from aiodp.emulator._definition.validation.slots import both_findings, value_findings
from aiodp.emulator._definition.validation.types import (
    default_findings,
    on_demand_findings,
    required_findings,
    runnable_findings,
    schedule_findings,
    type_findings,
    unknown_findings,
)
from aiodp.emulator._definition.validation.values import (
    cap_findings,
    expression_findings,
    limit_findings,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from aiodp.emulator._definition.components import Definition
    from aiodp.emulator._definition.validation.parts import Messages, Subject

_CHECKS: Final[tuple[Callable[[Subject], Iterator[Finding]], ...]] = (
    limit_findings,
    type_findings,
    required_findings,
    value_findings,
    reference_findings,
    expression_findings,
    schedule_findings,
    on_demand_findings,
    runnable_findings,
    default_findings,
    cap_findings,
    unknown_findings,
)


def fatal_errors(objects: list[dict[str, Any]], max_objects: int) -> Messages:
    """Return the errors for which a definition is not even stored (PutPipelineDefinition)."""
    errors = errors_of(fatal_findings(objects, max_objects))
    return [item | {"id": item["id"] or "(none)"} for item in errors]


def fatal_findings(objects: list[dict[str, Any]], max_objects: int) -> list[Finding]:
    """Return the same as findings."""
    fatal = [finding for item in objects for finding in _empty(item)]
    if len(objects) > max_objects:
        text = f"LIMIT_EXCEEDED: The pipeline has {len(objects)} objects, at most {max_objects}."
        first = objects[max_objects]["id"]
        fatal.append(Finding(id=first, text=text, severity=Severity.ERROR))
    return fatal


def findings(definition: Definition, now: datetime | None = None) -> list[Finding]:
    """Return all that is wrong or odd, without the errors that are fatal.

    Without `now` nothing is said of what starts in the past.
    """
    found = list(definition.once("findings", lambda: _findings(definition)))
    return found if now is None else [*found, *backfill_findings(Draft(definition), now)]


def _findings(definition: Definition) -> list[Finding]:
    draft = Draft(definition)
    counts = Counter(item["id"] for item in definition.objects)
    checks = [(subject, check) for subject in draft.subjects for check in _CHECKS]
    all_findings = [finding for subject, check in checks for finding in check(subject)]
    all_findings += both_findings(draft)
    all_findings += circle_findings(draft)
    all_findings += [
        subject.error(f"DUPLICATE_ID: The id '{subject.id}' is not unique.", "id")
        for subject in draft.subjects
        if counts[subject.id] > 1
    ]
    all_findings += parameter_findings(definition)
    return all_findings


def activation_errors(definition: Definition, active: Definition | None = None) -> list[str]:
    """Return why a pipeline cannot be activated with this definition and these values.

    `active` is the definition which it runs already, if it does.
    """
    problems = findings(definition) + ([] if active is None else edit_findings(active, definition))
    texts = [f"{item['id']}: {text}" for item in errors_of(problems) for text in item["errors"]]
    missing = missing_values(definition)
    return texts + [f"{name}: MISSING_VALUE: the parameter has no value." for name in missing]


def _empty(item: dict[str, Any]) -> Iterator[Finding]:
    missing = [key for key in ("id", "name") if not item.get(key)]
    empty = [
        field["key"]
        for field in item.get("fields", [])
        if not (field["stringValue"] if "stringValue" in field else field.get("refValue"))
    ]
    texts = [(key, f"MISSING_FIELD: '{key}' is missing.") for key in missing]
    texts += [(key, f"INVALID_FIELD_VALUE: '{key}' is empty.") for key in empty]
    for key, text in texts:
        yield Finding(id=item["id"], text=text, severity=Severity.ERROR, key=key)
