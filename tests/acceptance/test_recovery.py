"""What goes wrong around a runner costs no lease: `aiodp run` and a program, each in its process.

The service is faster than its clocks say, and so is each trouble: its minutes are the service's.
"""

from __future__ import annotations

import json
import signal
import socket
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

import pytest

from acceptance.fake_aws import Gate, metadata_at, running
from acceptance.support import CREDENTIALS, kept_environment
from aiodp.emulator import AuditKind, EmulatorServer, Fault, FaultKind, load_definition

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from acceptance.commands import Command, Commands

pytestmark = pytest.mark.slow

SCALE: Final = 20
LEASE: Final = 300.0
COMMAND: Final = "command"
PROGRAM: Final = "program"
FORMS: Final = (COMMAND, PROGRAM)
"""The worker groups: that of `aiodp run`, and that of a program that uses the library."""
TOO_LONG: Final = 60.0
"""Seconds, for what comes much sooner on any machine."""
LOST: Final = (AuditKind.LAPSED, AuditKind.REASSIGNED)

HANDLERS: Final = """
import asyncio, pathlib, socket, time
import anyio
from aiodp._aws import addresses

addresses._FRESH = 0.0  # each connection asks for addresses
look_up_really = socket.getaddrinfo

def exists(name):
    return pathlib.Path(name).exists()

def look_up(host, port, *args, **options):
    if host == "pipelines":
        if exists("down"):
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        host = "127.0.0.1"
    return look_up_really(host, port, *args, **options)

socket.getaddrinfo = look_up

async def wait(task):
    pathlib.Path("begun").touch()
    try:
        while not exists("go"):
            await anyio.sleep(0.05)
    except asyncio.CancelledError:
        pathlib.Path("interrupted").touch()
        raise

def block():
    while not exists("go"):
        time.sleep(0.05)

async def fill_threads(task):
    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(asyncio.to_thread(block))
        pathlib.Path("begun").touch()
"""

RUNNER: Final = """
import logging, sys
import anyio
from aiobotocore.session import get_session
from aiodp import TaskRunner
from aiodp.testing import scaled

sys.path.insert(0, ".")
import handlers

group, scale, name, count = sys.argv[1:]
logging.basicConfig(level=logging.INFO)
runner = TaskRunner(
    get_session(),
    worker_group=group,
    handler=getattr(handlers, name),
    max_concurrency=1,
    check_access=False,  # the metadata of the machine may come later
    **scaled(float(scale)),
)

async def main():
    await runner.run(max_tasks=int(count))

anyio.run(main)
"""


class Side:
    """One of the two processes, in a directory of its own."""

    def __init__(self, form: str, place: Path) -> None:
        self.form = form
        self.place = place / form
        self.place.mkdir()
        self.process: Command
        (self.place / "handlers.py").write_text(HANDLERS)
        (self.place / "program.py").write_text(RUNNER)

    def start(
        self, commands: Commands, handler: str, count: int, scale: float, env: dict[str, str]
    ) -> None:
        arguments: dict[str, list[Any]] = {
            COMMAND: ["run", "--handler", f"handlers:{handler}", "--max-tasks", count],
            PROGRAM: [PROGRAM, scale, handler, count],
        }
        script = self.place / "program.py" if self.form == PROGRAM else None
        with (self.place / "log").open("w") as log:
            self.process = commands.start(
                *arguments[self.form],
                script=script,
                cwd=self.place,
                env=env | {"HOME": str(self.place)},
                stdout=log.fileno(),
                stderr=log.fileno(),
            )

    def is_started(self) -> bool:
        return hasattr(self, "process")

    @property
    def log(self) -> str:
        return (self.place / "log").read_text()

    def says(self, text: str) -> bool:
        return text in self.log

    def has(self, name: str) -> bool:
        return (self.place / name).exists()

    def touch(self, name: str) -> None:
        (self.place / name).touch()


