"""What the page about the service shows, and the page itself."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from typing import Any

import pytest

from aiodp.emulator import Fault, FaultKind
from aiodp.emulator._server.dashboard import dashboard
from aiodp.emulator._server.page import page
from aiodp.emulator._server.selection import Selection
from unit.emulator.lifecycle_objects import schedule, slots
from unit.emulator.service_kit import Kit


def shown(kit: Kit, **selected: Any) -> dict[str, Any]:
    """The dashboard, as it arrives at the page."""
    found = dashboard(kit.service, kit.service.advance(), Selection(**selected))
    state: dict[str, Any] = json.loads(json.dumps(found))
    return state


def test_a_new_service_has_nothing_to_show():
    """Each list of a new service is there and empty."""
    kit = Kit()
    state = shown(kit)
    lists = {key: value["rows"] for key, value in state.items() if isinstance(value, dict)}
    names = ("pipelines", "tasks", "ended", "queues", "runners", "calls", "faults")
    assert lists == {name: [] for name in names}
    assert (state["now"], state["nextDeadline"]) == (1000.0, None)


def test_a_task_nobody_acknowledged_has_the_acknowledgement_window():
    """Until its first report a task's lease is the time in which it must be acknowledged."""
    kit = Kit()
    pipeline_id = kit.pipeline()
    task_id = kit.call("PollForTask", workerGroup="workers", hostname="h")["taskObject"]["taskId"]
    kit.clock.move(20)
    [row] = shown(kit)["tasks"]["rows"]
    assert (row["task"], row["pipeline"], row["pipelineName"]) == (task_id, pipeline_id, "p")
    assert row["attempt"].startswith("@Work0_")
    assert (row["hostname"], row["workerGroup"]) == ("h", "workers")
    assert (row["acknowledged"], row["reported"], row["reports"]) == (False, None, 0)
    assert (row["assigned"], row["lease"], row["deadline"]) == (1000.0, 120.0, 1120.0)


def test_a_report_begins_a_lease_and_brings_fields():
    """A report moves the deadline, and what it says is shown."""
    kit = Kit()
    kit.pipeline(reportProgressTimeout="10 minutes")
    task_id = kit.poll()
    kit.clock.move(20)
    fields = [{"key": "percentComplete", "stringValue": "40"}]
    kit.call("ReportTaskProgress", taskId=task_id, fields=fields)
    state = shown(kit)
    [row] = state["tasks"]["rows"]
    assert (row["acknowledged"], row["status"], row["reports"]) == (True, "RUNNING", 1)
    assert (row["reported"], row["lease"], row["deadline"]) == (1020.0, 600.0, 1620.0)
    assert row["fields"] == {"percentComplete": "40"}
    assert state["nextDeadline"] == 1620.0


def test_what_ended_is_shown_newest_first():
    """An attempt that ended leaves those in progress; the last to end is the first."""
    kit = Kit()
    kit.pipeline(count=2, maximumRetries="0")
    first, second = kit.poll(), kit.poll()
    kit.call("SetTaskStatus", taskId=first, taskStatus="FINISHED")
    kit.clock.move(5)
    kit.call("SetTaskStatus", taskId=second, taskStatus="FAILED", errorMessage="disk full")
    state = shown(kit)
    assert state["tasks"] == {"rows": [], "total": 0}
    assert [(row["status"], row["ended"]) for row in state["ended"]["rows"]] == [
        ("FAILED", 1005.0),
        ("FINISHED", 1000.0),
    ]
    assert state["ended"]["rows"][0]["outcome"] == {"errorMessage": "disk full"}


def test_what_was_canceled_says_why():
    """An attempt which was ended from outside shows the reason that the service gives."""
    kit = Kit()
    pipeline_id = kit.pipeline()
    kit.poll()
    [instance_id] = kit.call("QueryObjects", pipelineId=pipeline_id, sphere="INSTANCE")["ids"]
    kit.call("SetStatus", pipelineId=pipeline_id, objectIds=[instance_id], status="TRY_CANCEL")
    [row] = shown(kit)["ended"]["rows"]
    assert row["status"] == "CANCELED"
    assert row["outcome"]["reason"]


def test_a_schedule_shows_its_next_run():
    """A scheduled pipeline shows when its next slot comes; one on demand has none."""
    kit = Kit()
    kit.pipeline(name="demand")
    pipeline_id = kit.put_pipeline("daily", slots(schedule(startAt="FIRST_ACTIVATION_DATE_TIME")))
    kit.call("ActivatePipeline", pipelineId=pipeline_id)
    daily, demand = shown(kit)["pipelines"]["rows"]
    assert demand["nextRun"] is None
    assert daily["nextRun"] == 1000.0 + 86400.0


