"""What a tracked task costs the reporter: bytes, and coroutines, asyncio tasks and timers.

`python benchmarks/memory.py` prints the figures; its exit code is 1 if a task costs more than it
may. Counted is what the reporter keeps once a task is acknowledged: not the task's id, which its
user brings, nor the user's own coroutine, for the blocks are entered one after the other by hand.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import inspect
import sys
import tracemalloc
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import anyio
from aiobotocore.awsrequest import AioAWSResponse
from aiobotocore.session import get_session
from rich.console import Console

from aiodp import LeaseState, ProgressReporter
from aiodp.testing import VirtualTimeLoop

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest

TASKS: Final = 10_000
MOST_BYTES: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What runs, or waits to run."""

    tasks: int
    timers: int
    coroutines: int

    def minus(self, other: Counts) -> Counts:
        before = asdict(other)
        return Counts(**{name: count - before[name] for name, count in asdict(self).items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What all tracked tasks cost together."""

    held: int
    bytes: int
    counts: Counts


class _Yes(AioAWSResponse):  # type: ignore[misc]  # aiobotocore has no types
    """The service's answer to every report: a whole service beside it would be measured too."""

    def __init__(self, url: str) -> None:
        super().__init__(url, 200, {"x-amzn-requestid": "0"}, None)
        self._content = b'{"canceled": false}'


async def _answer(request: AWSPreparedRequest, **_: Any) -> _Yes:
    return _Yes(request.url)


async def measure(tasks: int) -> Cost:
    """Track as many tasks, let each be reported a few times, and count."""
    session = get_session()
    session.register("before-send.data-pipeline", _answer)
    session.set_credentials("none", "none")
    async with ProgressReporter(session, region_name="us-east-1", quota=None) as reporter:
        async with reporter.track("first"):
            pass  # what is made once, at the first call, is no task's cost
        ids = [f"task {number}" for number in range(tasks)]
        blocks: list[Any] = [None] * tasks
        tracked: list[Any] = [None] * tasks
        before = _counts()
        tracemalloc.start()
        for number, task_id in enumerate(ids):
            blocks[number] = reporter.track(task_id)
            tracked[number] = await blocks[number].__aenter__()
        await anyio.sleep(100)
        gc.collect()
        used, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        counts = _counts().minus(before)
        held = sum(task.state is LeaseState.HELD for task in tracked)
        for block in blocks:
            await block.__aexit__(None, None, None)
    return Cost(held=held, bytes=used, counts=counts)


def _counts() -> Counts:
    gc.collect()
    waiting = sum(inspect.iscoroutine(o) or inspect.isgenerator(o) for o in gc.get_objects())
    timers = sum(isinstance(o, asyncio.TimerHandle) and not o.cancelled() for o in gc.get_objects())
    return Counts(tasks=len(asyncio.all_tasks()), timers=timers, coroutines=waiting)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tasks", type=int, default=TASKS, metavar="N")
    tasks = parser.parse_args().tasks
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        cost = runner.run(measure(tasks))
    bytes_each = cost.bytes / tasks
    cheap = bytes_each <= MOST_BYTES and max(asdict(cost.counts).values()) < tasks / 100
    console = Console()
    console.print(
        f"{cost.held:,} tasks held, {bytes_each:,.0f} bytes each (at most {MOST_BYTES:,})"
    )
    console.print(f"more than before, for all together: {cost.counts}")
    console.print("holds" if cheap and cost.held == tasks else "BROKEN")
    return 0 if cheap and cost.held == tasks else 1


if __name__ == "__main__":
    sys.exit(main())
