"""The demo's summary: how the tasks ended, and whether the promises were kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from aiodp.cli._demo.event_lines import ranges
from aiodp.cli._demo.task_log import Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from aiodp.cli._demo.event_lines import Marks
    from aiodp.cli._demo.promises import Evidence, Promise
    from aiodp.cli._demo.task_log import Entry

_MAX_REASONS: Final = 5


def summary(
    evidence: Evidence, promises: Sequence[Promise], marks: Marks, *, time_scale: float
) -> Iterator[Text]:
    """Return the lines of the summary."""
    minutes = evidence.elapsed * time_scale / 60
    yield Text()
    yield Text(
        f"{len(evidence.statuses)} tasks, handed out {len(evidence.entries)} times, in "
        f"{evidence.elapsed:.1f} s ({minutes:.1f} minutes of the service)",
        style="bold",
    )
    yield from _outcomes(evidence)
    yield from _reports(evidence)
    yield Text()
    for promise in promises:
        yield from _promise_lines(promise, marks)
    yield Text()
    yield _conclusion(promises)


def _outcomes(evidence: Evidence) -> Iterator[Text]:
    finished = evidence.at_stage(Stage.FINISHED)
    canceled = evidence.at_stage(Stage.CANCELED)
    lost = evidence.at_stage(Stage.LOST)
    yield Text(f"  kept      {len(finished):3}  and finished by the worker that held them")
    yield Text(f"  canceled  {len(canceled):3}  through the service: {_labels(canceled)}")
    yield Text(f"  lost      {len(lost):3}  {'; '.join(map(_reason, lost)) or 'none'}")
    if failed := evidence.at_stage(Stage.FAILED):
        yield Text(f"  failed    {len(failed):3}  {'; '.join(map(_reason, failed))}")
    if unfinished := [entry for entry in evidence.entries if entry.ended_at is None]:
        yield Text(f"  no end    {len(unfinished):3}  {_labels(unfinished)}")


def _reason(entry: Entry) -> str:
    who = "its worker went silent, so it was " if entry.silent_until is not None else ""
    return f"{entry.label}: {who}{entry.reason}"


def _labels(entries: Iterable[Entry]) -> str:
    return ranges([entry.label for entry in entries]) or "none"


def _reports(evidence: Evidence) -> Iterator[Text]:
    now = evidence.statistics
    failed = ", ".join(f"{count} {kind}" for kind, count in sorted(now.failed.items()) if count)
    yield Text(
        f"  reports   {now.sent:3}  sent: {now.succeeded} succeeded, {now.throttled} throttled, "
        f"{sum(now.failed.values())} failed"
    )
    yield Text(f"            {'':3}  by kind of failure: {failed or 'none'}")


def _promise_lines(promise: Promise, marks: Marks) -> Iterator[Text]:
    mark, style = (marks.kept, "green") if promise.kept else (marks.broken, "bold red")
    yield Text.assemble((f"  {mark} ", style), promise.text)
    for reason in promise.broken_by[:_MAX_REASONS]:
        yield Text(f"      {reason}", style="red")
    if (more := len(promise.broken_by) - _MAX_REASONS) > 0:
        yield Text(f"      and {more} more", style="red")


def _conclusion(promises: Sequence[Promise]) -> Text:
    broken = sum(not promise.kept for promise in promises)
    if not broken:
        return Text(f"All {len(promises)} promises were kept.", style="bold green")
    return Text(f"{broken} of {len(promises)} promises were broken.", style="bold red")