def test_lists_are_cut_and_say_how_much_there_is():
    """A list has as many rows as may be shown; its total counts all, and sums are of all."""
    kit = Kit()
    for task_id in kit.service.assign(5):
        kit.call("ReportTaskProgress", taskId=task_id)
    for name in "abcd":
        kit.pipeline(name=name, workerGroup=name)
    for task_id in kit.service.assign(3):
        kit.call("SetTaskStatus", taskId=task_id, taskStatus="FINISHED")
    kit.service.faults.add(Fault(kind=FaultKind.SLOW))
    kit.service.faults.add(Fault(kind=FaultKind.RESET))
    state = shown(kit, limit=1)
    totals = {"tasks": 5, "pipelines": 6, "ended": 3, "queues": 5, "faults": 2, "calls": 5}
    for name, total in totals.items():
        assert (len(state[name]["rows"]), state[name]["total"]) == (1, total), name
    assert state["queues"]["offered"] == 4
    assert (state["calls"]["answered"], state["calls"]["others"]) == (5 + 3 + 3 * 4, 0)


def test_tasks_are_shown_in_the_order_of_handing_out():
    """Tasks are shown in the order of their handing out, so that no row moves at each report."""
    kit = Kit()
    kit.pipeline(count=3)
    ids = []
    for _ in range(3):
        ids.append(kit.poll())
        kit.clock.move(1)
    kit.call("ReportTaskProgress", taskId=ids[0])
    assert [row["task"] for row in shown(kit)["tasks"]["rows"]] == ids


def test_worker_groups_show_what_waits_and_what_is_held():
    """Of each worker group: what a poll would get, what it would not get yet, what is held."""
    kit = Kit()
    kit.pipeline(name="a", count=3)
    pipeline_id = kit.pipeline(name="b", workerGroup="paused")
    kit.poll()
    kit.call("SetTaskStatus", taskId=kit.poll(), taskStatus="FAILED")
    kit.call("SetStatus", pipelineId=pipeline_id, objectIds=["Work0"], status="PAUSE")
    rows = {row.pop("workerGroup"): row for row in shown(kit)["queues"]["rows"]}
    assert [row.pop("key") for row in rows.values()] == list(rows)
    polled = {"polled": 1000.0, "unpolled": False}
    assert rows["workers"] == {"offered": 1, "later": 1, "held": 1} | polled
    never = {"polled": None, "unpolled": False}
    assert rows["paused"] == {"offered": 0, "later": 1, "held": 0} | never


def test_work_which_waits_unpolled_is_told():
    """No worker polls a group: there never was a poll, or a long while no poll and no task held."""
    kit = Kit()
    kit.pipeline(count=3)

    def row() -> tuple[Any, ...]:
        queues = shown(kit)["queues"]
        [found] = queues["rows"]
        return found["polled"], found["unpolled"], queues["unpolled"]

    assert row() == (None, True, 1)
    task_id = kit.poll()
    assert row() == (1000.0, False, 0)
    for _ in range(4):
        kit.clock.move(100)
        kit.call("ReportTaskProgress", taskId=task_id)
    assert row() == (1000.0, False, 0)  # its worker is busy
    kit.call("SetTaskStatus", taskId=task_id, taskStatus="FINISHED")
    assert row() == (1000.0, True, 1)
    kit.poll()
    assert row() == (1400.0, False, 0)


def test_attempts_are_selected_by_text_status_and_worker_group():
    """What is selected is shown and counted; what the whole service has is counted beside it."""
    kit = Kit()
    kit.pipeline(name="nightly", workerGroup="a")
    kit.pipeline(name="hourly", count=2, workerGroup="b")
    kit.call("ReportTaskProgress", taskId=kit.poll("a"))
    kit.poll("b")
    kit.call("SetTaskStatus", taskId=kit.poll("b"), taskStatus="FINISHED")

    def counted(**selected: str) -> list[int]:
        state = shown(kit, **selected)
        assert (state["taskCount"], state["pipelineCount"]) == (2, 2)
        return [state[name]["total"] for name in ("tasks", "ended", "pipelines")]

    assert counted() == [2, 1, 2]
    assert counted(text="night") == [1, 0, 1]
    assert counted(status="RUNNING") == [1, 0, 2]
    assert counted(status="FINISHED") == [0, 1, 2]
    assert counted(worker_group="b") == [1, 1, 2]
    assert counted(worker_group="b", text="night") == [0, 0, 1]


def test_tasks_are_sorted_by_what_is_left_of_their_leases():
    """The lease that ends first is the first, however many rows there are."""
    kit = Kit()
    kit.pipeline(count=3, reportProgressTimeout="10 minutes")
    ids = [kit.poll() for _ in range(3)]
    for task_id in (ids[1], ids[0]):
        kit.clock.move(10)
        kit.call("ReportTaskProgress", taskId=task_id)
    rows = shown(kit, by_lease=True)["tasks"]["rows"]
    assert [row["task"] for row in rows] == [ids[2], ids[1], ids[0]]
    [first] = shown(kit, by_lease=True, limit=1)["tasks"]["rows"]
    assert first["task"] == ids[2]


def test_pipelines_are_counted_by_status_and_the_newest_is_first():
    """A pipeline shows its state and how many instances are in which status."""
    kit = Kit()
    kit.pipeline(name="old", count=3)
    kit.call("SetTaskStatus", taskId=kit.poll(), taskStatus="FINISHED")
    kit.call("CreatePipeline", name="new", uniqueId="new")
    new, old = shown(kit)["pipelines"]["rows"]
    assert (new["name"], new["state"], new["counts"]) == ("new", "PENDING", {})
    assert (old["name"], old["state"]) == ("old", "SCHEDULED")
    assert old["counts"] == {"WAITING_FOR_RUNNER": 2, "FINISHED": 1}
    assert old["health"] == "HEALTHY"