class Scene:
    """A service, and both runners at work on it."""

    def __init__(self, commands: Commands, place: Path, scale: float) -> None:
        self.place = place
        self.scale = scale
        self.server = EmulatorServer(time_scale=scale)
        self.sides = [Side(form, place) for form in FORMS]
        self._commands = commands

    def __enter__(self) -> Self:
        self.server.start()
        self.service = self.server.service()
        return self

    def __exit__(self, _: object, error: BaseException | None, *__: object) -> None:
        for side in filter(Side.is_started, self.sides):
            side.process.kill()
            with side.process:
                if error is not None:
                    error.add_note(f"the {side.form} has said:\n{side.log}")
        self.server.stop()

    def start(
        self,
        environment: Callable[[Side], dict[str, str]],
        *,
        handler: str = "wait",
        count: int = 1,
    ) -> None:
        """Start both, each with tasks for it."""
        for side in self.sides:
            for number in range(count):
                self._activate(side.form, f"{side.form}-{number}")
            env = {
                "AIODP_RUN_WORKER_GROUP": side.form,
                "AIODP_RUN_TASKS": "1",
                "AIODP_RUN_TIME_SCALE": str(self.scale),
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_ENDPOINT_URL": self.server.endpoint,
            }
            env = kept_environment() | env | environment(side)
            side.start(self._commands, handler, count, self.scale, env)

    def until(self, condition: Callable[[Side], object]) -> None:
        """Return once this is so on both sides."""
        deadline = time.monotonic() + TOO_LONG
        for side in self.sides:
            while not condition(side):
                assert time.monotonic() < deadline, f"never on the side of the {side.form}"
                time.sleep(0.02)

    def pass_time(self, seconds: float) -> None:
        """Let the trouble last for so many seconds of the service."""
        end = self.service.now + seconds
        while self.service.now < end:
            time.sleep(0.02)

    def touch(self, name: str) -> None:
        for side in self.sides:
            side.touch(name)

    def events(self, side: Side, *kinds: AuditKind) -> list[Any]:
        """Return the service's records of one side."""
        audit = list(self.service.audit)
        return [one for one in audit if one.worker_group == side.form and one.kind in kinds]

    def reports(self, side: Side) -> int:
        return len(self.events(side, AuditKind.ACKNOWLEDGED, AuditKind.PROGRESS))

    def finish(self) -> None:
        """Let the work end, and both processes; no lease was lost."""
        self.touch("go")
        for side in self.sides:
            assert side.process.wait(TOO_LONG) == 0
            assert self.events(side, *LOST) == []
            assert [one.detail for one in self.events(side, AuditKind.STATUS)] == ["FINISHED"]

    def _activate(self, group: str, name: str) -> None:
        activity = {"type": "ShellCommandActivity", "command": "true", "workerGroup": group}
        fields = {"id": "Work", "scheduleType": "ondemand", "maximumRetries": "0", **activity}
        objects, _, _ = load_definition(json.dumps({"objects": [fields]}))
        made = self.service.perform("CreatePipeline", name=name, uniqueId=name)
        put = self.service.perform("PutPipelineDefinition", pipelineObjects=objects, **made)
        assert not put["errored"], put
        self.service.perform("ActivatePipeline", **made)


def metadata_that_come_a_minute_late(scene: Scene) -> None:
    """Nobody listens there for a minute after the start; then the first task is taken."""
    nowhere = str(scene.place / "none")
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen yet: a connection is refused
        machine = {
            "AWS_CONFIG_FILE": nowhere,
            "AWS_SHARED_CREDENTIALS_FILE": nowhere,
            "AWS_EC2_METADATA_DISABLED": "false",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{bound.getsockname()[1]}",
        }
        scene.start(lambda _: machine)
        scene.touch("go")
        scene.until(lambda side: side.says("credentials"))
        scene.pass_time(60)
        came_at = scene.service.now
        with metadata_at(bound):
            scene.finish()
    for side in scene.sides:
        [given] = scene.events(side, AuditKind.ASSIGNED)
        assert given.at - came_at < LEASE


def keys_that_are_rotated_in_the_file(scene: Scene) -> None:
    """The old ones are refused; for a minute the file has no others."""

    def write(side: Side, key: str) -> Path:
        file = side.place / "credentials"
        text = f"[default]\naws_access_key_id = {key}-{side.form}\naws_secret_access_key = secret\n"
        file.write_text(text)
        return file

    with running(Gate(scene.server.endpoint)) as gate:
        gate.known = {f"old-{form}" for form in FORMS}
        scene.start(
            lambda side: {
                "AWS_ENDPOINT_URL": gate.endpoint,
                "AWS_SHARED_CREDENTIALS_FILE": str(write(side, "old")),
                "AWS_CONFIG_FILE": str(side.place / "none"),
            }
        )
        scene.until(lambda side: side.has("begun"))
        gate.known = {f"new-{form}" for form in FORMS}
        scene.until(lambda side: f"old-{side.form}" in gate.refused)
        scene.pass_time(60)
        for side in scene.sides:
            write(side, "new")
        scene.until(lambda side: f"new-{side.form}" in gate.taken)
        scene.finish()
    for side in scene.sides:
        assert side.says("credentials were refused; others were found")


PROCESS: Final = """#!/bin/sh
key=first at=$(date -u -d '+3 seconds' +%Y-%m-%dT%H:%M:%SZ)
if [ -e "$HOME/slow" ]; then
    echo >>"$HOME/started"
    sleep {seconds}
    key=second at=2099-01-01T00:00:00Z
fi
echo '{{"Version": 1, "AccessKeyId": "'$key-$1'", "SecretAccessKey": "secret",
    "SessionToken": "token", "Expiration": "'$at'"}}'
"""


