"""The tutorial, done by a reader who copies its blocks, and the program about logging."""

from __future__ import annotations

import subprocess
import sys

import pytest

from acceptance.docs_kit import blocks
from acceptance.support import kept_environment

PYTHON = blocks("docs/tutorial.md", "python")
[DEFINITION] = blocks("docs/tutorial.md", "json")
[PRINTED] = blocks("docs/tutorial.md", "text")
_, VALIDATE, SERVE, WORK, _, _ = blocks("docs/tutorial.md", "sh")
[LOGGING] = blocks("docs/observing.md", "python")
PORT = "5005"
OWN = ["-p", "no:cacheprovider", "-o", "asyncio_default_fixture_loop_scope=function"]


@pytest.fixture
def folder(tmp_path):
    """What the reader has saved."""
    (tmp_path / "pipeline.json").write_text(DEFINITION)
    for block in PYTHON:
        (tmp_path / block[2 : block.index("\n")]).write_text(block)
    return tmp_path


@pytest.mark.slow
def test_the_tutorial_can_be_done(folder, aiodp, clean_environment):
    """The definition is valid, the service serves it, and the worker prints what the page says."""
    path = f"{aiodp.parent}:{clean_environment['PATH']}"
    options = {"cwd": folder, "env": kept_environment() | {"PATH": path}, "text": True}
    served = f"{VALIDATE}exec {SERVE.replace(PORT, '0')}"
    with subprocess.Popen(["bash", "-euc", served], stdout=subprocess.PIPE, **options) as serving:
        try:
            assert serving.stdout is not None
            said = ""
            while "AWS_ENDPOINT_URL=" not in said:
                line = serving.stdout.readline()
                assert line, f"it ended after saying {said!r}"
                said += line
            port = said.rpartition("AWS_ENDPOINT_URL=http://127.0.0.1:")[2].split()[0]
            work = ["bash", "-euc", f"export NO_PROXY=127.0.0.1; {WORK.replace(PORT, port)}"]
            printed = subprocess.check_output(work, timeout=60, **options)
        finally:
            serving.kill()
    assert printed == PRINTED


@pytest.mark.slow
def test_its_tests_pass(folder, clean_environment):
    """With nothing configured, as by the last command of its section."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", *OWN],
        cwd=folder,
        env=clean_environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "3 passed" in done.stdout, done.stdout + done.stderr


def test_the_log_shows_the_attempt(commands, clean_environment, tmp_path):
    """The program about logging adds it to each record."""
    script = tmp_path / "block.py"
    script.write_text(LOGGING)
    done = commands.run(script=script, env=clean_environment, timeout=60)
    assert done.returncode == 0
    assert done.stderr.endswith(
        "WARNING aiodp: a task of mine [@Work_2026-01-01T00:00:00_Attempt=1]\n"
    )
