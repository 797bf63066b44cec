"""A server which is killed at any moment, and goes on with its state file."""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from collections import Counter
from contextlib import suppress
from http.client import RemoteDisconnected
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final
from urllib.request import Request, urlopen

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from acceptance.support import CREDENTIALS, kept_environment
from aiodp.emulator import AuditKind, EmulatorServer, TaskState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from acceptance.commands import Command, Commands
    from aiodp.emulator import LockedService

SERVER: Final = Path(__file__).with_name("state_server.py")
GROUP: Final = "workers"
LEASE: Final = 300.0
ONCE: Final = Config(retries={"total_max_attempts": 1}, read_timeout=100)
"""A call which is not answered is not sent again, so that each answer belongs to one call."""
ACTIVITIES: Final = 60
KILLS: Final = 4


class Life:
    """A server's process, which can be killed and started again on its port."""

    def __init__(self, commands: Commands, state: Path) -> None:
        self.state = state
        self._commands = commands
        self._port = "0"
        self._process: Command | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self, time_scale: float = 1.0) -> None:
        """Begin a life, and wait until it is served."""
        self._process = self._commands.start(
            *(self._port, self.state, time_scale),
            script=SERVER,
            env=os.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self._port = self._process.stdout.readline().strip()
        assert self._port, "the server has not started"

    def kill(self) -> None:
        """End it by SIGKILL, so that it can do nothing about it."""
        if self._process is not None:
            with self._process:
                self._process.kill()
            self._process = None


@pytest.fixture
def life(commands, tmp_path) -> Iterator[Life]:
    """A server with a state file, in its first life."""
    life = Life(commands, tmp_path / "state")
    life.start()
    yield life
    life.kill()


def make_client(life: Life) -> Any:
    return boto3.client(
        "datapipeline",
        endpoint_url=life.endpoint,
        region_name=CREDENTIALS["AWS_DEFAULT_REGION"],
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        config=ONCE,
    )


def make_pipeline(client: Any, count: int) -> str:
    """Make and activate an on-demand pipeline of activities."""
    pipeline_id: str = client.create_pipeline(name="p", uniqueId="p")["pipelineId"]
    activity = {
        "type": "ShellCommandActivity",
        "command": "true",
        "workerGroup": GROUP,
        "scheduleType": "ondemand",
        "maximumRetries": "5",
    }
    fields = [{"key": key, "stringValue": value} for key, value in activity.items()]
    objects = [{"id": f"Work{n}", "name": f"Work{n}", "fields": fields} for n in range(count)]
    put = client.put_pipeline_definition(pipelineId=pipeline_id, pipelineObjects=objects)
    assert put["errored"] is False, put
    client.activate_pipeline(pipelineId=pipeline_id)
    return pipeline_id


def take(client: Any, count: int) -> list[str]:
    """Poll for tasks, and acknowledge them."""
    ids = [client.poll_for_task(workerGroup=GROUP)["taskObject"]["taskId"] for _ in range(count)]
    for task_id in ids:
        client.report_task_progress(taskId=task_id)
    return ids


def test_held_tasks_go_on(life):
    """After a kill workers keep their tasks, by the old ids, until the old deadlines."""
    client = make_client(life)
    make_pipeline(client, 10)
    held = take(client, 6)
    finished, held = held[:2], held[2:]
    for task_id in finished:
        client.set_task_status(taskId=task_id, taskStatus="FINISHED")
    life.kill()
    with EmulatorServer(state=life.state) as server:
        service = server.service()
        views = [service.task(task_id) for task_id in held]
        assert [one.state for one in views] == [TaskState.HELD] * 4
        assert [one.deadline for one in views] == [
            (one.last_reported_at or 0.0) + LEASE for one in views
        ]
        assert [service.task(one).instance_status for one in finished] == ["FINISHED"] * 2
    life.start()
    client = make_client(life)
    for task_id in held:
        assert client.report_task_progress(taskId=task_id)["canceled"] is False
    for task_id in finished:
        with pytest.raises(client.exceptions.TaskNotFoundException):
            client.report_task_progress(taskId=task_id)
    assert len(set(take(client, 4) + held + finished)) == 10


def test_a_lease_which_ran_out_meanwhile_is_given_away(life):
    """While no server is there its time goes on; who comes too late has lost the task."""
    client = make_client(life)
    make_pipeline(client, 1)
    [task_id] = take(client, 1)
    life.kill()
    life.start(time_scale=1_000_000.0)  # at which a process needs a day to start
    life.kill()
    life.start()
    client = make_client(life)
    with pytest.raises(client.exceptions.TaskNotFoundException):
        client.report_task_progress(taskId=task_id)
    [other] = take(client, 1)
    assert other != task_id
    life.kill()
    with EmulatorServer(state=life.state) as server:
        service = server.service()
        lost = service.task(task_id)
        assert lost.state is TaskState.LAPSED
        [first, second] = service.audit.owners(lost.instance_id)
        assert first.end == (lost.last_reported_at or 0.0) + LEASE
        assert second.start >= first.end


def test_what_is_due_happens_without_a_call(life):
    """A restored service does not wait for somebody to look at it."""
    client = make_client(life)
    make_pipeline(client, 1)
    [task_id] = take(client, 1)
    life.kill()
    with EmulatorServer(state=life.state, time_scale=1_000_000.0) as server:
        until = time.monotonic() + 60
        while server.service().audit[-1].kind is not AuditKind.OFFERED:
            assert time.monotonic() < until
            time.sleep(0.01)
        assert [one.task_id for one in server.service().audit if one.kind is AuditKind.LAPSED] == [
            task_id
        ]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/aiodp-api/assign"),
        ("POST", "/aiodp-api/reset"),
        ("POST", "/aiodp-api/clock"),
        ("POST", "/moto-api/reset"),
        ("GET", "/aiodp-api/audit"),
    ],
)
def test_a_server_which_stops_answers_no_control_call(tmp_path, method, path):
    """Once nothing is kept any more a connection is dropped, though the port is still open."""
    body = b'{"jump": 10}' if path.endswith("clock") else b"{}"
    with EmulatorServer(state=tmp_path / "state") as server:
        server.service().assign()
        server._started.close()  # as stop() does first
        with pytest.raises(RemoteDisconnected):
            urlopen(Request(f"{server.endpoint}{path}", body, method=method))


