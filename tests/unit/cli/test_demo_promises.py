"""What breaks each promise of the demo: evidence of a good run with one thing wrong in it."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest
from click.testing import CliRunner

from aiodp import Statistics
from aiodp.cli._demo import command
from aiodp.cli._demo.event_lines import Marks
from aiodp.cli._demo.promises import Evidence, judge
from aiodp.cli._demo.summary import summary
from aiodp.cli._demo.task_log import Entry, Stage
from aiodp.emulator import AuditEvent, AuditKind

TASKS = 3  # A is finished, B canceled, C lost by a silent worker and finished by another
ENDED = 100.0


def entry(task_id: str, instance: str, stage: Stage, **more) -> Entry:
    attempt = more.pop("attempt", 1)
    made = Entry(
        label=task_id,
        component=instance,
        task_id=task_id,
        instance_id=instance,
        attempt=attempt,
        assigned_at=0.0,
        stage=stage,
        steps=10,
        progress_reported=True,
    )
    made.ended_at = ENDED
    for name, value in more.items():
        setattr(made, name, value)
    return made


def event(at: float, kind: AuditKind, task_id: str, instance: str, detail: str = "") -> AuditEvent:
    return AuditEvent(
        at=at,
        kind=kind,
        task_id=task_id,
        attempt_id=f"{instance}_Attempt=1",
        instance_id=instance,
        pipeline_id="df-1",
        worker_group="group",
        hostname="host",
        detail=detail,
    )


@pytest.fixture
def evidence() -> Evidence:
    """Evidence of a run in which every promise was kept."""
    kinds = AuditKind
    return Evidence(
        entries=(
            entry("a", "A", Stage.FINISHED, cleaned_up=True),
            entry("b", "B", Stage.CANCELED, canceled_set=True, cleaned_up=True),
            entry("c", "C", Stage.LOST, silent_until=50.0),
            entry("c2", "C", Stage.FINISHED, attempt=2, cleaned_up=True),
        ),
        cancel_requested=frozenset({"B"}),
        max_held=2,
        events=(
            event(1, kinds.ASSIGNED, "a", "A"),
            event(2, kinds.ACKNOWLEDGED, "a", "A"),
            event(3, kinds.STATUS, "a", "A", "FINISHED"),
            event(1, kinds.ASSIGNED, "b", "B"),
            event(2, kinds.ACKNOWLEDGED, "b", "B"),
            event(4, kinds.CANCELED, "b", "B"),
            event(5, kinds.CANCELED_TOLD, "b", "B"),
            event(1, kinds.ASSIGNED, "c", "C"),
            event(2, kinds.ACKNOWLEDGED, "c", "C"),
            event(50, kinds.LAPSED, "c", "C"),
            event(51, kinds.ASSIGNED, "c2", "C"),
            event(52, kinds.ACKNOWLEDGED, "c2", "C"),
            event(60, kinds.STATUS, "c2", "C", "FINISHED"),
        ),
        statuses={"A": "FINISHED", "B": "CANCELED", "C": "FINISHED"},
        progress={"A_Attempt=1": "90", "C_Attempt=2": "80"},
        statistics=Statistics(
            tracked=0,
            acknowledged=0,
            sent=30,
            succeeded=20,
            failed=MappingProxyType({"server_error": 5, "timeout": 0}),
            throttled=5,
            in_flight=0,
            next_due=None,
            smallest_remaining_lease=None,
            worst_lag=0.0,
            effective_rate=300.0,
        ),
        elapsed=16.0,
    )


def broken(evidence: Evidence) -> list[str]:
    return [promise.text for promise in judge(evidence, tasks=TASKS) if not promise.kept]


def with_entry(evidence: Evidence, changed: Entry) -> Evidence:
    rest = (entry for entry in evidence.entries if entry.task_id != changed.task_id)
    return replace(evidence, entries=(*rest, changed))


def with_events(evidence: Evidence, *more: AuditEvent) -> Evidence:
    return replace(evidence, events=(*evidence.events, *more))


def test_a_good_run_breaks_no_promise(evidence):
    """All promises are kept if nothing went wrong."""
    assert broken(evidence) == []


BREAKS = {
    "a task without an end": (
        "exactly one end",
        lambda good: with_entry(good, entry("a", "A", Stage.HELD)),
    ),
    "a task finished twice": (
        "exactly one end",
        lambda good: with_events(good, event(61, AuditKind.STATUS, "c2", "C", "FINISHED")),
    ),
    "a task that the service counts and nobody saw": (
        "exactly one end",
        lambda good: replace(good, statuses=good.statuses | {"D": "FINISHED"}),
    ),
    "a worker that believes it finished what was canceled": (
        "exactly one end",
        lambda good: with_entry(good, entry("b", "B", Stage.FINISHED)),
    ),
    "a task held by nobody": ("at once", lambda good: replace(good, max_held=1)),
    "a task handed out while it is owned": (
        "two owners",
        lambda good: with_events(
            good, event(55, AuditKind.ASSIGNED, "c3", "C"), event(56, AuditKind.LAPSED, "c3", "C")
        ),
    ),
    "a canceled task whose event is not set": (
        "was told",
        lambda good: with_entry(good, entry("b", "B", Stage.CANCELED, cleaned_up=True)),
    ),
    "a canceled task whose work did not clean up": (
        "was told",
        lambda good: with_entry(good, entry("b", "B", Stage.CANCELED, canceled_set=True)),
    ),
    "a canceled task with a status": (
        "was told",
        lambda good: with_events(good, event(6, AuditKind.STATUS, "b", "B", "FAILED")),
    ),
    "a cancellation that nobody heard of": (
        "was told",
        lambda good: replace(good, cancel_requested=frozenset({"A", "B"})),
    ),
    "no silent worker": (
        "silent worker",
        lambda good: with_entry(good, entry("c", "C", Stage.LOST)),
    ),
    "a silent worker that the service did not notice": (
        "silent worker",
        lambda good: replace(
            good, events=[event for event in good.events if event.kind is not AuditKind.LAPSED]
        ),
    ),
    "a report after the end": (
        "after its end",
        lambda good: with_events(good, event(101, AuditKind.PROGRESS, "a", "A")),
    ),
    "a call that the service refused": (
        "after its end",
        lambda good: with_events(good, event(9, AuditKind.REFUSED, "a", "A")),
    ),
    "a task lost though the service kept it": (
        "gave away",
        lambda good: with_entry(good, entry("a", "A", Stage.LOST, reason="expired")),
    ),
    "a worker that failed": (
        "gave away",
        lambda good: with_entry(good, entry("a", "A", Stage.FAILED, reason="no status")),
    ),
    "no throttling": (
        "cost no lease",
        lambda good: replace(good, statistics=replace(good.statistics, throttled=0)),
    ),
    "no failure": (
        "cost no lease",
        lambda good: replace(good, statistics=replace(good.statistics, failed={"timeout": 0})),
    ),
    "a lease lost in an outage": (
        "cost no lease",
        lambda good: with_entry(good, entry("a", "A", Stage.LOST, reason="expired")),
    ),
    "progress that did not arrive": ("progress", lambda good: replace(good, progress={})),
}


@pytest.mark.parametrize("name", BREAKS)
def test_each_thing_wrong_breaks_its_promise(evidence, name):
    """One thing wrong in a good run breaks the promise that is about it."""
    promise, corrupt = BREAKS[name]
    assert any(promise in text for text in broken(corrupt(evidence)))


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "no such encoding"])
def test_a_broken_promise_is_marked_and_explained(evidence, encoding):
    """The summary marks the broken promise, says why, and counts it, in any encoding."""
    promises = judge(replace(evidence, progress={}), tasks=TASKS)
    marks = Marks.for_encoding(encoding)
    text = "\n".join(str(line) for line in summary(evidence, promises, marks, time_scale=30))
    mark = "✗" if encoding == "utf-8" else "NO"
    assert f"  {mark} the progress of the longer tasks reached the service\n      a: " in text
    assert text.endswith("1 of 9 promises were broken.")


@pytest.mark.parametrize(("max_held", "code"), [(40, 0), (39, 1)])
def test_the_exit_code_tells_whether_all_promises_were_kept(evidence, monkeypatch, max_held, code):
    """A broken promise makes the command exit with 1."""

    async def play_and_show(*_):
        return replace(evidence, max_held=max_held)

    monkeypatch.setattr(command, "_play_and_show", play_and_show)
    monkeypatch.setattr(command, "LONG_TASKS", TASKS - 1 if code == 0 else 40)
    done = CliRunner().invoke(command.demo, standalone_mode=False)
    assert done.exception is None
    assert done.return_value == code
    conclusion = "All 9 promises were kept." if code == 0 else "promises were broken."
    assert conclusion in done.output


def test_an_exception_of_the_scenario_is_raised(monkeypatch):
    """No promise is called kept if the scenario itself fails."""

    async def play_and_show(*_):
        raise RuntimeError("no scenario")

    monkeypatch.setattr(command, "_play_and_show", play_and_show)
    done = CliRunner().invoke(command.demo, standalone_mode=False)
    assert isinstance(done.exception, RuntimeError)
