"""How long a report waits while others put, activate and describe the largest definitions.

`python benchmarks/large.py` starts an `EmulatorServer` in a process of its own, with the quotas
lifted, and makes 1,000 reports of one task over HTTP, ten milliseconds apart: first alone, then
while another process goes through definitions which are as large as the service takes, each in
its own way, and through some that it refuses. The exit code is 1 if the slowest report beside them
takes more than 250 ms longer than the slowest without them, if the server has had more than 300 MB
of memory, if a report failed, or if a definition was not answered as it should be.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from itertools import cycle, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from rich.console import Console

from aiodp.emulator import load_definition

if TYPE_CHECKING:
    from collections.abc import Iterator

REPORTS: Final = 1000
GAP: Final = 0.01
MOST_LATER: Final = 0.25
MOST_BYTES: Final = 300e6
_SERVE: Final = """\
import sys
from aiodp.emulator import EmulatorServer, Settings
with EmulatorServer(settings=Settings(quotas=None)) as server:
    print(server.endpoint, server.service().assign()[0], flush=True)
    sys.stdin.read()
"""
_DATE: Final = "#{format(@scheduledStartTime,'YYYY-MM-dd')}"
_LIST: Final = {"id": "myX", "type": "String", "isArray": "true"}
Document = dict[str, Any]


def document(*objects: Document, default: Document | None = None, **values: Any) -> Document:
    """Return a definition on demand."""
    common = {"id": "Default", "scheduleType": "ondemand", "workerGroup": "none"}
    return {
        "objects": [common | (default or {}), *objects],
        "parameters": [_LIST] if values else [],
        "values": values,
    }


def activities(fields: Document | None = None, most: int = 99) -> list[Document]:
    """Return activities which are all the same."""
    usual = {"type": "ShellCommandActivity", "command": "true"}
    return [{"id": f"A{n}"} | usual | (fields or {}) for n in range(most)]


ACCEPTED: Final = {
    "values at every limit": document(*activities({f"my{n}": "x" * 290 for n in range(47)})),
    "inherited values": document(
        *activities({f"mx{n}": "x" for n in range(46)}),
        default={f"my{n}": "x" * 250 for n in range(46)},
    ),
    "expressions everywhere": document(*activities({f"my{n}": f"{_DATE}/x" for n in range(38)})),
    "long expressions": document(
        *({"id": f"B{n}", "my": "#{" + f"{n}+" * 2400 + "1}"} for n in range(2))
    ),
    "lists": document(
        *activities({"my": "#{myX + myX}"}, most=20), myX=[str(n) for n in range(30)]
    ),
    "texts that grow": document(
        *activities({"my": "#{" + "+".join(["x"] * 30) + "}", "x": "y" * 300}, most=6),
    ),
    "references": document(
        *activities(most=50),
        *(
            {"id": f"B{n}", "type": "ShellCommandActivity", "command": "true"}
            | {"dependsOn": [{"ref": f"A{m}"} for m in range(45)]}
            for n in range(49)
        ),
    ),
}
REFUSED: Final = {
    "lists that multiply": document(
        *activities(),
        default={f"my{n:02}": "#{myX}#{myX}#{myX}" for n in range(45)},
        myX=[str(n) for n in range(10)],
    ),
    "fields that double": document(
        default={"f0": "1"}
        | {f"f{n}": "#{" + "+".join([f"f{n - 1}"] * 4) + "}" for n in range(1, 41)}
    ),
    "a chain of parents": document(
        *(
            {"id": f"A{n}", "parent": {"ref": f"A{n - 1}"}} | {f"my{n}_{m}": "x" for m in range(48)}
            for n in range(99)
        )
    ),
}


class Client:
    """Calls of the API over one connection."""

    def __init__(self, endpoint: str) -> None:
        address = urlsplit(endpoint)
        self._connection = HTTPConnection(address.hostname or "", address.port, timeout=60)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def call(self, operation: str, **params: Any) -> Document:
        """Return the answer, which may be an error."""
        headers = {"X-Amz-Target": f"DataPipeline.{operation}"}
        self._connection.request("POST", "/", json.dumps(params), headers)
        answer: Document = json.loads(self._connection.getresponse().read() or b"{}")
        return answer


def disturb(endpoint: str, number: int, stop: Any, wrong: Any) -> None:
    """Go through all definitions again and again until told to stop."""
    with closing(Client(endpoint)) as client:
        turns = enumerate(cycle((ACCEPTED | REFUSED).items()))
        for turn, (name, definition) in takewhile(lambda _: not stop.is_set(), turns):
            made = client.call("CreatePipeline", name=name, uniqueId=f"{number} {turn}")
            fault = go_through(client, made["pipelineId"], definition, taken=name in ACCEPTED)
            if fault:
                wrong.put(f"{name}: {fault}")
            client.call("DeletePipeline", **made)


def go_through(client: Client, pipeline_id: str, definition: Document, *, taken: bool) -> str:
    """Put, activate and describe a definition; return what went wrong."""
    objects, parameters, values = load_definition(json.dumps(definition))
    put = client.call(
        "PutPipelineDefinition",
        pipelineId=pipeline_id,
        pipelineObjects=objects,
        parameterObjects=parameters,
        parameterValues=values,
    )
    if not taken:
        return "" if "is too large" in put.get("message", "") else f"was not refused: {put}"
    activated = client.call("ActivatePipeline", pipelineId=pipeline_id)
    if "__type" in put or "__type" in activated:
        return f"was refused: {put.get('message')} {activated.get('message')}"[:300]
    for sphere in ("COMPONENT", "INSTANCE", "ATTEMPT"):
        ids = client.call("QueryObjects", pipelineId=pipeline_id, sphere=sphere)["ids"]
        for several in (ids[:100], ids[-1:] * 100):
            client.call(
                "DescribeObjects",
                pipelineId=pipeline_id,
                objectIds=several,
                evaluateExpressions=True,
            )
    return ""


def report(client: Client, task_id: str, reports: int) -> list[float]:
    """Report on a task so often; return how long each report took, in seconds, sorted."""
    latencies = []
    for _ in range(reports):
        sent = time.perf_counter()
        answer = client.call("ReportTaskProgress", taskId=task_id)
        latencies.append(time.perf_counter() - sent)
        if answer != {"canceled": False}:
            raise SystemExit(f"a report failed: {answer}")
        time.sleep(GAP)
    return sorted(latencies)


@contextmanager
def served() -> Iterator[tuple[str, str, int]]:
    """Yield the endpoint, a task and the process id of a new server."""
    with subprocess.Popen(
        [sys.executable, "-c", _SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        endpoint, task_id = server.stdout.readline().split()
        yield endpoint, task_id, server.pid
        server.terminate()


def peak(pid: int) -> float:
    """Return the most memory in bytes that a process has had."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return float(line.split()[1]) * 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--others", type=int, default=1, help="how many disturb at once")
    parser.add_argument("--reports", type=int, default=REPORTS)
    parser.add_argument("--later", type=float, default=MOST_LATER, help="seconds that it may cost")
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    stop, wrong = context.Event(), context.Queue()
    console = Console(highlight=False)
    with served() as (endpoint, task_id, pid), closing(Client(endpoint)) as client:
        alone, before = report(client, task_id, options.reports), peak(pid)
        processes = [
            context.Process(target=disturb, args=(endpoint, number, stop, wrong))
            for number in range(options.others)
        ]
        for process in processes:
            process.start()
        time.sleep(2.0)
        beside, after = report(client, task_id, options.reports), peak(pid)
        stop.set()
        faults = {wrong.get() for _ in range(wrong.qsize())}
        for process in processes:
            process.join()
    for name, latencies, memory in (("alone", alone, before), ("beside", beside, after)):
        middle, slowest = 1000 * latencies[len(latencies) // 2], 1000 * latencies[-1]
        console.print(
            f"{name:>7}: half below {middle:.1f} ms, slowest {slowest:.0f} ms,"
            f" memory {memory / 1e6:.0f} MB"
        )
    for fault in sorted(faults):
        console.print(fault)
    kept = beside[-1] - alone[-1] <= options.later and after <= MOST_BYTES and not faults
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
