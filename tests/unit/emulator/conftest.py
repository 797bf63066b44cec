"""What the tests of the local service share."""

from __future__ import annotations

from typing import Any

import pytest

from unit.emulator.lifecycle_kit import Lifecycle


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "settings(**settings): of the service of the fixture `kit`")


@pytest.fixture
def kit(request: pytest.FixtureRequest) -> Lifecycle:
    """A service, whose `settings` are those of its module with those of its test over them."""
    settings: dict[str, Any] = {}
    for marker in request.node.iter_markers("settings"):  # the test's own come first
        settings = marker.kwargs | settings
    return Lifecycle(**settings)
