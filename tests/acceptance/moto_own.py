"""A pytest plugin for moto's own tests, which run in a process of their own: pytest -p moto_own.

Each test has a local service as new in the place of moto's backend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aiodp.emulator import ServiceClock, Settings, install

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _installed() -> Iterator[None]:
    with install(ServiceClock(), Settings()):
        yield
