"""Pages of QueryObjects: nothing is lost between them, and their cost is that of what they list."""

from __future__ import annotations

import pytest

from aiodp.emulator import LockedService, Settings
from aiodp.emulator._calendar import Calendar
from aiodp.emulator._clock import ManualClock
from aiodp.emulator._store import ServiceStore, Store
from unit.emulator.lifecycle_kit import INVALID, Lifecycle
from unit.emulator.lifecycle_objects import (
    Ref,
    activity,
    at,
    daily,
    node,
    on_demand,
    selector,
    stamp,
)

WAITING = "WAITING_FOR_RUNNER"


def crowd(count):
    """Return a service with a run of so many activities."""
    kit = Lifecycle(max_objects=count + 10)
    kit.launch(on_demand(**{f"A{n}": activity() for n in range(count)}))
    return kit


def ask(kit, sphere, *selectors, **params):
    """Return one page."""
    asked = {"sphere": sphere, "query": {"selectors": list(selectors)}}
    return kit.call("QueryObjects", pipelineId=kit.pipeline_id, **(asked | params))


@pytest.mark.parametrize("sphere", ["INSTANCE", "ATTEMPT"])
def test_what_matches_throughout_is_listed_while_other_objects_change(sphere):
    """Of 300 that wait 50 finish after the first page; all the others are listed, each once."""
    kit = crowd(300)
    waits = selector("@status", "EQ", WAITING)
    first = ask(kit, sphere, waits)
    assert len(first["ids"]) == 100
    kit.finish(*[at(f"A{n}") for n in range(50)])
    listed, marker = first["ids"], first["marker"]
    while marker is not None:
        page = ask(kit, sphere, waits, marker=marker)
        listed, marker = listed + page["ids"], page.get("marker")
    assert len(listed) == len(set(listed)) == 300


def test_components_are_listed_while_the_definition_changes(kit):
    """Another order of the objects between two pages loses none of those that stay."""
    kit.prepare(daily(**{name: activity() for name in "EDCBA"}))
    first = ask(kit, "COMPONENT", limit=3)
    kit.put(daily(**{name: activity() for name in "XABCED"}))
    second = ask(kit, "COMPONENT", limit=100, marker=first["marker"])
    assert {*first["ids"], *second["ids"]} >= {"Daily", *"ABCDE"}
    assert "marker" not in second


def test_a_marker_survives_a_change_of_the_limit(kit):
    """The next page may have another size."""
    kit.launch(on_demand(**{f"A{n}": activity() for n in range(7)}))
    first = ask(kit, "INSTANCE", limit=2)
    second = ask(kit, "INSTANCE", limit=3, marker=first["marker"])
    third = ask(kit, "INSTANCE", marker=second["marker"])
    listed = [*first["ids"], *second["ids"], *third["ids"]]
    assert listed == [at(f"A{n}") for n in range(7)]
    assert not third["hasMoreResults"]


@pytest.mark.parametrize("sphere", ["COMPONENT", "INSTANCE", "ATTEMPT"])
def test_a_marker_is_valid_after_a_restart(sphere, tmp_path):
    """A service with a state file goes on where the page ended."""
    listed: list[str] = []
    marker = None
    for _ in range(2):
        store = Store(tmp_path / "state")
        keeping = ServiceStore(store, "123456789012", "us-east-1")
        service = LockedService(ManualClock(), Settings(quotas=None), persistence=keeping)
        if not listed:
            service.assign(3)
            service.assign(5)
        pipeline_id = service.perform("ListPipelines")["pipelineIdList"][1]["id"]
        asked = {"pipelineId": pipeline_id, "sphere": sphere, "limit": 3}
        page = service.perform("QueryObjects", **asked, marker=marker)
        listed, marker = listed + page["ids"], page.get("marker")
        store.close()
    assert len(listed) == len(set(listed)) == 5