def test_what_is_answered_while_the_server_stops_is_kept(tmp_path):
    """However many control calls come meanwhile."""
    server = EmulatorServer(state=tmp_path / "state")
    server.start()
    request = Request(f"{server.endpoint}/aiodp-api/assign", b"{}")
    answered: list[str] = []
    begun = Event()

    def call() -> None:
        with suppress(OSError):
            while True:
                with urlopen(request) as answer:
                    answered.extend(json.load(answer)["taskIds"])
                begun.set()

    caller = Thread(target=call, daemon=True)
    caller.start()
    assert begun.wait(30)
    server.stop()
    caller.join()
    with EmulatorServer(state=tmp_path / "state") as server:
        given = {one.task_id for one in server.service().audit if one.kind is AuditKind.ASSIGNED}
        assert set(answered) <= given


def run_script(commands, folder, text) -> None:
    """Run a program that forks, beside the threads of the server."""
    script = folder / "fork.py"
    script.write_text(f"import warnings\nwarnings.simplefilter('ignore')\n{text}")
    done = commands.run(folder / "state", script=script, env=kept_environment(), timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_a_forked_child_does_not_stop_the_server(commands, tmp_path):
    """It has none of the server's threads, so it would wait for them for ever."""
    run_script(
        commands,
        tmp_path,
        """\
import os, sys
from aiodp.emulator import EmulatorServer
with EmulatorServer(state=sys.argv[1]) as server:
    child = os.fork()
    if child == 0:
        server.stop()
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    server.service().assign()
""",
    )


def test_a_forked_child_which_lives_on_does_not_keep_the_server_running(commands, tmp_path):
    """The server's sockets are open in the child as well, which knows nothing of the stop."""
    run_script(
        commands,
        tmp_path,
        """\
import os
from aiodp.emulator import EmulatorServer
child_ends, end_child = os.pipe()
with EmulatorServer():
    child = os.fork()
    if child == 0:
        os.close(end_child)
        os.read(child_ends, 1)
        os._exit(7)
os.close(end_child)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
""",
    )


def test_a_reset_empties_the_file(life):
    """What moto's own way to begin anew has forgotten does not come back."""
    client = make_client(life)
    make_pipeline(client, 1)
    with urlopen(Request(f"{life.endpoint}/moto-api/reset", method="POST")) as answer:
        assert answer.status == 200
    life.kill()
    life.start()
    assert make_client(life).list_pipelines()["pipelineIdList"] == []


@pytest.mark.slow
def test_kills_at_any_moment(life):
    """What was acknowledged is never forgotten, and no task ever has two owners."""
    pipeline_id = make_pipeline(make_client(life), ACTIVITIES)
    stop = Event()
    workers = [Worker(life, stop) for _ in range(3)]
    for worker in workers:
        worker.start()
    moments = random.Random(7)
    for _ in range(KILLS):
        time.sleep(moments.uniform(0.1, 0.6))  # of work, until the server dies
        life.kill()
        life.start(time_scale=60.0)  # at which whatever is lost comes back in seconds
    until = time.monotonic() + 60
    while (finished := count_finished(life, pipeline_id)) < ACTIVITIES:
        assert time.monotonic() < until, f"only {finished} are done"
        time.sleep(0.1)
    stop.set()
    life.kill()
    for worker in workers:
        worker.join()
    with EmulatorServer(state=life.state) as server:
        check(server.service(), workers)


def count_finished(life: Life, pipeline_id: str) -> int:
    status = {"type": "EQ", "values": ["FINISHED"]}
    found = make_client(life).query_objects(
        pipelineId=pipeline_id,
        sphere="INSTANCE",
        query={"selectors": [{"fieldName": "@status", "operator": status}]},
    )
    return len(found["ids"])


def check(service: LockedService, workers: list[Worker]) -> None:
    """Compare what the workers were told with what the service knows."""
    audit = service.audit
    audit.assert_single_owner()
    ended = {event.task_id for event in audit if event.kind is AuditKind.STATUS}
    instances = Counter(event.instance_id for event in audit if event.kind is AuditKind.STATUS)
    given = [event.task_id for event in audit if event.kind is AuditKind.ASSIGNED]
    told = [one for worker in workers for one in worker.finished]
    assert len(instances) == ACTIVITIES
    assert set(instances.values()) == {1}, "an activity was finished twice"
    assert set(told) <= ended
    assert len(set(told)) == len(told)
    assert len(set(given)) == len(given)
    for worker in workers:
        assert set(worker.taken) <= set(given)


class Worker(Thread):
    """Takes one task after the other, reports on it and finishes it, whatever dies meanwhile."""

    def __init__(self, life: Life, stop: Event) -> None:
        super().__init__(daemon=True)
        self.taken: list[str] = []
        self.finished: list[str] = []
        self._life = life
        self._stop_event = stop
        self._client = make_client(life)

    def run(self) -> None:
        while not self._stop_event.is_set():
            answer = self._call("poll_for_task", workerGroup=GROUP) or {}
            if "taskObject" in answer:
                self._work(answer["taskObject"]["taskId"])

    def _work(self, task_id: str) -> None:
        self.taken.append(task_id)
        for _ in range(3):
            if self._call("report_task_progress", taskId=task_id) == {}:
                return  # it was lost
        if self._call("set_task_status", taskId=task_id, taskStatus="FINISHED"):
            self.finished.append(task_id)

    def _call(self, name: str, **params: Any) -> dict[str, Any] | None:
        """Return the answer, {} for an error, and `None` if there is none."""
        try:
            answer: dict[str, Any] = getattr(self._client, name)(**params)
        except ClientError:
            return {}
        except BotoCoreError:
            self._stop_event.wait(0.05)
            return None
        return answer
