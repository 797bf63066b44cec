"""What works without POSIX, as far as that can be seen on a system that has it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HIDDEN = Path(__file__).with_name("without_posix.py")


@pytest.mark.slow
def test_the_library_and_the_local_service_work_without_posix():
    """A task is held to its end over HTTP in a Python that lacks what Windows lacks."""
    done = subprocess.run(
        [sys.executable, HIDDEN], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "doctor: doctor needs POSIX, such as Linux or macOS; on Windows, use WSL",
        "hold: hold needs POSIX, such as Linux or macOS; on Windows, use WSL",
        "run: run needs POSIX, such as Linux or macOS; on Windows, use WSL",
        "aiodp.shell needs POSIX, such as Linux or macOS; on Windows, use WSL",
        "FINISHED by the reporter",
        "FINISHED by the runner",
    ]