def test_a_marker_which_the_service_did_not_give_for_this_list():
    """One of another pipeline or sphere, a changed one, and anything else are refused."""
    kit = crowd(5)
    given = ask(kit, "INSTANCE", limit=2)["marker"]
    of_attempts = ask(kit, "ATTEMPT", limit=2)["marker"]
    of_components = ask(kit, "COMPONENT", limit=2)["marker"]
    changed = [given[:n] + chr(ord(given[n]) + 1) + given[n + 1 :] for n in range(len(given))]
    wrong = ["2", "0", "-1", "x", at("A1"), f"{given} ", given[:-1], of_attempts, of_components]
    for marker in [*wrong, *changed]:
        assert ask(kit, "INSTANCE", marker=marker)["error"] == INVALID, marker
    assert ask(kit, "INSTANCE", marker=given)["ids"] == [at("A2"), at("A3"), at("A4")]
    kit.launch(on_demand(**{f"A{n}": activity() for n in range(5)}))
    assert ask(kit, "INSTANCE", marker=given)["error"] == INVALID


def test_the_longest_id_can_be_a_marker(kit):
    """Ids and markers have 1,024 characters at most, and a marker names the last of its page."""
    longest = {"Z" * 1023 + end for end in "ABCDEF"}
    kit.prepare({})
    kit.put(daily(**{object_id: activity() for object_id in longest}))  # which has errors
    listed: list[str] = []
    marker = None
    for _ in range(7):
        page = ask(kit, "COMPONENT", limit=1, marker=marker)
        listed, marker = listed + page["ids"], page.get("marker")
    assert sorted(listed) == ["Daily", *sorted(longest)]
    assert marker is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": 0},
        {"sphere": "PIPELINE"},
        {"query": {"selectors": [selector("@status", "EQ", WAITING)] * 11}},
        {"query": {"selectors": [selector("command", "EQ", "true")]}},
        {"query": {"selectors": [selector("@status", "GE", "A")]}},
        {"query": {"selectors": [selector("@status", "EQ")]}},
        {"query": {"selectors": [selector("@actualStartTime", "BETWEEN", stamp())]}},
        {"query": {"selectors": [{"fieldName": "@status"}]}},
    ],
)
def test_what_cannot_be_listed(wrong):
    """A page of nothing, another sphere, and selectors which the API does not have are refused."""
    asked = {"sphere": "INSTANCE"} | wrong
    kit = crowd(1)
    assert kit.call("QueryObjects", pipelineId=kit.pipeline_id, **asked)["error"] == INVALID


@pytest.mark.parametrize("sphere", ["INSTANCE", "ATTEMPT"])
def test_a_page_looks_only_at_what_it_lists(sphere, monkeypatch):
    """Each page reads the field of its selector once for each of its objects and of the next."""
    kit, read = crowd(450), []
    stamp_of = Calendar.stamp

    def noted(*args):
        read.append(args)
        return stamp_of(*args)

    monkeypatch.setattr(Calendar, "stamp", noted)
    costs, marker = [], None
    while True:
        read.clear()
        page = ask(kit, sphere, selector("@scheduledStartTime", "GE", stamp()), marker=marker)
        costs.append(len(read))
        marker = page.get("marker")
        if marker is None:
            break
    assert costs == [101, 101, 101, 101, 50]


def test_what_is_found_by_a_field_has_it(kit):
    """A selector finds exactly those objects whose fields show what it asks for."""
    kit.launch(daily(A=activity(input=Ref("D")), B=activity(dependsOn=Ref("A")), D=node()))
    kit.move(days=1)
    kit.fail(at("A"))
    kit.move(130)
    kit.finish(at("A", days=1))
    for sphere in ("COMPONENT", "INSTANCE", "ATTEMPT"):
        shown = {object_id: kit.fields(object_id) for object_id in kit.query(sphere)}
        for key, operator in FOUND_BY:
            values = {fields[key] for fields in shown.values() if key in fields} | {stamp(days=-1)}
            for value in values:
                having = [name for name, fields in shown.items() if fields.get(key) == value]
                assert kit.query(sphere, selector(key, operator, value)) == having, (key, value)
        assert kit.query(sphere, selector("name", "EQ", *shown)) == list(shown)
        assert kit.query(sphere, selector("name", "REF_EQ", *shown)) == []


TIMES = ("@scheduledStartTime", "@scheduledEndTime", "@actualStartTime", "@actualEndTime")
REFERENCES = ("parent", "@componentParent", "@instanceParent")
FOUND_BY = [(key, "REF_EQ") for key in REFERENCES]
FOUND_BY += [(key, "EQ") for key in ("@sphere", "@status", *TIMES)]
