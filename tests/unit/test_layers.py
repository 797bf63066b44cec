"""The architecture, as far as imports show it: a folder imports itself and what is below it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import aiodp

SOURCE = Path(aiodp.__file__).parent

LEVELS = {
    "_types": 0,
    "_concurrency": 0,
    "_process": 0,
    "_core": 1,
    "_errors": 2,
    "_aws": 3,
    "_reporter": 4,
    "_runner": 5,
    "shell": 6,
    "emulator": 6,
    "otel": 6,
    "testing": 7,
    "cli": 8,
}
PURE = ("_core", "emulator/_definition", "emulator/_model")
IMPURE = {"anyio", "asyncio", "logging", "moto", "os", "pathlib", "random", "socket", "sqlite3"}
IMPURE |= {"time", "werkzeug"}
EXCEPT = {("emulator/_model/ids.py", "random")}
"""Ids are drawn from a generator that is handed in with its seed."""
MODULES = sorted(SOURCE.rglob("*.py"))


def name_of(path: Path) -> str:
    return str(path.relative_to(SOURCE))


def imported(path: Path) -> set[str]:
    """Return the modules that a module imports, for type checking as well."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def level(name: str) -> int | None:
    return LEVELS.get(name.removesuffix(".py"))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_downwards(path):
    """A module imports its own folder and the ones below, never one above."""
    own = path.relative_to(SOURCE).parts[0]
    for name in imported(path):
        if name.startswith("aiodp.") and level(own) is not None:
            other = name.split(".")[1]
            below = other == own.removesuffix(".py") or (level(other) or 0) <= (level(own) or 0)
            assert below, f"{name_of(path)} imports {name}"


@pytest.mark.parametrize("folder", PURE)
def test_the_core_and_the_model_are_pure(folder):
    """They know no clock, no randomness, no logging, no I/O and no event loop."""
    for path in (SOURCE / folder).rglob("*.py"):
        for name in imported(path):
            pure = name.partition(".")[0] not in IMPURE or (name_of(path), name) in EXCEPT
            assert pure, f"{name_of(path)} imports {name}"


def test_asyncio_is_named_in_one_place():
    """Anyio's primitives alone, save for what they do not give."""
    for folder in ("_aws", "_core", "_reporter", "_runner"):
        for path in (SOURCE / folder).rglob("*.py"):
            assert "asyncio" not in imported(path), name_of(path)


def test_importing_the_package_is_light():
    """Neither moto nor the libraries of the command line come with `import aiodp`."""
    heavy = {"moto", "flask", "werkzeug", "click", "rich", "boto3", "trio", "pytest"}
    code = f"import sys, aiodp; print(sorted(({heavy} | {{'opentelemetry'}}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