def test_a_deleted_pipeline_is_gone():
    """Neither a deleted pipeline nor what was made of it is shown."""
    kit = Kit()
    pipeline_id = kit.pipeline(count=3)
    kit.poll()
    kit.call("SetTaskStatus", taskId=kit.poll(), taskStatus="FINISHED")
    kit.call("DeletePipeline", pipelineId=pipeline_id)
    state = shown(kit)
    for name in ("pipelines", "tasks", "ended", "queues"):
        assert state[name]["rows"] == [], name


def test_calls_are_counted_by_outcome():
    """Each operation shows how often it was answered, and what else became of its calls."""
    kit = Kit()
    kit.call("CreatePipeline", name="n", uniqueId="n")
    kit.call("ActivatePipeline", pipelineId="df-NONE")
    state = shown(kit)["calls"]
    assert state["rows"] == [
        {
            "key": "ActivatePipeline",
            "operation": "ActivatePipeline",
            "ok": 0,
            "others": {"PipelineNotFoundException": 1},
        },
        {"key": "CreatePipeline", "operation": "CreatePipeline", "ok": 1, "others": {}},
    ]
    assert (state["answered"], state["others"]) == (1, 1)


def test_faults_show_the_calls_they_change_and_what_is_left_of_them():
    """A fault shows its kind, its calls, how many calls it changed, and what is left of it."""
    kit = Kit()
    kit.service.faults.add(
        Fault(
            kind=FaultKind.THROTTLE,
            actions=frozenset({"SetTaskStatus", "PollForTask"}),
            tasks=frozenset({"one"}),
            count=3,
            duration=60.0,
        )
    )
    kit.call("SetTaskStatus", taskId="one", taskStatus="FINISHED")
    [row] = shown(kit)["faults"]["rows"]
    assert row == {
        "kind": "throttle",
        "actions": ["PollForTask", "SetTaskStatus"],
        "tasks": 1,
        "every": 1,
        "left": 2,
        "befallen": 1,
        "start": 1000.0,
        "end": 1060.0,
    }


def test_task_runners_are_those_that_sent_a_heartbeat():
    """A task runner shows its id, group, host and last heartbeat; the last heard is the first."""
    kit = Kit()
    heard = {"taskrunnerId": "one", "workerGroup": "workers", "hostname": "h"}
    kit.call("ReportTaskRunnerHeartbeat", **heard)
    kit.clock.move(900)
    kit.call("ReportTaskRunnerHeartbeat", taskrunnerId="two")
    two, one = shown(kit)["runners"]["rows"]
    assert two["id"] == "two"
    assert one == {
        "key": "one",
        "id": "one",
        "workerGroup": "workers",
        "hostname": "h",
        "heartbeat": 1000.0,
        "terminating": False,
    }


def test_long_texts_are_cut():
    """Neither long values nor many fields make the page slow."""
    kit = Kit()
    kit.pipeline()
    fields = [{"key": f"key{n}", "stringValue": "x" * 900} for n in range(10)]
    kit.call("ReportTaskProgress", taskId=kit.poll(), fields=fields)
    [row] = shown(kit)["tasks"]["rows"]
    assert len(row["fields"]) == 8
    assert {len(value) for value in row["fields"].values()} == {200}


def test_rows_whose_names_are_cut_alike_have_keys_of_their_own():
    """The page tells rows apart by a key, however little of their names it shows."""
    kit = Kit()
    for tail in "abc":
        kit.service.assign(worker_group="w" * 300 + tail)
        kit.service.request("ReportTaskRunnerHeartbeat", {"taskrunnerId": "r" * 300 + tail})
        kit.service.request("O" * 300 + tail, {})
    state = shown(kit)
    for name, shown_as in (("queues", "workerGroup"), ("runners", "id"), ("calls", "operation")):
        rows = [row for row in state[name]["rows"] if len(row["key"]) > 200]
        assert len({row["key"] for row in rows}) == 3, name
        assert len({row[shown_as] for row in rows}) == 1, name


def test_the_page_needs_nothing_else():
    """The page names no other address, and its policy allows its own style and script only."""
    status, content_type, body = page("/aiodp-ui/")
    text = body.decode()
    assert (status, content_type) == (200, "text/html; charset=utf-8")
    assert not re.findall(r"https?://|@import|url\(", text)
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    for name in ("style", "script"):
        [part] = re.findall(rf"<{name}>(.*)</{name}>", text, re.DOTALL)
        digest = b64encode(sha256(part.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


@pytest.mark.parametrize(
    ("path", "status"), [("/aiodp-ui", 200), ("/aiodp-ui/", 200), ("/aiodp-ui/x", 404)]
)
def test_there_is_one_page(path, status):
    """The page is at one path, with or without the slash at its end."""
    assert page(path)[0] == status
