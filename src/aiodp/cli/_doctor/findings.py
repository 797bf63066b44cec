"""What a check of `aiodp doctor` finds, and how it is written."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Verdict(StrEnum):
    """How a check went; its values are those of `--json`."""

    OK = "ok"
    WARNING = "warning"
    """It may be well, or not for long; a task runner can work."""
    FAILED = "failed"
    """A task runner cannot work, or not reliably, until this is mended."""
    SKIPPED = "skipped"
    """It would have told nothing, because of another finding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found, and what to mend, if anything; neither holds a secret."""

    check: str
    verdict: Verdict
    found: str
    mend: str = ""


class Tell(Protocol):
    """Where findings go as soon as they are there."""

    def __call__(self, finding: Finding, /) -> None:
        """Take a finding."""
        ...


_MARKS: Final = dict(zip(Verdict, "✓!✗-", strict=True))
_PLAIN_MARKS: Final = dict(zip(Verdict, "+!x-", strict=True))
_ARROWS: Final = ("→", "->")


class Writer:
    """Writes findings as lines of text, in characters that the stream's encoding has."""

    def __init__(self, encoding: str) -> None:
        fancy = _can_encode(encoding, "".join(_MARKS.values()) + _ARROWS[0])
        self._marks = _MARKS if fancy else _PLAIN_MARKS
        self._arrow = _ARROWS[0] if fancy else _ARROWS[1]
        self._encoding = encoding
        self._said: set[str] = set()

    def lines(self, finding: Finding) -> str:
        """Return the finding in a line, and what to mend in another unless it was said before."""
        text = f"{self._marks[finding.verdict]} {finding.check}: {_one_line(finding.found)}"
        if finding.mend and finding.mend not in self._said:
            self._said.add(finding.mend)
            text += f"\n    {self._arrow} {_one_line(finding.mend)}"
        return text.encode(self._encoding, "replace").decode(self._encoding)


def is_well(findings: Iterable[Finding]) -> bool:
    """Return whether nothing must be mended."""
    return all(one.verdict is not Verdict.FAILED for one in findings)


def summary(findings: Sequence[Finding]) -> str:
    """Return the last line of the text."""
    count = Counter(one.verdict for one in findings)
    failed, warnings = count[Verdict.FAILED], count[Verdict.WARNING]
    also = f"{warnings} warning{'' if warnings == 1 else 's'}" if warnings else "no warnings"
    return f"{failed} to mend, {also}." if failed else f"Nothing to mend, {also}."


def as_json(findings: Sequence[Finding]) -> str:
    """Return all findings as one JSON object, on one line."""
    rows = [
        {"check": one.check, "verdict": one.verdict, "found": one.found, "mend": one.mend or None}
        for one in findings
    ]
    return json.dumps({"ok": is_well(findings), "findings": rows})


def _can_encode(encoding: str, text: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _one_line(text: str) -> str:
    return " ".join(text.split())
