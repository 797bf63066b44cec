"""docs/troubleshooting.md quotes messages of the code, and no others."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "troubleshooting.md").read_text()
ROWS = [row[1] for row in re.findall(r"^\| (`+) ?(.+?) ?\1 \| .+ \|$", TEXT, re.MULTILINE)]


def written(node: ast.AST) -> str:
    """Return a text of the source, with dots for what is filled in."""
    match node:
        case ast.JoinedStr():
            return "".join(written(part) or "…" for part in node.values)
        case ast.Constant(value=str()):
            return re.sub(r"%[-.\d]*[sdgfr]", "…", str(node.value))
    return ""


@cache
def messages() -> str:
    """All texts of the source, a line each."""
    trees = (ast.parse(path.read_text()) for path in (ROOT / "src").rglob("*.py"))
    return "\n".join(filter(None, (written(node) for tree in trees for node in ast.walk(tree))))


def test_there_is_something_to_check():
    """The expression above finds the rows."""
    assert len(ROWS) > 50
    assert len(ROWS) == len(set(ROWS)) == TEXT.count("\n| `")


@pytest.mark.parametrize("message", ROWS)
def test_the_message_is_one_of_the_code(message):
    """Word for word, but for what is filled in, and an end that is left out."""
    assert message.removesuffix(" …") in messages()
