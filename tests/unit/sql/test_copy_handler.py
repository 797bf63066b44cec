"""What a copy needs beside S3, and that the document says how it fails."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from aiobotocore.session import get_session

import aiodp.sql
from aiodp import Ref, TaskFailed
from aiodp.sql import CopyHandler
from unit.shell.kit import FakeTask, wire_object

if TYPE_CHECKING:
    from aiodp import Task

pytestmark = pytest.mark.anyio

PACKAGE = Path(inspect.getfile(aiodp.sql)).parent
DOCUMENT = (Path(__file__).parents[3] / "docs" / "sql.md").read_text()


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


async def test_tables_need_asyncio_and_the_extra(anyio_backend_name, monkeypatch):
    """The message says which."""
    monkeypatch.setitem(sys.modules, "aiodp.sql._tables", None)
    node = wire_object("In", {"type": "MySqlDataNode", "table": "t"})
    task = FakeTask({"input": Ref("In")}, kind="CopyActivity", nodes=[node])
    with pytest.raises(TaskFailed) as caught:
        await CopyHandler(get_session())(cast("Task", task))
    expected = {
        "asyncio": ("MissingExtra", 'pip install "aiodp[sql]"'),
        "trio": ("LocalFailed", "databases need asyncio"),
    }
    error_id, words = expected[anyio_backend_name]
    assert caught.value.error_id == error_id
    assert words in str(caught.value)


def test_the_document_names_each_way_to_fail():
    """The `errorId` of each failure in the sources is in a row of a table."""
    sources = "".join(path.read_text() for path in PACKAGE.glob("*.py"))
    error_ids = set(re.findall(r'error_id="(\w+)"', sources))
    rows = "".join(re.findall(r"^\| `.*\n", DOCUMENT, re.MULTILINE))
    assert {"BadData", "DatabaseFailed", "MissingExtra", "UnsupportedType"} == error_ids
    assert not [error_id for error_id in error_ids if f"`{error_id}`" not in rows]
