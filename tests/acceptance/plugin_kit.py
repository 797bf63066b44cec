"""A project whose tests use the pytest plugin, and how they are run."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pytest

PLUGIN: Final = "pytest_aiodp"
INI: Final = """
[pytest]
addopts = -p no:cacheprovider -p no:hypothesispytest --strict-markers
filterwarnings = error
asyncio_default_fixture_loop_scope = function
"""
FIXTURES: Final = [
    "aiodp_settings",
    "aiodp_time_scale",
    "aiodp_server",
    "aiodp_client",
    "aiodp_service",
    "aiodp_session",
]


def run(pytester: pytest.Pytester, *options: str, **files: str) -> pytest.RunResult:
    """Run the project's tests in this process, which has imported what they need."""
    pytester.makepyfile(**files)
    gc.freeze()  # pytest collects garbage at the end of each run: not that of this process
    return pytester.runpytest_inprocess("-p", PLUGIN, *options)


def run_apart(pytester: pytest.Pytester, *options: str, **files: str) -> pytest.RunResult:
    """Run them in a process of their own, whose state they change."""
    pytester.makepyfile(**files)
    return pytester.runpytest_subprocess("-p", PLUGIN, *options)
