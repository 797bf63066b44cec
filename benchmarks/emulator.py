"""How many calls the local service answers over HTTP while it has many open leases.

`python benchmarks/emulator.py` starts an `EmulatorServer` in a process of its own, with the quotas
lifted (the account's limit would be 10 reports a second), assigns the leases, and offers calls at a
fixed rate over kept-alive connections: ReportTaskProgress of one lease after the other. The calls
are offered on time whether earlier ones were answered or not, so a service that falls behind shows
it in the latency. Then it is asked as fast as the same connections can. Both once more with the
service's state in a file.

Then one connection asks for what must not depend on the past: it activates a pipeline whose
Schedule began ten years ago, lists 20,000 instances by a selector, page by page, and activates a
pipeline on demand 10,000 times, with the work of each run done.

The exit code is 1 if a call failed, a lease was lost, the rate was not sustained, the listing took
more than 5 s, or the last page or activation took more than 1.5 times as long as the first.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from itertools import cycle
from pathlib import Path
from statistics import median
from threading import Lock
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONNECTIONS: Final = 16
SUSTAINED: Final = 0.99
"""Share of the offered calls which must be answered in the time in which they were offered."""
ENOUGH: Final = 5.0
"""Seconds of a round; of a shorter one nothing can be said."""
MAX_LISTING: Final = 5.0
MAX_GROWTH: Final = 1.5
"""How much longer the last page and the last activation may take than the first."""
_LOSSES: Final = frozenset({"canceled", "reassigned", "lapsed"})
_SERVE: Final = """\
import sys
from aiodp.emulator import EmulatorServer, Settings
settings = Settings(quotas=None, max_backfill=None, instance_interval=0.0)
with EmulatorServer(settings=settings, state=sys.argv[1] or None) as server:
    print(server.endpoint, flush=True)
    sys.stdin.read()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one round measured: latencies in seconds, sorted, and how long all of it took."""

    latencies: list[float]
    outcomes: Counter[str]
    seconds: float

    @property
    def rate(self) -> float:
        """Calls answered per second."""
        return len(self.latencies) / self.seconds

    def latency(self, share: float) -> float:
        """Return the latency in ms below which this share of the calls were."""
        return 1000 * self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))]


class Client:
    """Calls operations, over a connection of its own."""

    def __init__(self, endpoint: str) -> None:
        address = urlsplit(endpoint)
        self._connection = HTTPConnection(address.hostname or "", address.port, timeout=30)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def send(self, operation: str, **params: Any) -> tuple[int, bytes]:
        """Make a call; return the status and the body of its answer."""
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"DataPipeline.{operation}",
        }
        self._connection.request("POST", "/", json.dumps(params), headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def call(self, operation: str, **params: Any) -> dict[str, Any]:
        """Make a call which must succeed; return its answer."""
        status, body = self.send(operation, **params)
        if status != 200:
            raise RuntimeError(f"{operation}: {body!r}")
        return dict(json.loads(body or b"{}"))

    def put(self, name: str, **objects: dict[str, str]) -> str:
        """Make a pipeline with a definition; return its id."""
        pipeline_id = self.call("CreatePipeline", name=name, uniqueId=name)["pipelineId"]
        wire = [
            {"id": key, "name": key, "fields": [_field(*item) for item in fields.items()]}
            for key, fields in objects.items()
        ]
        self.call("PutPipelineDefinition", pipelineId=pipeline_id, pipelineObjects=wire)
        return str(pipeline_id)


def _field(key: str, value: str) -> dict[str, str]:
    return {"key": key, "refValue" if key == "schedule" else "stringValue": value}


class Caller(Client):
    """Reports on leases in their turn."""

    def __init__(self, endpoint: str, task_ids: Iterator[str], turn: Lock) -> None:
        super().__init__(endpoint)
        self._task_ids = task_ids
        self._turn = turn

    def report(self) -> str:
        """Make one call; return what came of it."""
        with self._turn:
            task_id = next(self._task_ids)
        status, body = self.send("ReportTaskProgress", taskId=task_id)
        return "ok" if body == b'{"canceled":false}' else f"{status} {body[:80]!r}"


def call(callers: list[Caller], count: int, due: Callable[[int], float]) -> Figures:
    """Make so many calls, the nth not before its time; latency counts from that time."""
    number, turn = iter(range(count)), Lock()
    latencies: list[float] = []
    outcomes: Counter[str] = Counter()
    start = time.perf_counter()

    def work(caller: Caller) -> None:
        while True:
            with turn:
                n = next(number, None)
            if n is None:
                return
            wait = start + due(n) - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
            sent = start + due(n) if due(n) else time.perf_counter()
            outcome = caller.report()
            with turn:
                latencies.append(time.perf_counter() - sent)
                outcomes[outcome] += 1

    with ThreadPoolExecutor(len(callers)) as pool:
        for done in [pool.submit(work, caller) for caller in callers]:
            done.result()
    seconds = time.perf_counter() - start
    return Figures(latencies=sorted(latencies), outcomes=outcomes, seconds=seconds)


@contextmanager
def service(state: Path | None) -> Iterator[str]:
    """Serve in another process; gives its endpoint."""
    command = [sys.executable, "-c", _SERVE, str(state or "")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield (process.stdout.readline() if process.stdout else "").strip()
        process.communicate("stop")


def control(endpoint: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """Ask the service's control, and return the answer."""
    data = None if body is None else json.dumps(body).encode()
    request = Request(f"{endpoint}/aiodp-api/{path}", data, {"Content-Type": "application/json"})
    with urlopen(request, timeout=60) as answer:
        return json.load(answer)


