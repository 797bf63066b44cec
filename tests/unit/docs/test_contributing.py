"""CONTRIBUTING.md names what exists: paths, commands, layers."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from unit.test_layers import LAYERS as TESTED
from unit.test_layers import SOURCE

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
README = (ROOT / "README.md").read_text()
[SET_UP] = re.findall(r"^```sh\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
INLINE = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", TEXT)
COMMANDS = [command for code in (*INLINE, *SET_UP.splitlines()) for command in code.split(" && ")]
PROGRAMS = [command for command in COMMANDS if command.startswith(".venv/bin/")]
PATHS = [
    word
    for command in COMMANDS
    for word in shlex.split(command)
    if re.fullmatch(r"(tests|src|docs|\.ci)/[\w./]*|[A-Z]+\.md", word)
]
WHERE = TEXT[TEXT.index("## Where a change belongs") : TEXT.index("The folders are the layers")]
LAYERS = TEXT[TEXT.index("The folders are the layers") : TEXT.index("A\nmodule imports")]


def installed(group: str) -> set[str]:
    """The packages that a dependency group names."""
    names = set()
    for requirement in PROJECT["dependency-groups"][group]:
        if isinstance(requirement, dict):
            names |= installed(requirement["include-group"])
        else:
            names.add(re.split(r"[\[><=]", requirement)[0])
    return names


def test_there_is_something_to_check():
    """The expressions above find what they look for."""
    assert len(PROGRAMS) >= 8
    assert len(PATHS) >= 12
    assert len(LAYERS.split("`")) >= 2 * len(TESTED)


@pytest.mark.parametrize("path", sorted(set(PATHS)))
def test_the_paths_exist(path):
    """Each path of the repository is there."""
    assert (ROOT / path).exists()


@pytest.mark.parametrize("row", [line for line in WHERE.splitlines() if "`" in line])
def test_the_folders_of_the_source_exist(row):
    """The second column names folders of the package."""
    for folder in re.findall(r"`([^`]+)`", row.split("|")[2]):
        assert (ROOT / "src" / "aiodp" / folder).is_dir()


def test_the_layers_are_the_ones_that_are_tested():
    """All folders of the package are named, from the lowest to the highest."""
    names = [name.removesuffix(".py") for name in re.findall(r"`([^`]+)`", LAYERS)]
    levels = [next(i for i, layer in enumerate(TESTED) if name in layer) for name in names]
    assert levels == sorted(levels)
    assert {path.parent.name for path in SOURCE.glob("*/__init__.py")} <= set(names)


@pytest.mark.parametrize("command", PROGRAMS)
def test_the_programs_are_installed(command):
    """What is called is in the dependency group `dev`, and its plugins as well."""
    program, *arguments = shlex.split(command)
    assert Path(program).name in installed("dev") | {"pip"}
    needed = {"--cov": "pytest-cov", "-n": "pytest-xdist"}
    assert {needed[argument] for argument in arguments if argument in needed} <= installed("dev")


def test_the_fast_tests_are_chosen_by_a_marker_that_exists():
    """`-m "not slow"` leaves something out."""
    assert 'pytest -q -n 6 --dist loadfile -m "not slow"' in TEXT
    markers = PROJECT["tool"]["pytest"]["ini_options"]["markers"]
    assert any(marker.startswith("slow:") for marker in markers)


def test_the_set_up_is_the_one_of_the_readme():
    """The environment is made as the README's second command makes it, which CI runs."""
    make, install, _ = SET_UP.splitlines()
    assert f"{make} && {install} && .venv/bin/pytest " in README


def test_continuous_integration_runs_the_checks():
    """`.ci/run` has each check of the table, as it stands there, but for what mends files."""
    script = (ROOT / ".ci" / "run").read_text()
    for check in ("style", "types", "branch coverage"):
        [row] = re.findall(rf"^\| {check} \| `(.*)` \|$", TEXT, re.MULTILINE)
        for command in row.replace("ruff format", "ruff format --check").split(" && "):
            assert command in script
