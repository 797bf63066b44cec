"""The page about tests in other languages: its commands are executed, its options exist."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from types import SimpleNamespace
from typing import Final

import pytest
import yaml  # type: ignore[import-untyped]
from markdown_it import MarkdownIt

from acceptance.support import ROOT
from acceptance.test_docs_service import likeness
from aiodp.cli._emulate.command import emulate
from aiodp.emulator import EmulatorServer, ManualClock

PAGE: Final = (ROOT / "docs" / "service-container.md").read_text()
FENCES: Final = [(one.info, one.content) for one in MarkdownIt().parse(PAGE) if one.type == "fence"]
BLOCKS: Final = dict(FENCES)
PORT: Final = 5005


def test_each_block_is_of_another_kind():
    """Or one of them would not be tested below."""
    assert [info for info, _ in FENCES] == ["dockerfile", "yaml", "sh", "json"]


def test_the_image_and_the_job_fit():
    """The options are those of the command, and the ports are one."""
    lines = dict(line.split(" ", 1) for line in BLOCKS["dockerfile"].splitlines())
    arguments = json.loads(lines["ENTRYPOINT"])
    assert arguments[:2] == ["aiodp", "emulate"]
    context = emulate.make_context("emulate", arguments[2:], resilient_parsing=True)
    assert SimpleNamespace(**context.params).port == int(lines["EXPOSE"]) == PORT
    assert f":{PORT}/aiodp-api/clock" in lines["HEALTHCHECK"]
    job = yaml.safe_load(BLOCKS["yaml"])["jobs"]["test"]
    assert job["services"]["datapipeline"]["ports"] == [f"{PORT}:{PORT}"]
    assert job["env"]["AWS_ENDPOINT_URL"] == f"http://127.0.0.1:{PORT}"
    variables = set(re.findall(r"AIODP_EMULATE_(\w+)", PAGE))
    assert variables <= {str(option.name).upper().removesuffix("S") for option in emulate.params}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="the examples use curl")
def test_the_commands_of_a_test(clean_environment, aws_cli, tmp_path):
    """They print what the page says, but for times, ids and dates."""
    with EmulatorServer(clock=ManualClock()) as server:
        paths = f"{aws_cli.parent}{os.pathsep}{os.environ['PATH']}"
        local = {"AWS_ENDPOINT_URL": server.endpoint, "NO_PROXY": "127.0.0.1", "PATH": paths}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", BLOCKS["sh"].replace(str(PORT), str(server.port))],
            env=clean_environment | local,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
    shown, printed = (
        [likeness(json.loads(line)) for line in text.splitlines()]
        for text in (BLOCKS["json"], done.stdout.replace("}{", "}\n{").replace('}"', '}\n"'))
    )
    assert printed == shown
