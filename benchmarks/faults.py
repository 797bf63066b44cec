"""A campaign of faults: seeded runs in virtual time, judged by what the service knows.

`python benchmarks/faults.py --runs 10000` prints how many promises were broken, how much time
passed, and how often each kind of fault happened; its exit code is 1 if a promise was broken. Each
run that broke one is printed with the command that repeats exactly that run and shows its calls.
What a run is made of stands in `tests/campaign`.

`--own-thread` makes runs with `own_thread=True` instead, several at once in real time, over HTTP.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich import box
from rich.console import Console
from rich.table import Table

from aiodp.testing import FaultKind

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from campaign.journal import INVARIANTS
from campaign.own_thread import run_seeds
from campaign.simulation import simulate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from campaign.simulation import Result

CHUNK: Final = 50
AT_ONCE: Final = 25
TOTALS: Final = ("processes", "tasks", "calls")
JUDGED: Final = ("steps of work", "statuses", "cancellations", "leases that ran out")


@dataclass(slots=True)
class Summary:
    """What became of several runs."""

    runs: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[int, list[str]]] = field(default_factory=list)

    def add(self, result: Result) -> None:
        plan = result.plan
        over = "real clients" if plan.clients else "no clients"
        self.runs[f"{plan.form}, {plan.backend}, {over}"] += 1
        self.seconds += result.seconds
        self.counts += result.counts
        if result.violations:
            self.broken.update({violation.invariant for violation in result.violations})
            self.failures.append((plan.seed, [str(violation) for violation in result.violations]))

    def merge(self, other: Summary) -> None:
        self.runs += other.runs
        self.seconds += other.seconds
        self.counts += other.counts
        self.broken += other.broken
        self.failures += other.failures


def run_chunk(seeds: range) -> Summary:
    summary = Summary()
    for seed in seeds:
        summary.add(simulate(seed))
    return summary


def summaries(seeds: range, processes: int) -> Iterator[Summary]:
    chunks = [seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK)]
    if processes == 1:
        yield from map(run_chunk, chunks)
        return
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(run_chunk, chunks)


def show_failure(
    console: Console, seed: int, violations: list[str], *, own_thread: bool = False
) -> None:
    which = ["--own-thread", "--runs", "1", "--seed"] if own_thread else ["--only"]
    command = shlex.join(["python", "benchmarks/faults.py", *which, str(seed)])
    console.print(f"seed {seed}; to repeat it: {command}", style="bold", markup=False)
    for violation in violations[:5]:
        console.print(f"  {violation}", markup=False)


def show_counts(console: Console, heading: str, counts: Counter[str]) -> None:
    table = Table(heading, "", box=box.MARKDOWN)
    for name, count in counts.most_common():
        table.add_row(name.replace("_", " "), f"{count:,}")
    console.print(table)


def show(console: Console, summary: Summary, passed: str, seconds: float) -> None:
    total = summary.runs.total()
    promises = Table("promise", "runs that broke it", box=box.MARKDOWN)
    for name, text in INVARIANTS.items():
        promises.add_row(f"{name}: {text}", f"{summary.broken[name]:,}")
    console.print(promises)
    faults = [kind.value for kind in FaultKind]
    others = summary.counts.keys() - {*faults, *JUDGED, *TOTALS}
    show_counts(console, "runs", summary.runs)
    for heading, names in [
        ("judged", JUDGED),
        ("disturbances", others),
        ("calls changed by a fault", faults),
    ]:
        show_counts(console, heading, Counter({name: summary.counts[name] for name in names}))
    totals = ", ".join(f"{summary.counts[name]:,} {name}" for name in TOTALS)
    console.print(
        f"{total:,} runs, {totals}, {passed} "
        f"in {seconds / 60:,.1f} minutes; {len(summary.failures)} runs broke a promise"
    )


def show_one(console: Console, seed: int) -> int:
    """Run one seed; print its plan, its calls and what it broke."""
    result = simulate(seed)
    for line in [str(result.plan), *result.log, *map(str, result.violations)]:
        console.print(line, markup=False, soft_wrap=True)
    console.print(f"{len(result.log):,} calls and steps, fingerprint {result.fingerprint}")
    return 1 if result.violations else 0


def show_own_thread(console: Console, seeds: range) -> int:
    """Run seeds with `own_thread=True`; print what they broke."""
    started = time.monotonic()
    summary = Summary()
    for result in run_seeds(seeds, AT_ONCE):
        summary.add(result)
    for seed, violations in summary.failures:
        show_failure(console, seed, violations, own_thread=True)
    blocked = summary.counts.pop("blocked milliseconds", 0) / 1000
    passed = f"{summary.seconds:,.0f} seconds, of which loops were blocked for {blocked:,.0f},"
    show(console, summary, passed, time.monotonic() - started)
    return 1 if summary.failures else 0


def arguments() -> Any:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=1000, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the first run")
    parser.add_argument("--only", type=int, metavar="SEED", help="one run, with all its calls")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument("--own-thread", action="store_true", help="in real time, in one process")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    console = Console(width=None if sys.stdout.isatty() else 120)
    if options.only is not None:
        return show_one(console, options.only)
    if options.own_thread:
        return show_own_thread(console, range(options.seed, options.seed + options.runs))
    started = time.monotonic()
    summary = Summary()
    for part in summaries(range(options.seed, options.seed + options.runs), options.processes):
        summary.merge(part)
        for seed, violations in part.failures:
            show_failure(console, seed, violations)
    passed = f"{summary.seconds / 3600:,.0f} virtual hours"
    show(console, summary, passed, time.monotonic() - started)
    return 1 if summary.failures else 0


if __name__ == "__main__":
    sys.exit(main())
