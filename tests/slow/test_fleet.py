"""Four processes of boto3, as it comes, on one worker group of 2,000 tasks on a bad day."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest

from acceptance.support import CREDENTIALS
from aiodp.emulator import AuditKind, EmulatorServer, Fault, FaultKind, Settings, TaskState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from acceptance.commands import Command, Commands
    from aiodp.emulator import Audit, AuditEvent, LockedService

pytestmark = pytest.mark.timeout(500)

WORKER: Final = Path(__file__).with_name("fleet_worker.py")
GROUP: Final = "fleet"
HOSTS: Final = ("one", "two", "three", "four")
PIPELINES: Final = 20
ACTIVITIES: Final = 100
TIME_SCALE: Final = 30.0
"""The two minutes until a task comes back which nobody acknowledged are four seconds."""
GIVEN_AWAY: Final = 20
LIMIT: Final = 300.0
"""Real seconds for all of it; an idle machine needs a tenth of that."""
POLL: Final = frozenset({"PollForTask"})
STATUS: Final = frozenset({"SetTaskStatus"})
FAULTS: Final = (
    Fault(kind=FaultKind.RESET_AFTER, actions=POLL, every=60),
    Fault(kind=FaultKind.RESET_AFTER, actions=STATUS, every=70),
    Fault(kind=FaultKind.HANG_AFTER, actions=POLL, every=400, count=3),
    Fault(kind=FaultKind.THROTTLE, every=90),
    Fault(kind=FaultKind.SERVER_ERROR, every=110),
    Fault(kind=FaultKind.RESET, every=130),
    Fault(kind=FaultKind.SLOW, every=150, delay=20),
)
LOSING: Final = frozenset({FaultKind.RESET_AFTER, FaultKind.HANG_AFTER})
HELD: Final = frozenset({AuditKind.ACKNOWLEDGED, AuditKind.PROGRESS})
ENDS: Final = frozenset({AuditKind.STATUS, AuditKind.REASSIGNED, AuditKind.LAPSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A line of a worker's own record."""

    host: str
    what: str
    task: str
    reports: int
    """Heartbeats that the service took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """What the service and the workers know when all is done."""

    audit: Audit
    calls: Counter[tuple[str, str]]
    given_away: list[str]
    finished: list[tuple[str, str]]
    """Instances which QueryObjects finds FINISHED, each with its pipeline."""
    records: list[Record]

    def recorded(self, *outcomes: str) -> dict[str, Record]:
        """Return the records with these outcomes, by task id."""
        return {one.task: one for one in self.records if one.what in outcomes}

    def events(self, *kinds: AuditKind) -> dict[str, AuditEvent]:
        """Return the events of these kinds, by task id."""
        return {one.task_id: one for one in self.audit if one.kind in kinds}


@pytest.fixture(scope="module")
def fleet(commands, tmp_path_factory) -> Iterator[Fleet]:
    """All tasks worked off."""
    folder = tmp_path_factory.mktemp("fleet")
    with EmulatorServer(time_scale=TIME_SCALE, settings=Settings(quotas=None)) as server:
        service = server.service()
        client = make_client(server.endpoint)
        pipelines = [make_pipeline(client, f"p{n}") for n in range(PIPELINES)]
        for fault in FAULTS:
            service.faults.add(fault)
        with workers(commands, folder, server.endpoint) as running:
            given_away = work_off(service, running)
        service.faults.clear()
        yield Fleet(
            audit=service.audit,
            calls=service.calls,
            given_away=given_away,
            finished=[(one, found) for one in pipelines for found in find_finished(client, one)],
            records=[record for host in HOSTS for record in read_records(folder, host)],
        )
        client.close()


def make_client(endpoint: str) -> Any:
    return boto3.client(
        "datapipeline",
        endpoint_url=endpoint,
        region_name=CREDENTIALS["AWS_DEFAULT_REGION"],
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )


def make_pipeline(client: Any, name: str) -> str:
    """Create and activate an on-demand pipeline whose tasks have tries for all that goes wrong."""
    pipeline_id: str = client.create_pipeline(name=name, uniqueId=name)["pipelineId"]
    activity = {
        "type": "ShellCommandActivity",
        "command": "true",
        "workerGroup": GROUP,
        "scheduleType": "ondemand",
        "maximumRetries": "5",
    }
    fields = [{"key": key, "stringValue": value} for key, value in activity.items()]
    objects = [{"id": f"Work{n}", "name": f"Work{n}", "fields": fields} for n in range(ACTIVITIES)]
    put = client.put_pipeline_definition(pipelineId=pipeline_id, pipelineObjects=objects)
    assert put["errored"] is False, put
    client.activate_pipeline(pipelineId=pipeline_id)
    return pipeline_id


@contextmanager
def workers(commands: Commands, folder: Path, endpoint: str) -> Iterator[list[Command]]:
    """Run the worker processes; at the end each gives back what it holds, and ends."""
    environment = CREDENTIALS | {"AWS_ENDPOINT_URL": endpoint, "HOME": str(folder)}
    with ExitStack() as stack:
        running = [
            stack.enter_context(
                commands.start(
                    *(GROUP, host, folder / host),
                    script=WORKER,
                    env=environment,
                    stdin=subprocess.PIPE,
                )
            )
            for host in HOSTS
        ]
        try:
            yield running
            for process in running:
                process.communicate(timeout=LIMIT)
        finally:
            for process in running:
                process.kill()  # which does nothing to one that has ended
    assert [process.returncode for process in running] == [0] * len(HOSTS)


def work_off(service: LockedService, running: list[Command]) -> list[str]:
    """Wait until all is done, and meanwhile give tasks away; return their ids."""
    given_away: list[str] = []
    until = time.monotonic() + LIMIT
    while count_finished(service) < PIPELINES * ACTIVITIES:
        assert time.monotonic() < until, f"only {count_finished(service)} are done"
        assert all(process.poll() is None for process in running), "a worker has ended"
        if len(given_away) < GIVEN_AWAY:
            given_away += give_away(service)
        time.sleep(0.1)
    return given_away


def count_finished(service: LockedService) -> int:
    with service as model:
        return sum(event.kind is AuditKind.STATUS for event in model.audit)


def give_away(service: LockedService) -> list[str]:
    """End the lease of the task that was acknowledged last, if it is held still."""
    with service as model:
        known = [one.task_id for one in model.audit if one.kind is AuditKind.ACKNOWLEDGED][-1:]
        held = [one for one in known if model.task(one).state is TaskState.HELD]
        for one in held:
            model.give_away(one)
    return held


def find_finished(client: Any, pipeline_id: str) -> Iterator[str]:
    status = {"type": "EQ", "values": ["FINISHED"]}
    pages = client.get_paginator("query_objects").paginate(
        pipelineId=pipeline_id,
        sphere="INSTANCE",
        query={"selectors": [{"fieldName": "@status", "operator": status}]},
    )
    for page in pages:
        yield from page["ids"]


def read_records(folder: Path, host: str) -> Iterator[Record]:
    for line in (folder / host).read_text().splitlines():
        yield Record(host=host, **json.loads(line))


def test_every_task_finishes_exactly_once(fleet):
    """All 2,000 instances are FINISHED, each by one SetTaskStatus."""
    ended = Counter(
        (one.pipeline_id, one.instance_id) for one in fleet.audit if one.kind is AuditKind.STATUS
    )
    assert len(ended) == PIPELINES * ACTIVITIES
    assert set(ended.values()) == {1}
    assert sorted(fleet.finished) == sorted(ended)


def test_no_task_has_two_owners(fleet):
    """At no service time did an instance have two owners."""
    fleet.audit.assert_single_owner()


def test_every_lease_has_one_end(fleet):
    """What was handed out was finished or taken back, once, and nothing was taken after that."""
    for task_id in fleet.events(AuditKind.ASSIGNED):
        kinds = [one.kind for one in fleet.audit.of(task_id)]
        [end] = [place for place, kind in enumerate(kinds) if kind in ENDS]
        assert kinds[0] is AuditKind.ASSIGNED
        assert set(kinds[1:end]) <= HELD
        assert set(kinds[end + 1 :]) <= {AuditKind.REFUSED}


def test_tasks_nobody_got_come_back(fleet):
    """A task whose poll lost its answer is taken back unacknowledged, and got by somebody else.

    boto3's retry of PollForTask asks for another task, and nobody ever reports the first one.
    """
    assigned, got = fleet.events(AuditKind.ASSIGNED), fleet.recorded("got")
    assert got.keys() <= assigned.keys()
    assert all(record.host == assigned[task].hostname for task, record in got.items())
    orphans = assigned.keys() - got.keys()
    assert orphans <= fleet.events(AuditKind.REASSIGNED).keys()
    assert 0 < len(orphans) <= sum(fleet.calls["PollForTask", kind] for kind in LOSING)


def test_the_workers_agree_with_the_service(fleet):
    """Each task that a worker got came to one end, and the service says the same of it.

    Where boto3 sent a status again, the service may know better than the worker, which was told
    TaskNotFound, whether the first one arrived.
    """
    got = Counter(one.task for one in fleet.records if one.what == "got")
    ends = Counter(one.task for one in fleet.records if one.what != "got")
    assert got == ends
    assert set(got.values()) == {1}
    statuses = fleet.events(AuditKind.STATUS).keys()
    finished, doubtful = fleet.recorded("finished").keys(), fleet.recorded("doubtful").keys()
    assert finished <= statuses <= finished | doubtful
    assert statuses & doubtful
    taken = fleet.events(AuditKind.REASSIGNED, AuditKind.LAPSED).keys()
    assert fleet.recorded("lost").keys() | (doubtful - statuses) == taken & got.keys()


def test_the_service_counts_the_heartbeats_which_it_answered(fleet):
    """The reports that a worker saw succeed are those which the service took, no more, no less."""
    ends = fleet.recorded("finished", "doubtful", "lost")
    taken = {task: len(fleet.audit.of(task, *HELD)) for task in ends}
    assert taken == {task: record.reports for task, record in ends.items()}


def test_what_is_given_away_is_lost_to_its_worker(fleet):
    """A lease that the service ended is the worker's loss, and another attempt finishes it."""
    lapsed = fleet.events(AuditKind.LAPSED)
    assert len(fleet.given_away) == GIVEN_AWAY
    assert lapsed.keys() >= set(fleet.given_away)
    assert fleet.recorded("lost", "doubtful").keys() >= set(fleet.given_away)


def test_all_went_wrong_that_should(fleet):
    """Every kind of fault befell calls, and every worker had its share of the tasks."""
    outcomes = {outcome for _, outcome in fleet.calls}
    assert outcomes >= {"ThrottlingException", "InternalServiceError", "reset", *LOSING}
    assert fleet.calls["SetTaskStatus", "reset_after"] > 0
    assert {one.host for one in fleet.records if one.what == "finished"} == set(HOSTS)
