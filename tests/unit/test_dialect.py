"""What ruff cannot hold of the house style: one way to write each thing."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

import aiodp

SOURCE = sorted(Path(aiodp.__file__).parent.rglob("*.py"))


def comments(text: str) -> list[str]:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return [token.string for token in tokens if token.type == tokenize.COMMENT]


def assigned_without_final(text: str) -> list[str]:
    """Return the module's constants that are not declared as such; type variables are none."""
    return [
        target.id
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and re.fullmatch(r"_?[A-Z][A-Z0-9_]+", target.id)
    ]


@pytest.mark.parametrize("path", SOURCE, ids=lambda path: path.stem)
def test_there_is_one_way_to_write_it(path):
    """Constants are Final, names stand in single backticks, reasons of noqa follow a dash."""
    text = path.read_text()
    assert assigned_without_final(text) == []
    docstrings = [
        ast.get_docstring(node) or ""
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    assert not [docstring for docstring in docstrings if re.search(r"(?<!`)``(?!`)", docstring)]
    for comment in comments(text):
        assert not re.search(r"noqa: [A-Z0-9, ]+\s+#", comment), comment
