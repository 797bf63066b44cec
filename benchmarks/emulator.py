"""How many calls the local service answers over HTTP while it has many open leases.

`python benchmarks/emulator.py` starts an `EmulatorServer` in a process of its own, with the quotas
lifted (the account's limit would be 10 reports a second), assigns the leases, and offers calls at a
fixed rate over kept-alive connections: ReportTaskProgress of one lease after the other. The calls
are offered on time whether earlier ones were answered or not, so a service that falls behind shows
it in the latency. Then it is asked as fast as the same connections can. Both once more with the
service's state in a file. The exit code is 1 if a call failed, a lease was lost, or the rate was
not sustained.
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
_LOSSES: Final = frozenset({"canceled", "reassigned", "lapsed"})
_SERVE: Final = """\
import sys
from aiodp.emulator import EmulatorServer, Settings
with EmulatorServer(settings=Settings(quotas=None), state=sys.argv[1] or None) as server:
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


class Caller:
    """Reports on leases in their turn, over a connection of its own."""

    def __init__(self, endpoint: str, task_ids: Iterator[str], turn: Lock) -> None:
        address = urlsplit(endpoint)
        self._connection = HTTPConnection(address.hostname or "", address.port, timeout=30)
        self._task_ids = task_ids
        self._turn = turn

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def report(self) -> str:
        """Make one call; return what came of it."""
        with self._turn:
            task_id = next(self._task_ids)
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": "DataPipeline.ReportTaskProgress",
        }
        self._connection.request("POST", "/", json.dumps({"taskId": task_id}), headers)
        answer = self._connection.getresponse()
        body = answer.read()
        return "ok" if body == b'{"canceled":false}' else f"{answer.status} {body[:80]!r}"


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
    sustained = paced.rate >= SUSTAINED * arguments.rate
    well = not lost and all(set(figures.outcomes) == {"ok"} for figures in (paced, fastest))
    return sustained and well


def main() -> int:
    """Measure the service in memory, and with its state in a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leases", type=int, default=2000, help="open leases (%(default)s)")
    parser.add_argument("--rate", type=float, default=500, help="calls a second (%(default)s)")
    parser.add_argument("--seconds", type=float, default=30, help="of each round (%(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        states = (None, Path(folder) / "state.sqlite")
        measured = [measure(arguments, state) for state in states]
    return 0 if all(measured) else 1


if __name__ == "__main__":
    sys.exit(main())