def lost_leases(endpoint: str) -> list[str]:
    """Return the ids of the tasks which the service took from their owner."""
    lost: list[str] = []
    since = 0
    while (page := control(endpoint, f"audit?since={since}"))["events"]:
        since = page["next"]
        lost += [event["taskId"] for event in page["events"] if event["kind"] in _LOSSES]
    return lost


def measure(arguments: argparse.Namespace, state: Path | None) -> bool:
    """Run both rounds, print them, and return whether all was as it must be."""
    console = Console(highlight=False, soft_wrap=True)
    with service(state) as endpoint:
        task_ids = control(endpoint, "assign", {"count": arguments.leases})["taskIds"]
        turns, lock = cycle(task_ids), Lock()
        callers = [Caller(endpoint, turns, lock) for _ in range(CONNECTIONS)]
        call(callers, arguments.leases, lambda _: 0.0)  # the acknowledgements
        count = int(arguments.rate * arguments.seconds)
        paced = call(callers, count, lambda n: n / arguments.rate)
        fastest = call(callers, count, lambda _: 0.0)
        lost = lost_leases(endpoint)
        for caller in callers:
            caller.close()
    kind = "state in a file" if state else "in memory"
    for name, figures in (("offered at a rate", paced), ("as fast as can be", fastest)):
        console.print(
            f"{kind:<16} {name:<18} {figures.rate:>7,.0f} calls/s   median "
            f"{figures.latency(0.5):6.1f} ms   99 % {figures.latency(0.99):7.1f} ms",
            dict(figures.outcomes),
        )
    sustained = arguments.seconds < ENOUGH or paced.rate >= SUSTAINED * arguments.rate
    well = not lost and all(set(figures.outcomes) == {"ok"} for figures in (paced, fastest))
    return sustained and well


def timed(work: Callable[[], Any]) -> float:
    """Return how many seconds something takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def growth(seconds: list[float]) -> float:
    """Return how much longer the last tenth took than the first, by their medians."""
    part = max(1, len(seconds) // 10)
    return median(seconds[-part:]) / median(seconds[:part])


def is_flat(seconds: list[float]) -> bool:
    """Return whether the last took no longer than they may; of a few nothing can be said."""
    return len(seconds) < 100 or growth(seconds) <= MAX_GROWTH


def list_instances(client: Client, pipeline_id: str, count: int) -> list[float]:
    """List so many instances by a selector; return the seconds of each page."""
    operator = {"type": "GE", "values": ["2000-01-01T00:00:00"]}
    selectors = [{"fieldName": "@scheduledStartTime", "operator": operator}]
    asked = {"pipelineId": pipeline_id, "sphere": "INSTANCE", "query": {"selectors": selectors}}
    pages, found = [], 0
    page: dict[str, Any] = {}
    while found < count:
        start = time.perf_counter()
        page = client.call("QueryObjects", **asked, marker=page.get("marker"))
        pages.append(time.perf_counter() - start)
        found += len(page["ids"])
    return pages


def activate(client: Client, count: int) -> list[float]:
    """Activate a pipeline on demand so often, and do its work; return the seconds of each call."""
    pipeline_id = client.put(
        "on demand",
        Default={"scheduleType": "ondemand", "workerGroup": "on demand"},
        A={"type": "ShellCommandActivity", "command": "true"},
    )
    seconds = []
    for _ in range(count):
        seconds.append(timed(lambda: client.call("ActivatePipeline", pipelineId=pipeline_id)))
        task = client.call("PollForTask", workerGroup="on demand")["taskObject"]
        client.call("SetTaskStatus", taskId=task["taskId"], taskStatus="FINISHED")
    return seconds


def measure_history(instances: int, activations: int) -> bool:
    """Measure what must not depend on the past, print it, and return whether it does not."""
    console = Console(highlight=False, soft_wrap=True)
    with service(None) as endpoint:
        client = Client(endpoint)
        pipeline_id = client.put(
            "years",
            S={"type": "Schedule", "period": "15 minutes", "startDateTime": "2016-01-01T00:00:00"},
            A={"type": "ShellCommandActivity", "command": "true", "workerGroup": "years"}
            | {"schedule": "S"},
        )
        first = timed(lambda: client.call("ActivatePipeline", pipelineId=pipeline_id))
        console.print(f"ten years of quarters of an hour are activated in {first:.2f} s")
        pages = list_instances(client, pipeline_id, instances)
        client.call("DeletePipeline", pipelineId=pipeline_id)
        console.print(
            f"{instances:,} instances are listed in {sum(pages):.2f} s; the last pages take "
            f"{growth(pages):.2f} times as long as the first"
        )
        seconds = activate(client, activations)
        console.print(
            f"{activations:,} activations on demand, median {1000 * median(seconds):.2f} ms; the "
            f"last take {growth(seconds):.2f} times as long as the first"
        )
        client.close()
    return sum(pages) <= MAX_LISTING and is_flat(pages) and is_flat(seconds)


def main() -> int:
    """Measure the service in memory, and with its state in a file; then what history costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leases", type=int, default=2000, help="open leases (%(default)s)")
    parser.add_argument("--rate", type=float, default=500, help="calls a second (%(default)s)")
    parser.add_argument("--seconds", type=float, default=30, help="of each round (%(default)s)")
    parser.add_argument("--instances", type=int, default=20_000, help="to list (%(default)s)")
    parser.add_argument("--activations", type=int, default=10_000, help="0: no history")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        states = (None, Path(folder) / "state.sqlite")
        measured = [measure(arguments, state) for state in states]
    if arguments.activations:
        measured.append(measure_history(arguments.instances, arguments.activations))
    return 0 if all(measured) else 1


if __name__ == "__main__":
    sys.exit(main())
