"""The architecture, as far as imports show it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import aiodp

SOURCE = Path(aiodp.__file__).parent

LAYERS = {
    0: {"_errors", "_failure", "_fields", "_members", "_objects", "_period", "_timing", "_types"},
    1: {"_bucket", "_demand", "_lease", "_queue", "_schedule"},
    2: {"_backend", "_options", "_questions", "_runner_transport", "_transport"},
    3: {
        *("_engine", "_reporter", "_status", "_task", "_tracking", "_waiting", "_work"),
        *("_assignment", "_handlers", "_poller", "_run", "_runner", "_runner_task", "_shift"),
        *("_shutdown", "_slots", "_workshop"),
    },
    4: {"testing", "emulator", "cli", "otel", "shell"},
}
LAYER_OF = {name: layer for layer, names in LAYERS.items() for name in names}
MODULES = sorted(path for path in SOURCE.glob("_*.py") if path.stem not in {"__init__", "__main__"})


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def type_checking_only(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for inner in ast.walk(node):
                if isinstance(inner, ast.ImportFrom) and inner.module:
                    names.add(inner.module)
    return names


def test_every_module_has_a_layer():
    """A new module must be given a layer here."""
    assert {path.stem for path in MODULES} == {
        name for layer, names in LAYERS.items() if layer < 4 for name in names
    }


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_imports_point_downwards(path):
    """A module imports its own layer and the ones below, never one above."""
    for name in imported(path) - type_checking_only(path):
        if name.startswith("aiodp."):
            below = LAYER_OF[name.split(".")[1]]
            assert below <= LAYER_OF[path.stem], f"{path.stem} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_the_core_is_pure(path):
    """Layers 0 and 1 know no clock, no randomness, no logging, no I/O and no library."""
    if LAYER_OF[path.stem] > 1:
        return
    allowed = {"__future__", "typing", "collections", "collections.abc", "dataclasses", "enum"}
    allowed |= {"contextlib", "traceback", "types"}
    allowed |= {"math", "heapq", "itertools", "re", "datetime", "threading"}
    for name in imported(path):
        assert name in allowed or name.startswith("aiodp."), f"{path.stem} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_asyncio_is_named_in_one_place(path):
    """Anyio's primitives alone, save for what they do not give."""
    if path.stem != "_backend":
        assert "asyncio" not in imported(path)


EMULATOR = SOURCE / "emulator"
OUTER = {
    *("_admin", "_call", "_call_log", "_clock", "_cloudformation", "_http", "_locked", "_moto"),
    *("_outbox", "_outside_moto", "_server", "_store", "_ticker", "_ui"),
}
"""What connects the model of the service with sockets, threads, files, moto and real time."""
MODEL = [
    path
    for path in sorted(EMULATOR.rglob("*.py"))
    if path.relative_to(EMULATOR).parts[0].removesuffix(".py") not in OUTER | {"__init__"}
]


@pytest.mark.parametrize("path", MODEL, ids=lambda path: str(path.relative_to(EMULATOR)))
def test_the_model_of_the_service_is_pure(path):
    """It knows no clock, no I/O, no thread, no logging, and imports nothing of its surroundings."""
    impure = {"time", "logging", "socket", "sqlite3", "os", "pathlib", "moto", "werkzeug", "anyio"}
    for name in imported(path) - type_checking_only(path):
        assert name.partition(".")[0] not in impure, name
        if name.startswith("aiodp.emulator."):
            inner = name.split(".")[2]
            assert inner not in OUTER - {"_clock"}, name


def test_importing_the_package_is_light():
    """Neither moto nor the libraries of the command line come with `import aiodp`."""
    heavy = {"moto", "flask", "werkzeug", "click", "rich", "boto3", "trio", "pytest"}
    code = f"import sys, aiodp; print(sorted(({heavy} | {{'opentelemetry'}}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