def a_credential_process_of_half_a_minute(scene: Scene) -> None:
    """It begins while the work goes on; the credentials that are there run out before its end.

    It takes as long as three attempts to report, which last for half a minute at this scale. None
    of them begins it again.
    """
    script = scene.place / "process"
    script.write_text(PROCESS.format(seconds=90 / SCALE))
    script.chmod(0o700)

    def environment(side: Side) -> dict[str, str]:
        config = side.place / "config"
        config.write_text(f"[default]\ncredential_process = {script} {side.form}\n")
        return {
            "AWS_ENDPOINT_URL": gate.endpoint,
            "AWS_CONFIG_FILE": str(config),
            "AWS_SHARED_CREDENTIALS_FILE": str(side.place / "none"),
        }

    with running(Gate(scene.server.endpoint)) as gate:
        gate.known = {f"{key}-{form}" for key in ("first", "second") for form in FORMS}
        scene.start(environment)
        scene.until(lambda side: side.has("begun"))
        scene.touch("slow")
        scene.until(lambda side: f"second-{side.form}" in gate.taken)
        scene.finish()
    for side in scene.sides:
        assert (side.place / "started").read_text() == "\n"


def by_name(scene: Scene, name: str) -> dict[str, str]:
    port = urlsplit(scene.server.endpoint).port
    return CREDENTIALS | {"AWS_ENDPOINT_URL": f"http://{name}:{port}"}


def break_connections(scene: Scene) -> None:
    """Let the next two reports of each side need a new connection."""
    for side in scene.sides:
        tasks = frozenset(one.task_id for one in scene.events(side, AuditKind.ASSIGNED))
        scene.service.faults.add(Fault(kind=FaultKind.RESET, tasks=tasks, count=2))


def a_name_server_that_is_down_for_two_minutes(scene: Scene) -> None:
    """At the start, when nothing can be done; and in the middle, when old addresses serve."""
    scene.touch("down")
    scene.start(lambda _: by_name(scene, "pipelines"))
    scene.until(lambda side: side.says("Temporary failure in name resolution"))
    for side in scene.sides:
        (side.place / "down").unlink()
    came_at = scene.service.now
    scene.until(lambda side: side.has("begun"))
    scene.touch("down")
    break_connections(scene)
    before = {side.form: scene.reports(side) for side in scene.sides}
    scene.pass_time(120)
    scene.until(lambda side: scene.reports(side) > before[side.form])
    scene.until(lambda side: side.says("the address of pipelines cannot be looked up"))
    for side in scene.sides:
        (side.place / "down").unlink()
    scene.finish()
    for side in scene.sides:
        [given] = scene.events(side, AuditKind.ASSIGNED)
        assert given.at - came_at < LEASE


def twenty_calls_that_block_their_threads(scene: Scene) -> None:
    """Heartbeats go on, over connections that have to be made anew."""
    scene.start(lambda _: by_name(scene, "localhost"), handler="fill_threads")
    scene.until(lambda side: side.has("begun"))
    break_connections(scene)
    before = {side.form: scene.reports(side) for side in scene.sides}
    scene.until(lambda side: scene.reports(side) >= before[side.form] + 2)
    scene.finish()


def a_suspension_of_ten_minutes(scene: Scene) -> None:
    """What was in hand is lost, and interrupted at once; other tasks are taken and finished."""
    scene.start(lambda _: CREDENTIALS, count=4)
    scene.until(lambda side: side.has("begun"))
    for side in scene.sides:
        side.process.send_signal(signal.SIGSTOP)
    scene.pass_time(600)
    woke_at = scene.service.now
    for side in scene.sides:
        side.process.send_signal(signal.SIGCONT)
    scene.until(lambda side: side.has("interrupted"))
    scene.touch("go")
    for side in scene.sides:
        side.process.wait(TOO_LONG)
        assert side.says("the process was stopped")
        given = [one.at for one in scene.events(side, AuditKind.ASSIGNED) if one.at > woke_at]
        assert given[0] < woke_at + LEASE
        assert "FINISHED" in [one.detail for one in scene.events(side, AuditKind.STATUS)]
    scene.service.audit.assert_single_owner()


STORIES: Final[dict[Callable[[Scene], None], float]] = {
    metadata_that_come_a_minute_late: SCALE,
    keys_that_are_rotated_in_the_file: SCALE,
    a_credential_process_of_half_a_minute: SCALE,
    a_name_server_that_is_down_for_two_minutes: SCALE,
    twenty_calls_that_block_their_threads: SCALE,
    a_suspension_of_ten_minutes: 60,
}
"""Each with the seconds of the service that pass in one."""


@pytest.fixture(scope="module")
def ends(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> dict[Any, Future[None]]:
    """How each story ends; all at once, for what each does is to wait."""

    def run(story: Callable[[Scene], None], scale: float) -> None:
        with Scene(commands, tmp_path_factory.mktemp("scene"), scale) as scene:
            story(scene)

    with ThreadPoolExecutor(len(STORIES)) as threads:
        return {story: threads.submit(run, story, scale) for story, scale in STORIES.items()}


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_no_lease_is_lost_by(ends, story):
    """What its docstring says."""
    ends[story].result()
