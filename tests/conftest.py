from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

SLOW: Final = Path(__file__).with_name("slow")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the folder `slow` as such."""
    for item in items:
        if SLOW in item.path.parents:
            item.add_marker(pytest.mark.slow)
