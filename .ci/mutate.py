"""Mutation check: change the code of a folder at random, and see whether a test notices.

    python .ci/mutate.py _core --count 150 --seed 1 --workers 2 --result core.json

Each mutant differs from the source in one place: a comparison, a constant, an operator, a removed
statement and so on. It is tested in a copy of the repository, by the tests that execute the changed
lines, in the order of `SELECTIONS`. A mutant that no test notices is printed as a diff: it shows a
missing test, or a change that makes no difference.
"""

from __future__ import annotations

import argparse
import ast
import collections
import concurrent.futures
import difflib
import json
import os
import queue
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    Done = subprocess.CompletedProcess[str]
    Measured = tuple[dict[str, dict[str, list[str]]], list[str]]

ROOT: Final = Path(__file__).parents[1]
SELECTIONS: Final = {  # in this order, the fastest first
    "_core": [
        "tests/unit/core",
        "tests/unit/reporter",
        "tests/unit/runner",
        "tests/virtual/test_*.py",
    ],
    "_reporter": [
        "tests/unit/reporter",
        "tests/virtual/test_[!r]*.py",
        "tests/virtual/test_run.py",
        "tests/virtual/test_runner_reporter.py",
        "tests/acceptance/test_own_thread.py",
    ],
    "_runner": ["tests/unit/runner", "tests/virtual/test_*.py"],
}
TEST_TIMEOUT: Final = 20  # seconds; mutated code in virtual time may never end
RUN_TIMEOUT: Final = 900
CHOICE: Final = ("-m", "not slow", "-k", "not trio")  # what is fast, on one event loop
PYTEST: Final = ("-m", "pytest", "-q", "-p", "no:cacheprovider", *CHOICE)
SWAPS: Final = (
    "Lt:LtE Lt:GtE LtE:Lt LtE:Gt Gt:GtE Gt:LtE GtE:Gt GtE:Lt Eq:NotEq NotEq:Eq Is:IsNot IsNot:Is "
    "In:NotIn NotIn:In Add:Sub Sub:Add Mult:Div Div:Mult FloorDiv:Mult Mod:Mult Pow:Mult "
    "BitOr:BitAnd BitAnd:BitOr And:Or Or:And"
)
NAMES: Final = {"min": "max", "max": "min", "any": "all", "all": "any"}


class Mutant(NamedTuple):
    """One change: `text` in the place of a part of the statement on the lines `first` to `last`."""

    file: str
    first: int
    last: int
    line: int
    column: int
    end_line: int
    end_column: int
    kind: str
    text: str

    def apply(self, source: str) -> str:
        """Return the changed source. Columns count bytes, as in the syntax tree."""
        lines = source.encode().splitlines(keepends=True)
        before = b"".join(lines[: self.line - 1]) + lines[self.line - 1][: self.column]
        after = lines[self.end_line - 1][self.end_column :] + b"".join(lines[self.end_line :])
        return (before + self.text.encode() + after).decode()


def swapped(op: ast.AST) -> Iterator[Any]:
    """Return the operators that may stand in the place of another."""
    for pair in SWAPS.split():
        before, after = pair.split(":")
        if before == type(op).__name__:
            yield getattr(ast, after)()


def changed(node: Any, **fields: Any) -> Any:
    """Return a copy of a node with other fields."""
    return type(node)(**vars(node) | fields)


