"""The architecture, as far as imports show it: a folder imports itself and what is below it.

Imports for type checking count as well: they too say who has to know of whom.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

import aiodp

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(aiodp.__file__).parent
LAYERS = (
    {"_types", "_concurrency", "_process", "_redaction", "_files"},
    {"_core"},
    {"_errors", "_log"},
    {"_aws"},
    {"_reporter"},
    {"_runner"},
    {"__init__"},
    {"shell", "sql", "emulator", "otel"},
    {"testing"},
    {"cli"},
    {"__main__"},
)
"""What is directly in the package, from the bottom to the top."""
EMULATOR = (
    {"_errors", "_clock", "_calendar", "_settings"},
    {"_definition"},
    {"_model"},
    {"_store"},
    {"_server"},
    {"__init__"},
)
"""The same of the package `emulator`."""
PURE = ("_core", "emulator/_definition", "emulator/_model")
IMPURE = {"anyio", "asyncio", "logging", "moto", "os", "pathlib", "random", "socket", "sqlite3"}
IMPURE |= {"time", "werkzeug"}
EXCEPT = {("emulator/_model/ids.py", "random")}
"""Ids are drawn from a generator that is handed in with its seed."""


def module_name(path: Path, root: Path = SOURCE) -> str:
    """Return the name of the module in a file of the package whose folder is `root`."""
    parts = (root.name, *path.relative_to(root).with_suffix("").parts)
    return ".".join(parts).removesuffix(".__init__")


def imports(path: Path, modules: set[str]) -> Iterator[str]:
    """Yield the names which a file imports from; `modules` are the ones of the package itself."""
    for module, name in import_statements(path.read_text()):
        inner = f"{module}.{name}"
        yield inner if inner in modules else module


@cache
def import_statements(text: str) -> list[tuple[str, str]]:
    """Return each module that a text imports, and what of it, or an empty text."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [(node.module, alias.name) for alias in node.names]
    return found


def import_graph(root: Path = SOURCE) -> dict[str, set[str]]:
    """Return what each module of a package imports, from the package and from elsewhere."""
    paths = {module_name(path, root): path for path in root.rglob("*.py")}
    return {name: set(imports(path, set(paths))) - {name} for name, path in paths.items()}


def circle_in(graph: dict[str, set[str]]) -> list[str]:
    """Return the modules of one circle of imports, of which each imports its neighbor."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def upward_imports(
    graph: dict[str, set[str]], layers: tuple[set[str], ...], package: str
) -> list[str]:
    """Return the imports within a package which go to a higher layer, in words."""
    level = {name: number for number, names in enumerate(layers) for name in names}

    def level_of(module: str) -> int:
        return level[f"{module}.__init__".removeprefix(f"{package}.").partition(".")[0]]

    inside = [module for module in graph if module == package or module.startswith(f"{package}.")]
    return [
        f"{module} imports {other}"
        for module in inside
        for other in inside
        if other in graph[module] and level_of(other) > level_of(module)
    ]


def test_imports_point_downwards():
    """A module imports its own folder and the ones below, never one above."""
    graph = import_graph()
    assert upward_imports(graph, LAYERS, "aiodp") == []
    assert upward_imports(graph, EMULATOR, "aiodp.emulator") == []


def test_there_are_no_circles():
    """Whatever a module imports can be understood, and changed, without it."""
    assert circle_in(import_graph()) == []


def test_an_import_that_is_turned_round_is_found(tmp_path):
    """An import from below, though it be for type checking alone, is upwards and makes a circle."""
    package = tmp_path / "made"
    for folder in (".", "low", "high"):
        (package / folder).mkdir(exist_ok=True)
        (package / folder / "__init__.py").touch()
    (package / "low/one.py").write_text("import os\n")
    (package / "high/two.py").write_text("from made.low import one\n")
    layers = ({"low"}, {"high"}, {"__init__"})
    graph = import_graph(package)
    assert graph["made.high.two"] == {"made.low.one"}
    assert circle_in(graph) == upward_imports(graph, layers, "made") == []

    turned = "if TYPE_CHECKING:\n    from made.high.two import Two\n"
    (package / "low/one.py").write_text(turned)
    graph = import_graph(package)
    assert set(circle_in(graph)) == {"made.low.one", "made.high.two"}
    assert upward_imports(graph, layers, "made") == ["made.low.one imports made.high.two"]


def test_the_core_and_the_model_are_pure():
    """They know no clock, no randomness, no logging, no I/O and no event loop."""
    for folder in PURE:
        for path in (SOURCE / folder).rglob("*.py"):
            name = str(path.relative_to(SOURCE))
            roots = {root.partition(".")[0] for root in imports(path, set())}
            assert {root for root in roots & IMPURE if (name, root) not in EXCEPT} == set(), name


def test_asyncio_is_named_in_one_place():
    """Anyio's primitives alone, save for what they do not give."""
    for folder in ("_aws", "_core", "_reporter", "_runner"):
        for path in (SOURCE / folder).rglob("*.py"):
            assert "asyncio" not in set(imports(path, set())), path


def test_importing_the_package_is_light():
    """Neither moto nor the libraries of the command line come with `import aiodp`."""
    heavy = {"moto", "flask", "werkzeug", "click", "rich", "boto3", "trio", "pytest", "sqlalchemy"}
    code = f"import sys, aiodp; print(sorted(({heavy} | {{'opentelemetry'}}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
