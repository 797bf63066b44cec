"""The site has every page and every public name; `nox -s docs` builds it, strictly."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NAV = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
MODULES = ["aiodp", "aiodp.emulator", "aiodp.otel", "aiodp.shell", "aiodp.sql", "aiodp.testing"]
REFERENCE = re.findall(
    r"^::: (\S+)$",
    "".join(page.read_text() for page in (ROOT / "docs" / "reference").iterdir()),
    re.MULTILINE,
)


def public(name: str) -> list[str]:
    """The names that users may import from a module: `__all__`, or else what it defines."""
    module = import_module(name)
    names = getattr(module, "__all__", None) or [
        key
        for key, value in vars(module).items()
        if not key.startswith("_") and getattr(value, "__module__", None) == name
    ]
    return [f"{name}.{key}" for key in names]


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_in_the_reference(module):
    """Once, under the module from which users import it, and nothing else is."""
    listed = [name for name in REFERENCE if name.rpartition(".")[0] == module]
    assert sorted(listed) == sorted(public(module))


def test_every_fixture_is_in_the_reference():
    """Those that `pytest --fixtures` shows."""
    source = (ROOT / "src" / "pytest_aiodp.py").read_text()
    fixtures = re.findall(r"^@pytest\.fixture\ndef (\w+)", source, re.MULTILINE)
    listed = [name for name in REFERENCE if name.startswith("pytest_aiodp.")]
    assert sorted(listed) == sorted(f"pytest_aiodp.{name}" for name in fixtures)


def test_the_reference_has_no_other_modules():
    """A name of a private module is none that a user may import."""
    assert {name.rpartition(".")[0] for name in REFERENCE} == {*MODULES, "pytest_aiodp"}


def test_every_page_has_its_place_in_the_navigation():
    """A page that only a search finds is read by nobody."""
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in ROOT.glob("docs/**/*.md")}
    examples = {f"examples/{page.name}.md" for page in ROOT.glob("examples/*.py")}
    listed = re.findall(r"[\w./-]+\.md", NAV)
    assert len(listed) == len(set(listed))
    assert pages | examples <= set(listed)


def test_blocks_in_lists_are_indented_as_the_site_needs_it():
    """Python-Markdown takes four spaces for what belongs to an item; code hosts take them, too."""
    for page in ROOT.glob("docs/**/*.md"):
        assert not re.search(r"^ {1,3}```", page.read_text(), re.MULTILINE), page


def test_pictures_are_small_and_shown():
    """Each is on a page, and none makes the repository grow by much."""
    pages = "".join(page.read_text() for page in ROOT.glob("docs/*.md"))
    pictures = list(ROOT.glob("docs/images/*"))
    assert {picture.name for picture in pictures} == set(re.findall(r"\(images/(\S+)\)", pages))
    assert max(picture.stat().st_size for picture in pictures) < 120_000