def expressions(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Return what may stand in the place of an expression."""
    match node:
        case ast.Compare(ops=[op, *ops]):
            yield from (("comparison", changed(node, ops=[other, *ops])) for other in swapped(op))
        case ast.BoolOp(op=op) | ast.BinOp(op=op):
            yield from (("operator", changed(node, op=other)) for other in swapped(op))
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield "negation", operand
        case ast.Constant(value=bool(value)):
            yield "constant", ast.Constant(not value)
        case ast.Constant(value=int() | float() as value):
            yield "constant", ast.Constant(value + 1)
            yield "constant", ast.Constant(value - 1)
        case ast.Call(func=ast.Name(id=name)) if name in NAMES:
            yield "min/max", changed(node, func=ast.Name(NAMES[name]))
        case ast.Call(args=[first, second, *rest]) if not isinstance(first, ast.Starred):
            yield "arguments", changed(node, args=[second, first, *rest])


def statements(node: ast.AST) -> Iterator[tuple[str, ast.AST, str]]:
    """Return the changes that a statement makes possible: where, and what stands there then."""
    match node:
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
            yield "condition", test, f"(not ({ast.unparse(test)}))"
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield "return", value, "None"
        case ast.AugAssign(op=op):
            yield from (("operator", node, ast.unparse(changed(node, op=o))) for o in swapped(op))
    match node:
        case (
            ast.Expr(value=ast.Call() | ast.Await() | ast.YieldFrom())
            | ast.Assign(targets=[ast.Attribute() | ast.Subscript()])
            | ast.AugAssign()
            | ast.Raise()
            | ast.Delete()
            | ast.Break()
            | ast.Continue()
        ):
            yield "statement", node, "pass"


def parts(node: ast.AST, lines: tuple[int, int]) -> Iterator[tuple[ast.AST, tuple[int, int]]]:
    """Walk over what is executed and can be changed, with the lines of the statement around it."""
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING")) | ast.JoinedStr():
            return
        case ast.Assign(targets=[ast.Name(id="__slots__" | "__all__")]):
            return
        case ast.stmt(lineno=first, end_lineno=int(last)):
            body = getattr(node, "body", [])
            lines = first, max(first, body[0].lineno - 1) if body else last
    yield node, lines
    for name, value in ast.iter_fields(node):
        if name not in {"annotation", "returns", "decorator_list", "bases"}:
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from parts(child, lines)


def mutants(path: Path) -> Iterator[Mutant]:
    """Return all mutants of a file."""
    for node, lines in parts(ast.parse(path.read_text()), (0, 0)):
        changes: list[tuple[str, Any, str]] = list(statements(node))
        changes += [(kind, node, f"({ast.unparse(other)})") for kind, other in expressions(node)]
        for kind, place, text in changes:
            start, end = (place.lineno, place.col_offset), (place.end_lineno, place.end_col_offset)
            yield Mutant(str(path.relative_to(ROOT)), *lines, *start, *end, kind, text)


def run(tree: Path, *arguments: str, timeout: float | None = None) -> Done:
    """Run Python on a copy of the repository."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree / "src"), "COVERAGE_CORE": "ctrace"},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def measured(tree: Path, folder: str, selection: list[str]) -> Measured:
    """Run the tests on the unchanged source.

    Return which of them execute which line of a file, and which fail: those can notice nothing.
    """
    coverage = "--cov-context=test", f"--cov=src/aiodp/{folder}", "--cov-report="
    done = run(tree, *PYTEST, "--tb=no", *coverage, "--cov-fail-under=0", *selection)
    run(tree, "-m", "coverage", "json", "--show-contexts", "--fail-under=0", "-o", "lines.json")
    files = json.loads((tree / "lines.json").read_text())["files"]
    failed = [test.split()[1] for test in done.stdout.splitlines() if test.startswith("FAILED")]
    print(done.stdout.splitlines()[-1], *failed, sep="\n")
    return {name: file["contexts"] for name, file in files.items()}, failed


def chosen_tests(mutant: Mutant, lines: dict[str, list[str]], selection: list[str]) -> list[str]:
    """Return the tests that execute a mutant; all, if an import does."""
    contexts = [lines.get(str(line), []) for line in range(mutant.first, mutant.last + 1)]
    if any("" in context for context in contexts):
        return selection
    tests = {context.rpartition("|")[0] for some in contexts for context in some}
    return [test for path in selection for test in sorted(tests) if test.startswith(path)]


def tested(mutant: Mutant, tests: list[str], tree: Path, number: int) -> dict[str, Any]:
    """Run the tests on a mutant and tell how that ended."""
    path, listed = tree / mutant.file, tree / "tests.txt"
    source = path.read_text()
    path.write_text(mutant.apply(source))
    os.utime(path, (number, number))  # a time of its own, or Python's cache would be believed
    listed.write_text("\n".join(tests))
    result, by = outcome(tree, listed) if tests else ("survived", "")
    path.write_text(source)
    os.utime(path, (0, 0))
    diff = difflib.unified_diff(source.splitlines(), mutant.apply(source).splitlines(), n=1)
    shown = "\n".join(list(diff)[3:])
    return mutant._asdict() | {"result": result, "by": by, "tests": len(tests), "diff": shown}


def outcome(tree: Path, listed: Path) -> tuple[str, str]:
    """Run the listed tests; return the result, and the test that noticed the mutant."""
    try:
        limits = "-x", f"--timeout={TEST_TIMEOUT}", "--timeout-method=thread", "--tb=line"
        done = run(tree, *PYTEST, *limits, f"@{listed}", timeout=RUN_TIMEOUT)
    except subprocess.TimeoutExpired:
        return "timeout", ""
    if done.returncode == 0:
        return "survived", ""
    output = done.stdout.splitlines()
    by = next((line for line in output if line.startswith(("FAILED", "ERROR"))), done.stderr[-200:])
    return "timeout" if "+ Timeout +" in done.stdout + done.stderr else "killed", by


def run_all(sample: list[Mutant], folder: str, workers: int) -> list[dict[str, Any]]:
    """Test the mutants, each worker in a copy of the repository."""
    with tempfile.TemporaryDirectory() as temporary:
        skipped = shutil.ignore_patterns(".*", "__pycache__", "dist", "build")
        copies = [Path(temporary) / str(number) for number in range(workers)]
        for tree in copies:
            shutil.copytree(ROOT, tree, ignore=skipped)
        chosen = (ROOT.glob(pattern) for pattern in SELECTIONS[folder])
        selection = [str(path.relative_to(ROOT)) for found in chosen for path in sorted(found)]
        lines, failed = measured(copies[0], folder, selection)
        ignored = [f"--deselect={test}" for test in failed]
        trees: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for tree in copies:
            trees.put(tree)

        def test(number: int, mutant: Mutant) -> dict[str, Any]:
            tree = trees.get()
            tests = chosen_tests(mutant, lines.get(mutant.file, {}), selection)
            result = tested(mutant, [*tests, *ignored] if tests else [], tree, number)
            trees.put(tree)
            print(
                f"{number} {result['result']}: {mutant.file}:{mutant.line} {mutant.kind}",
                flush=True,
            )
            if result["result"] == "survived":
                print(result["diff"], flush=True)
            return result

        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            return list(pool.map(test, range(1, len(sample) + 1), sample))


def report(results: list[dict[str, str]], possible: int) -> float:
    """Print a table by kind of change; return the share of the mutants that was noticed."""
    counts = collections.Counter((result["kind"], result["result"]) for result in results)
    print(f"\n{'':12}{'killed':>9}{'timeout':>9}{'survived':>9}")
    for kind in sorted({kind for kind, _ in counts}):
        numbers = [counts[kind, ended] for ended in ("killed", "timeout", "survived")]
        print(f"{kind:12}{numbers[0]:9}{numbers[1]:9}{numbers[2]:9}")
    share = 100 * sum(result["result"] != "survived" for result in results) / len(results)
    print(f"{len(results)} of {possible} mutants, {share:.1f} % noticed")
    return share


def main() -> int:
    """Test the mutants and print the table; the exit code is 1 if too many survive."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", choices=SELECTIONS)
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--minimum", type=float, default=95, help="per cent to be noticed")
    parser.add_argument("--result", type=Path, help="where to keep the results, as JSON")
    parser.add_argument("--again", type=Path, help="test only the survivors of these results")
    options = parser.parse_args()
    sources = sorted((ROOT / "src" / "aiodp" / options.folder).rglob("*.py"))
    possible = list(dict.fromkeys(mutant for path in sources for mutant in mutants(path)))
    sample = random.Random(options.seed).sample(possible, min(options.count, len(possible)))
    if options.again:
        past = json.loads(options.again.read_text())
        survivors = [result for result in past if result["result"] == "survived"]
        sample = [Mutant(*(result[name] for name in Mutant._fields)) for result in survivors]
    results = run_all(sample, options.folder, options.workers)
    if options.result:
        options.result.write_text(json.dumps(results, indent=1))
    return int(report(results, len(possible)) < options.minimum)


if __name__ == "__main__":
    sys.exit(main())
