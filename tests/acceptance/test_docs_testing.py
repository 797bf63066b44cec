"""The page about testing, executed, and that the local service needs no configuration."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from markdown_it import MarkdownIt

from acceptance.docs_kit import blocks
from acceptance.plugin_kit import FIXTURES, run
from acceptance.support import ROOT

pytestmark = pytest.mark.usefixtures("project")

FENCES = [
    (token.info, token.content)
    for token in MarkdownIt().parse((ROOT / "docs" / "testing.md").read_text())
    if token.type == "fence"
]
BLOCKS = [content for info, content in FENCES if info == "python"]
ALONE = [block for block in blocks("docs/local-service.md", "python") if "aiodp.testing" in block]


@pytest.mark.slow
@pytest.mark.parametrize("block", ALONE, ids=lambda block: block.splitlines()[-1])
def test_the_service_needs_no_configuration(block, tmp_path):
    """What brings its own service runs on a machine which nobody has configured for AWS."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    files = dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), os.devnull)
    alone = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", block],
        env=bare | files | alone,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_there_is_no_block_of_another_kind():
    """What is no Python is what a test says, and is looked for below."""
    assert {info for info, _ in FENCES} == {"python", "text"}
    assert all(re.match(r"# \w+\.py\n", block) for block in BLOCKS)


@pytest.mark.slow
def test_every_block_of_the_documentation_runs(pytester):
    """The modules and tests of docs/testing.md are a project which passes, warnings included."""
    files = {block[2 : block.index(".py\n")]: block for block in BLOCKS}
    expected = sum(block.count("def test_") for block in BLOCKS)
    assert expected >= 10
    run(pytester, **files).assert_outcomes(passed=expected)


def test_the_message_in_the_documentation_is_real(pytester):
    """What an unfinished run looks like is shown as it is printed."""
    [shown] = [content for info, content in FENCES if info == "text"]
    body = """
        def test_it(aiodp_server, aiodp_client):
            pipeline = aiodp_server.activity("reports")
            task = aiodp_client.poll_for_task(workerGroup="reports", hostname="here")["taskObject"]
            aiodp_client.report_task_progress(taskId=task["taskId"])
            aiodp_server.assert_finished(pipeline)
    """
    result = run(pytester, test_it=body)
    result.assert_outcomes(failed=1)
    for line in shown.splitlines():
        assert f"E       {line}" in result.outlines


def test_the_fixtures_are_in_the_documentation():
    """The table has all of them, and the plugin has all of the table."""
    text = (ROOT / "docs" / "testing.md").read_text()
    rows = [row for row in text.splitlines() if row.startswith("| `aiodp_")]
    named = [name for row in rows for name in re.findall(r"`(aiodp_\w+)`", row.split("|")[1])]
    assert sorted(named) == sorted(FIXTURES)
    defined = re.findall(
        r"^def (aiodp_\w+)\(", (ROOT / "src" / "pytest_aiodp.py").read_text(), re.MULTILINE
    )
    assert sorted(defined) == sorted(FIXTURES)
