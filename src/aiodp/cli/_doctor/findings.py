"""The findings of `aiodp doctor`, and how they are written."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol, Self

from aiodp._core.text import printable
from aiodp._redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Verdict(StrEnum):
    """The result of a check; the values are those of `--json`."""

    OK = "ok"
    WARNING = "warning"
    """A task runner can work, but perhaps not reliably or not for long."""
    FAILED = "failed"
    """A task runner cannot work, or not reliably, until this is mended."""
    SKIPPED = "skipped"
    """It was not run, because of another finding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check has found, and what to mend, if anything. Neither has a secret."""

    check: str
    verdict: Verdict
    found: str
    mend: str = ""

    def __post_init__(self) -> None:
        """Take the secrets out of both."""
        for name in ("found", "mend"):
            object.__setattr__(self, name, redact(getattr(self, name)))

    @classmethod
    def ok(cls, check: str, found: str) -> Self:
        """Return a finding of what is as it should be."""
        return cls(check=check, verdict=Verdict.OK, found=found)

    @classmethod
    def warning(cls, check: str, found: str, mend: str) -> Self:
        """Return a warning."""
        return cls(check=check, verdict=Verdict.WARNING, found=found, mend=mend)

    @classmethod
    def failed(cls, check: str, found: str, mend: str = "") -> Self:
        """Return the finding of a check that has failed."""
        return cls(check=check, verdict=Verdict.FAILED, found=found, mend=mend)


class Report(Protocol):
    """Passes findings on as soon as there are any."""

    def __call__(self, finding: Finding, /) -> None:
        """Pass a finding on."""
        ...


_COUNTED: Final = (Verdict.WARNING, Verdict.FAILED)
_MARKS: Final = dict(zip(Verdict, "✓!✗-", strict=True))
_PLAIN_MARKS: Final = dict(zip(Verdict, "+!x-", strict=True))
_ARROWS: Final = ("→", "->")


class Writer:
    """Writes findings as lines of text, with marks that the encoding has."""

    def __init__(self, encoding: str) -> None:
        has_marks = _can_encode(encoding, "".join(_MARKS.values()) + _ARROWS[0])
        self._marks = _MARKS if has_marks else _PLAIN_MARKS
        self._arrow = _ARROWS[0] if has_marks else _ARROWS[1]
        self._encoding = encoding
        self._written_mends: set[str] = set()

    def lines(self, finding: Finding) -> str:
        """Return the finding in a line, and what to mend in another unless already written."""
        text = f"{self._marks[finding.verdict]} {finding.check}: {_one_line(finding.found)}"
        if finding.mend and finding.mend not in self._written_mends:
            self._written_mends.add(finding.mend)
            text += f"\n    {self._arrow} {_one_line(finding.mend)}"
        return text.encode(self._encoding, "replace").decode(self._encoding)


def is_ok(findings: Iterable[Finding]) -> bool:
    """Return whether no check has failed."""
    return all(finding.verdict is not Verdict.FAILED for finding in findings)


def summary(findings: Sequence[Finding]) -> str:
    """Return the last line of the text. What has one cause, and so one remedy, counts once."""
    causes: dict[str, Verdict] = {}
    for finding in findings:
        cause = finding.mend or f"{finding.check}: {finding.found}"
        if finding.verdict in _COUNTED and causes.get(cause) is not Verdict.FAILED:
            causes[cause] = finding.verdict
    count = Counter(causes.values())
    failed, warnings = count[Verdict.FAILED], count[Verdict.WARNING]
    also = f"{warnings} warning{'' if warnings == 1 else 's'}" if warnings else "no warnings"
    return f"{failed} to mend, {also}." if failed else f"Nothing to mend, {also}."


def as_json(findings: Sequence[Finding]) -> str:
    """Return all findings as one JSON object, on one line."""
    rows = [
        {
            "check": finding.check,
            "verdict": finding.verdict,
            "found": finding.found,
            "mend": finding.mend or None,
        }
        for finding in findings
    ]
    return json.dumps({"ok": is_ok(findings), "findings": rows})


def _can_encode(encoding: str, text: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))
