"""What the tests of documents share: their code blocks, and programs that run them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

from acceptance.support import CREDENTIALS, ROOT

if TYPE_CHECKING:
    from aiodp.testing import LocalPipeline, ServerKit

CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


def fences(page: str) -> list[tuple[str, str]]:
    """The code blocks of a document: language and content."""
    tokens = MarkdownIt().parse((ROOT / page).read_text())
    return [(token.info, token.content) for token in tokens if token.type == "fence"]


def blocks(page: str, language: str) -> list[str]:
    """Those in one language."""
    return [content for info, content in fences(page) if info == language]


def environment(server: ServerKit) -> dict[str, str]:
    """The environment of a user whose clients are pointed at the local service."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    local = {"AWS_ENDPOINT_URL": server.endpoint, "NO_PROXY": "127.0.0.1", "PATH": programs}
    return CLEAN | CREDENTIALS | local


def drained(
    script: Path,
    server: ServerKit,
    pipeline: LocalPipeline,
    *arguments: str,
    cwd: Path | None = None,
) -> str:
    """Run a worker until it has finished a pipeline, then drain it; return what it printed."""
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-u", str(script), *arguments],
        env=environment(server),
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            server.wait_finished(pipeline, timeout=60)
            running.send_signal(signal.SIGTERM)
            out, err = running.communicate(timeout=60)
        finally:
            running.kill()
    assert running.returncode == 0, err
    assert "Traceback" not in err
    return out
