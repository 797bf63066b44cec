"""What a report costs if the reporter has a thread of its own, against one in the loop of the work.

`python benchmarks/own_thread.py` holds tasks over HTTP on an `EmulatorServer` in another process,
by turns with `own_thread=True` and without, in several rounds, and counts the CPU time of this
process and its reports. It prints the medians and their ratio. The exit code is 1 if the ratio is
above 1.15, or if a lease was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from statistics import median
from typing import Final

from aiobotocore.session import get_session

from aiodp import ProgressReporter

_SERVE: Final = """\
import sys
from aiodp.emulator import EmulatorServer, Settings
with EmulatorServer(settings=Settings(quotas=None)) as server:
    print(server.endpoint, *server.service().assign(int(sys.argv[1])), flush=True)
    sys.stdin.read()
"""


async def cost(endpoint: str, task_ids: list[str], seconds: float, *, own_thread: bool) -> float:
    """Return the CPU time of a report, in ms."""
    session = get_session()
    session.set_credentials("key", "secret")
    async with (
        ProgressReporter(
            session,
            region_name="us-east-1",
            endpoint_url=endpoint,
            interval=0.25,
            quota=None,
            own_thread=own_thread,
        ) as reporter,
        AsyncExitStack() as stack,
    ):
        tasks = [await stack.enter_async_context(reporter.track(one)) for one in task_ids]
        sent, used = reporter.statistics().sent, time.process_time()
        await asyncio.sleep(seconds)
        used = time.process_time() - used
        sent = reporter.statistics().sent - sent
        if any(task.ended.is_set() for task in tasks):
            raise SystemExit("a lease was lost")
    return 1000 * used / sent


def measure(tasks: int, rounds: int, seconds: float) -> dict[bool, float]:
    """Return the median of the costs, with a thread and without."""
    costs: dict[bool, list[float]] = {False: [], True: []}
    with subprocess.Popen(
        [sys.executable, "-c", _SERVE, str(tasks)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        endpoint, *task_ids = server.stdout.readline().split()
        for number in range(2 * rounds):
            own_thread = number % 4 in (1, 2)  # neither is always the first of the two
            one = asyncio.run(cost(endpoint, task_ids, seconds, own_thread=own_thread))
            costs[own_thread].append(one)
        server.communicate("")
    return {own_thread: median(measured) for own_thread, measured in costs.items()}


def main() -> None:
    """Measure, print, and say whether the promise is kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each round and way")
    parser.add_argument("--max-ratio", type=float, default=1.15)
    given = parser.parse_args()
    costs = measure(given.tasks, given.rounds, given.seconds)
    ratio = costs[True] / costs[False]
    print(
        f"CPU per report: {costs[False]:.3f} ms in the loop of the work, "
        f"{costs[True]:.3f} ms in a thread of its own; ratio {ratio:.2f}"
    )
    print("holds" if ratio <= given.max_ratio else f"above {given.max_ratio}")
    raise SystemExit(ratio > given.max_ratio)


if __name__ == "__main__":
    main()
